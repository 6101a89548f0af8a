"""The thread that writes ends before its time: nobody waits for it, and the service says that it cannot do its part."""

import asyncio
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection

from bartizan.store.database import open_database
from bartizan.store.writer import Writer, WriterLost
from tests.simulator.attester import Attester, message
from tests.thread_end import end_thread
from tests.unit.api_side import Api, asked

AT_ONCE = 5
"""Seconds: far more than it takes, far less than for ever."""


def played(
    play: Callable[[Writer], Awaitable[None]], folder: Path, *, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    def short_of_memory() -> None:
        raise MemoryError

    async def run() -> None:
        writer = Writer(engine, rolled_back=short_of_memory)
        try:
            await asyncio.wait_for(play(writer), AT_ONCE)
        finally:
            writer.close()

    with open_database(f"sqlite:///{folder / 'any.db'}") as engine, asyncio.Runner(loop_factory=loop) as runner:
        runner.run(run())


def bug(_: Connection) -> None:
    raise RuntimeError("a bug")


def nothing(_: Connection) -> None:
    """What a job does that only waits for its turn."""


async def assert_told(*waiting: Awaitable[object]) -> None:
    found = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(one) for one in found] == [WriterLost] * len(waiting)
    assert len({id(one) for one in found}) == len(waiting)
    assert "MemoryError" in str(found[0])


def test_who_waits_for_it_is_told_at_once_and_who_comes_later_too(tmp_path: Path) -> None:
    async def play(writer: Writer) -> None:
        begun, go_on = threading.Event(), threading.Event()

        def hold(_: Connection) -> bool:
            begun.set()
            return go_on.wait(AT_ONCE)

        held = writer.submit(hold)
        begun.wait(AT_ONCE)
        under_way = [writer.submit(bug), writer.submit(nothing)]
        waiting = [writer.submit(nothing) for _ in range(1000)]
        go_on.set()

        await assert_told(*under_way, *waiting)
        assert await held
        assert isinstance(writer.lost.result(), MemoryError)
        await assert_told(writer.submit(nothing), writer.attempt(nothing, refusals=()))

    played(play, tmp_path, loop=asyncio.new_event_loop)


def test_a_job_that_it_had_taken_and_not_begun_is_told_too(tmp_path: Path) -> None:
    async def play(writer: Writer) -> None:
        await writer.submit(nothing)
        end_thread("bartizan-writer")

        await assert_told(writer.submit(nothing))

    played(play, tmp_path, loop=asyncio.new_event_loop)


class Full(asyncio.SelectorEventLoop):
    """An event loop that has no memory for the first word from another thread about an end."""

    full = True

    def call_soon_threadsafe(self, callback, *args, context=None):  # type: ignore[no-untyped-def, override]  # noqa: ANN001, ANN002, ANN201  as the loop has it
        """As the loop does it, from the second time on."""
        if self.full and args and isinstance(args[0], MemoryError):
            self.full = False
            raise MemoryError
        return super().call_soon_threadsafe(callback, *args, context=context)


def test_they_are_told_though_memory_is_short_for_that_as_well(tmp_path: Path) -> None:
    loop = Full()

    async def play(writer: Writer) -> None:
        await assert_told(writer.submit(bug))
        assert not loop.full

    played(play, tmp_path, loop=lambda: loop)


def test_the_service_is_not_ready_and_every_answer_says_that_it_cannot_write(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def play(api: Api) -> None:
        node = Attester(name="n1")
        await api.side.allow(node)
        assert (await api.ask("GET", "/health/ready")).status_code == 200
        with pytest.raises(WriterLost):
            await asyncio.wait_for(api.service.write(lambda _: sys.exit("no more")), AT_ONCE)

        ready, live = await api.ask("GET", "/health/ready"), await api.ask("GET", "/health/live")
        changed = await api.ask("POST", "/v1/join-tokens", by="operator", json={"name": "n2"})
        status, headers, _ = await api.side.exchange("enrol", message(node.enrol()))

        assert (ready.status_code, live.status_code) == (503, 200)
        assert (changed.status_code, changed.headers["retry-after"]) == (503, "5")
        assert (status, headers[b"retry-after"]) == (503, b"5")
        assert "the writer has ended: nothing can be accepted any more" in capsys.readouterr().out

    asked(play, tmp_path)
