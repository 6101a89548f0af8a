"""The one who writes: many jobs a transaction, each for itself; and what is stored once, however often it comes."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from sqlalchemy import Column, Connection, Engine, Integer, MetaData, String, Table, event, func, insert, select, update
from sqlalchemy import create_engine as connect
from sqlalchemy.exc import IntegrityError

from bartizan.model.digest import HashAlg
from bartizan.model.protocol import SentBoot
from bartizan.store.accounts import ensure_default_project
from bartizan.store.database import open_database
from bartizan.store.evidence import Interning, add_boot, add_entries
from bartizan.store.nodes import NewNode, add_node
from bartizan.store.tables import ima_chunk, ima_entry
from bartizan.store.writer import BATCH, Writer
from tests.databases import url_for

metadata = MetaData()
line = Table("line", metadata, Column("id", Integer, primary_key=True), Column("text", String, unique=True))
ADD, SHOUT = insert(line), update(line).values(text=func.upper(line.c.text))
Play = Callable[["Paused"], Awaitable[None]]


class Paused:
    """A writer that waits inside a transaction until it is told to go on, so that what comes next shares another."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.rolled_back = 0
        self.go_on = threading.Event()
        self.writer = Writer(engine, rolled_back=self._count)
        self.first = self.writer.submit(lambda _: self.go_on.wait(10))

    def _count(self) -> None:
        self.rolled_back += 1

    def lines(self) -> list[str]:
        with self.engine.connect() as connection:
            return list(connection.execute(select(line.c.text).order_by(line.c.id)).scalars())


def played(play: Play, folder: Path) -> None:
    engine = connect(f"sqlite:///{folder / 'lines.db'}")
    metadata.create_all(engine)

    async def run() -> None:
        paused = Paused(engine)
        try:
            await play(paused)
        finally:
            paused.go_on.set()
            paused.writer.close()
            await asyncio.sleep(0)

    asyncio.run(run())
    engine.dispose()


def adding(text: str) -> Callable[[Connection], str]:
    def add(connection: Connection) -> str:
        connection.execute(ADD, {"text": text})
        return text

    return add


def test_jobs_are_done_in_their_order_and_share_a_transaction(tmp_path: Path) -> None:
    async def play(here: Paused) -> None:
        transactions: list[Connection] = []

        def job(number: int) -> Callable[[Connection], int]:
            def run(connection: Connection) -> int:
                transactions.append(connection)
                adding(str(number))(connection)
                return number

            return run

        waiting = [here.writer.submit(job(number)) for number in range(100)]
        here.go_on.set()

        assert await asyncio.gather(*waiting) == list(range(100))
        assert here.lines() == list(map(str, range(100)))
        assert len({id(one) for one in transactions}) == 1

    played(play, tmp_path)


def test_nobody_is_told_before_the_commit(tmp_path: Path) -> None:
    async def play(here: Paused) -> None:
        seen: list[list[str]] = []
        one = here.writer.submit(adding("one"))
        one.add_done_callback(lambda _: seen.append(here.lines()))
        assert here.lines() == []
        here.go_on.set()
        await one

        assert seen == [["one"]]

    played(play, tmp_path)


def test_rows_of_one_statement_are_written_together_after_what_came_before(tmp_path: Path) -> None:
    async def play(here: Paused) -> None:
        waiting = [here.writer.submit_row(ADD, {"text": text}) for text in "abc"]
        here.go_on.set()
        await asyncio.gather(*waiting)

        assert here.lines() == ["a", "b", "c"]

    played(play, tmp_path)


@pytest.mark.parametrize("as_rows", [False, True])
def test_a_job_that_fails_takes_no_other_with_it(tmp_path: Path, as_rows: bool) -> None:
    async def play(here: Paused) -> None:
        def submit(text: str) -> "asyncio.Future[object]":
            if as_rows:
                return here.writer.submit_row(ADD, {"text": text})
            return here.writer.submit(adding(text))

        waiting = [submit(text) for text in ("a", "b", "a", "c")]
        here.go_on.set()
        found = await asyncio.gather(*waiting, return_exceptions=True)

        assert here.lines() == ["a", "b", "c"]
        assert [isinstance(one, IntegrityError) for one in found] == [False, False, True, False]
        assert here.rolled_back >= 1

    played(play, tmp_path)


def test_an_attempt_that_is_refused_undoes_its_own_work_in_a_transaction_that_all_share(tmp_path: Path) -> None:
    async def play(here: Paused) -> None:
        commits: list[Connection] = []
        event.listen(here.engine, "commit", commits.append)

        def refused(connection: Connection) -> None:
            adding("half")(connection)
            raise LookupError("no such token")

        waiting: list[Awaitable[object]] = [here.writer.submit(adding(str(number))) for number in range(50)]
        waiting.extend(
            asyncio.ensure_future(here.writer.attempt(run, refusals=(LookupError, IntegrityError)))
            for run in (refused, adding("7"), adding("new"))
        )
        await asyncio.sleep(0)  # the attempts are submitted
        waiting.append(here.writer.submit(adding("last")))
        here.go_on.set()
        *others, one, twice, new, last = await asyncio.gather(*waiting, return_exceptions=True)

        assert (others, new, last) == (list(map(str, range(50))), "new", "last")
        assert (type(one), type(twice)) == (LookupError, IntegrityError)
        assert here.lines() == [*map(str, range(50)), "new", "last"]
        assert len(commits) <= 2  # what held the writer may share the one or have its own
        assert here.rolled_back == 0

    played(play, tmp_path)


