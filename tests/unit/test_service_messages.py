"""Requests that are no proper messages: every one gets its status and kind, and none of them gets any further."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, cast

import pytest

from bartizan.web.api import agent, agent_body
from tests.simulator.attester import Attester, Document, document, message
from tests.unit.refusing_side import everything
from tests.unit.service_side import Side, played

POST = {"method": "POST", "path": "/v1/agent/challenge"}
Message = dict[str, Any]


async def spoken(here: Side, receive: Callable[[], Awaitable[Message]], **scope: Any) -> tuple[int, Document]:  # noqa: ANN401
    """One exchange with a scope and a `receive` of the test's own."""
    sent: list[Message] = []

    async def send(part: Message) -> None:
        sent.append(part)

    whole = {"type": "http", "headers": [(b"content-type", b"application/cbor")]} | POST | scope
    await asyncio.wait_for(cast("Callable[..., Awaitable[None]]", here.endpoint)(whole, receive, send), 20)
    return int(sent[0]["status"]), document(sent[1]["body"])


def giving(*parts: Message) -> Callable[[], Awaitable[Message]]:
    """A `receive` that gives these messages, and then nothing for ever."""
    left = list(parts)

    async def receive() -> Message:
        if left:
            return left.pop(0)
        await asyncio.Event().wait()
        raise AssertionError

    return receive


def part(body: bytes, *, more: bool = False) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


def refused_with(status: int, kind: str, exchanges: Callable[[Side], Iterable[Awaitable[tuple[int, Document]]]]) -> Any:  # noqa: ANN401
    """A scene in which each of these exchanges is refused like that, and a node attests before and after."""

    async def play(here: Side) -> None:
        node = Attester(name="n1", entries=20)
        first = await here.attest(node, await here.enrol(node))
        before = await everything(here)
        count = 0
        for exchange in exchanges(here):
            found, answer = await exchange
            assert (found, answer["error"]["kind"]) == (status, kind)
            count += 1
        assert count
        assert await everything(here) == before
        assert here.endpoint.bodies.room == agent_body.ROOM
        await here.attest(node, first["challenge"])

    return play


SMALL = message({"version": 1, "node": "0" * 32})
CALLS = ("enrol", "activate", "challenge", "evidence")
BAD_CBOR = {
    "nothing": b"",
    "nested deeply": b"\x81" * 100_000,
    "nested deeply in maps": b"\xa1\x00" * 2000,
    "tagged deeply": b"\xc1" * 3000,
    "a string of 2^64 bytes": b"\x5b" + b"\xff" * 8,
    "a text of 2^32 bytes": b"\x7a" + b"\xff" * 4,
    "an array of 2^64 items": b"\x9b" + b"\xff" * 8,
    "a map of 2^32 pairs": b"\xba" + b"\xff" * 4,
    "an array without an end": b"\x9f" + b"\x00" * 100,
    "a string without an end": b"\x5f\x41a",
    "a key twice": b"\xa2\x61a\x00\x61a\x00",
    "a key that is a list": b"\xa1\x80\x00",
    "no map": b"\x80",
    "a number": b"\x00",
    "two messages": SMALL + SMALL,
    "a byte too much": SMALL + b"\x00",
    "JSON": b'{"version": 1}',
    "text that is not UTF-8": b"\xa1\x61\xff\x00",
}


@pytest.mark.parametrize("bad", BAD_CBOR)
def test_what_is_no_message_is_a_decode_error(tmp_path: Path, bad: str) -> None:
    def asked(here: Side) -> Iterable[Awaitable[tuple[int, Document]]]:
        return [here.call(call, BAD_CBOR[bad][: agent.MAX_SHORT]) for call in CALLS]

    played(refused_with(400, "decode", asked), tmp_path)


def test_a_message_cut_short_anywhere_is_a_decode_error(tmp_path: Path) -> None:
    def cut(here: Side) -> Iterable[Awaitable[tuple[int, Document]]]:
        return (here.call("challenge", SMALL[:size]) for size in range(len(SMALL)))

    played(refused_with(400, "decode", cut), tmp_path)


def test_a_message_with_any_byte_changed_is_answered_and_never_a_bug(tmp_path: Path) -> None:
    async def play(here: Side) -> None:
        for at in range(len(SMALL)):
            for other in {0x00, 0xFF, SMALL[at] ^ 0x20, SMALL[at] ^ 0x80} - {SMALL[at]}:
                status, answer = await here.call("challenge", SMALL[:at] + bytes([other]) + SMALL[at + 1 :])
                assert (status, answer["error"]["kind"]) in {(400, "decode"), (400, "version"), (404, "node")}

    played(play, tmp_path)


@pytest.mark.parametrize("version", [0, 2, 2**63])
@pytest.mark.parametrize("call", CALLS)
def test_another_version_is_refused_before_anything_else(tmp_path: Path, call: str, version: int) -> None:
    def asked(here: Side) -> Iterable[Awaitable[tuple[int, Document]]]:
        return [here.call(call, {"version": version, "future": True})]

    played(refused_with(400, "version", asked), tmp_path)


# What HTTP says around it.


@pytest.mark.parametrize("kind", ["application/json", "", "text/plain; charset=application/cbor", "application/cbor2"])
def test_another_content_type_is_refused(tmp_path: Path, kind: str) -> None:
    def asked(here: Side) -> Iterable[Awaitable[tuple[int, Document]]]:
        return [here.call(call, SMALL, **{"content-type": kind}) for call in CALLS]

    played(refused_with(415, "request", asked), tmp_path)