def test_what_an_attempt_raises_that_is_no_refusal_is_a_failure(tmp_path: Path) -> None:
    def bug(_: Connection) -> None:
        raise RuntimeError("a bug")

    async def play(here: Paused) -> None:
        here.go_on.set()
        with pytest.raises(RuntimeError, match="a bug"):
            await here.writer.attempt(bug, refusals=(LookupError,))

        assert here.rolled_back >= 1

    played(play, tmp_path)


def test_what_a_job_raises_reaches_its_submitter_and_the_writer_goes_on(tmp_path: Path) -> None:
    def bug(_: Connection) -> None:
        raise RuntimeError("a bug")

    async def play(here: Paused) -> None:
        here.go_on.set()
        with pytest.raises(RuntimeError, match="a bug"):
            await here.writer.submit(bug)

        assert await here.writer.submit(adding("later")) == "later"

    played(play, tmp_path)


def test_a_job_whose_submitter_gave_up_is_done_and_disturbs_nobody(tmp_path: Path) -> None:
    async def play(here: Paused) -> None:
        given_up, fails, stays = (here.writer.submit(adding(text)) for text in ("a", "a", "b"))
        given_up.cancel()
        fails.cancel()
        here.go_on.set()

        assert await stays == "b"
        assert here.lines() == ["a", "b"]
        assert given_up.cancelled()

    played(play, tmp_path)


def test_close_writes_what_waits_and_tells_it(tmp_path: Path) -> None:
    async def play(here: Paused) -> None:
        waiting = [here.writer.submit(adding(str(number))) for number in range(1200)]
        assert here.writer.backlog >= 1200 - BATCH
        here.go_on.set()
        here.writer.close()

        assert len(here.lines()) == 1200
        assert await asyncio.gather(*waiting) == [str(number) for number in range(1200)]

    played(play, tmp_path)


def test_what_is_submitted_after_the_close_is_told_so_and_waits_for_nothing(tmp_path: Path) -> None:
    async def play(here: Paused) -> None:
        here.go_on.set()
        here.writer.close()

        for late in (here.writer.submit(adding("late")), here.writer.submit_row(ADD, {"text": "late"})):
            with pytest.raises(RuntimeError, match="closed"):
                await asyncio.wait_for(late, 5)
        assert here.lines() == []

    played(play, tmp_path)


# Interning.


def new_node(name: str) -> NewNode:
    return NewNode(
        uid=name,
        name=name,
        role="compute",
        project=1,
        ek_name=b"ek " + name.encode(),
        ak_name=b"ak",
        identity=b"",
        registered=True,
        banks=(HashAlg.SHA256,),
        pinned=HashAlg.SHA256,
        enrolled_by="a test",
    )


def boots(connection: Connection, *names: str) -> list[int]:
    """A boot of each of these nodes."""
    ensure_default_project(connection)
    nodes = [add_node(connection, new_node(name), now=0, due=0) for name in names]
    return [add_boot(connection, node.id, SentBoot(), stuck=b"[]", now=0) for node in nodes]


@pytest.mark.usefixtures("each_database")
def test_ten_thousand_entries_are_stored_once_however_many_nodes_have_them(tmp_path: Path) -> None:
    entries = [b"entry %d" % number for number in range(10_000)]
    interning = Interning()
    with open_database(url_for(tmp_path)) as engine, engine.begin() as connection:
        numbers = boots(connection, *(f"n{number}" for number in range(20)))
        for number in numbers:
            add_entries(connection, interning, number, entries, first=0)
        add_entries(connection, interning, numbers[0], entries[:3], first=10_000)

        count = connection.execute(select(func.count()).select_from(ima_entry)).scalar_one()
        chunks = connection.execute(select(ima_chunk.c.entries)).scalars().all()

    assert count == 10_000
    assert sorted(map(len, chunks)) == [24] + [80_000] * 20
    assert len(set(chunks)) == 2


@pytest.mark.usefixtures("each_database")
def test_an_entry_that_stands_twice_in_a_list_is_one_row_and_two_places(tmp_path: Path) -> None:
    with open_database(url_for(tmp_path)) as engine, engine.begin() as connection:
        one, two, again = memoryview(Interning().numbers(connection, [b"a", b"b", b"a"])).cast("q")

        assert one == again != two
        assert connection.execute(select(func.count()).select_from(ima_entry)).scalar_one() == 2


@pytest.mark.usefixtures("each_database")
def test_another_interning_finds_what_is_stored(tmp_path: Path) -> None:
    with open_database(url_for(tmp_path)) as engine, engine.begin() as connection:
        first = Interning().numbers(connection, [b"a", b"b"])

        assert Interning().numbers(connection, [b"b", b"a"]) == first[8:] + first[:8]


@pytest.mark.usefixtures("each_database")
def test_numbers_of_a_transaction_that_came_to_nothing_are_forgotten(tmp_path: Path) -> None:
    async def play(engine: Engine) -> tuple[bytes, bytes]:
        interning = Interning()
        writer = Writer(engine, rolled_back=interning.forget)

        def fails(connection: Connection) -> None:
            interning.numbers(connection, [b"first", b"lost"])
            raise RuntimeError("a full disk")

        with pytest.raises(RuntimeError, match="a full disk"):
            await writer.submit(fails)
        kept = await writer.submit(lambda connection: interning.numbers(connection, [b"kept"]))
        lost = await writer.submit(lambda connection: interning.numbers(connection, [b"lost"]))
        writer.close()
        return kept, lost

    with open_database(url_for(tmp_path)) as engine:
        found = asyncio.run(play(engine))
        with engine.connect() as connection:
            stored = dict(connection.execute(select(ima_entry.c.content, ima_entry.c.id)).all())

    assert {b"kept": found[0], b"lost": found[1]} == {
        content: number.to_bytes(8, "little") for content, number in stored.items()
    }