def test_a_content_type_with_parameters_or_in_capitals_is_the_same(tmp_path: Path) -> None:
    async def play(here: Side) -> None:
        for kind in ("application/cbor; version=1", "Application/CBOR"):
            status, _ = await here.call("challenge", SMALL, **{"content-type": kind})
            assert status == 404  # nobody of this id: it was read

    played(play, tmp_path)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD"])
def test_only_post_is_answered(tmp_path: Path, method: str) -> None:
    def asked(here: Side) -> Iterable[Awaitable[tuple[int, Document]]]:
        return [spoken(here, giving(), method=method, path=f"/v1/agent/{call}") for call in CALLS]

    played(refused_with(405, "request", asked), tmp_path)


@pytest.mark.parametrize("path", ["/v1/agent/", "/v1/agent/enrol/now", "/v1/agent/../enrol", "/v1/agent/ENROL"])
def test_an_unknown_path_is_refused(tmp_path: Path, path: str) -> None:
    def asked(here: Side) -> Iterable[Awaitable[tuple[int, Document]]]:
        return [spoken(here, giving(), path=path)]

    played(refused_with(404, "request", asked), tmp_path)


# Bodies: too large, too slow, too many.


def small_limit(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    for limit in ("MAX_MESSAGE", "MAX_ENROL", "MAX_SHORT"):
        monkeypatch.setattr(agent, limit, size)


def test_a_size_that_is_announced_over_the_limit_is_refused_before_it_is_read(tmp_path: Path) -> None:
    def asked(here: Side) -> Iterable[Awaitable[tuple[int, Document]]]:
        for call, most in (("enrol", 1 << 20), ("activate", 4096), ("challenge", 4096), ("evidence", 64 << 20)):
            head = [(b"content-type", b"application/cbor"), (b"content-length", str(most + 1).encode())]
            yield spoken(here, giving(), path=f"/v1/agent/{call}", headers=head)

    played(refused_with(413, "size", asked), tmp_path)


@pytest.mark.parametrize("announced", [None, b"5", b"-1", b"0x10", b"9" * 5000])
def test_a_body_over_the_limit_is_refused_whatever_was_announced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, announced: bytes | None
) -> None:
    async def play(here: Side) -> None:
        head = [(b"content-type", b"application/cbor")]
        head += [] if announced is None else [(b"content-length", announced)]
        parts = [part(b"\x00" * 60, more=True), part(b"\x00" * 41)]

        status, answer = await spoken(here, giving(*parts), path="/v1/agent/enrol", headers=head)

        assert (status, answer["error"]["kind"]) == (413, "size")

    small_limit(monkeypatch, 100)
    played(play, tmp_path)


def test_a_body_without_an_end_is_refused_at_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def endless() -> Message:
        return part(b"\x00" * 10, more=True)

    async def play(here: Side) -> None:
        status, answer = await spoken(here, endless, path="/v1/agent/evidence")

        assert (status, answer["error"]["kind"]) == (413, "size")

    small_limit(monkeypatch, 1000)
    played(play, tmp_path)


def test_a_body_that_never_comes_is_given_up_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(here: Side) -> Iterable[Awaitable[tuple[int, Document]]]:
        yield spoken(here, giving(part(SMALL[:3], more=True)))
        yield spoken(here, giving())

    monkeypatch.setattr(agent_body, "BODY_SECONDS", 0.01)
    played(refused_with(408, "request", asked), tmp_path)


def test_a_sender_that_goes_away_in_the_middle_changes_nothing(tmp_path: Path) -> None:
    def asked(here: Side) -> Iterable[Awaitable[tuple[int, Document]]]:
        for call in CALLS:
            gone = giving(part(SMALL, more=True), {"type": "http.disconnect"})
            yield spoken(here, gone, path=f"/v1/agent/{call}")

    played(refused_with(400, "request", asked), tmp_path)


def test_large_bodies_share_a_room_and_small_ones_need_none(tmp_path: Path) -> None:
    async def play(here: Side) -> None:
        node = Attester(name="n1", entries=20)
        here.endpoint.bodies.room = 3 * agent_body.LARGE
        first, more = giving(part(bytes(2 * agent_body.LARGE), more=True)), asyncio.Event()
        asked: list[bool] = []

        async def held() -> Message:
            if asked:
                more.set()
            asked.append(True)
            return await first()

        slow = asyncio.create_task(spoken(here, held, path="/v1/agent/enrol"))
        await more.wait()

        head, status = await turned_away(here)

        assert status == 503
        assert int(head[b"retry-after"]) > 0
        await here.attest(node, await here.enrol(node))
        slow.cancel()
        await asyncio.gather(slow, return_exceptions=True)
        assert here.endpoint.bodies.room == 3 * agent_body.LARGE

    async def turned_away(here: Side) -> tuple[dict[bytes, bytes], int]:
        status, head, _ = await here.exchange("enrol", bytes(2 * agent_body.LARGE))
        return head, status

    played(play, tmp_path)


def test_a_bug_is_answered_and_takes_nobody_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def bug(*_: object) -> None:
        raise RuntimeError("a bug")

    def asked(here: Side) -> Iterable[Awaitable[tuple[int, Document]]]:
        with monkeypatch.context() as patch:
            patch.setattr(agent, "decode_challenge", bug)
            yield here.call("challenge", SMALL)

    played(refused_with(500, "internal", asked), tmp_path)
