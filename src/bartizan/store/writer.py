"""One thread that writes, many jobs a transaction: each waits for its commit, and they share the price of the disk.

A job is a function of the connection, or a row for a statement that many jobs share. Jobs of one transaction run in no
promised order: whoever needs an order waits for the first one. A job that fails takes no other with it, at the price of
a transaction for each; one whose refusal is nothing unusual is an attempt, which undoes its own work alone. Where the
connection to the database is lost, all jobs of the transaction are told so: it may have been committed or not. The
same is told to all jobs there are when the thread itself ends before its time; nothing here starts another one.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, TypeVar, cast

from sqlalchemy import Connection, Engine, Executable
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from bartizan.store.database import WRITES
from bartizan.store.pace import Pace

Given = TypeVar("Given")
Row = Mapping[str, Any]
Bulk = Callable[[Connection, Sequence[Row]], Sequence["Untouched | None"]]
"""Writes many rows; says of each, in their order, whether it came to nothing."""
Errors = tuple[type[Exception], ...]
GATHER = 0.02
"""Seconds that the first job of a transaction waits for others to share it, if the last one was shared."""
BATCH = 500
"""Jobs of one transaction at most."""


class Untouched(Exception):  # noqa: N818  it is what the database is
    """What a job raises that came to nothing before it wrote anything: no other job has to suffer for it."""


class WriterLost(Exception):  # noqa: N818  the same
    """The writing thread has ended before its time: what it was given may have been written or not."""


@dataclass(slots=True, eq=False)
class _Job:
    """Something to do, and where to say that it is done: `run`, or `row` for `statement`."""

    done: "asyncio.Future[Any]"
    run: Callable[[Connection], Any] | None = None
    statement: "Executable | Bulk | None" = None
    row: Row | None = None
    outcome: Any = None

    def succeed(self) -> None:
        """Tell who waits, if anybody still does; that may be told of a refusal."""
        if isinstance(self.outcome, _Refused):
            self.fail(self.outcome.error)
        elif not self.done.done():
            self.done.set_result(self.outcome)

    def fail(self, error: Exception) -> None:
        """The same for what was raised."""
        if not self.done.done():
            self.done.set_exception(error)


@dataclass(frozen=True, slots=True)
class _Refused:
    """An attempt that came to nothing, without taking other jobs of the transaction with it."""

    error: Exception


class Writer:
    """The one who writes, for a running event loop; `close` ends it after all that was submitted is written.

    rolled_back: called in the writing thread when what jobs did in a transaction came to nothing. lost: done when
    the thread has ended before its time, and then what it ended of.
    """

    def __init__(self, engine: Engine, *, rolled_back: Callable[[], None]) -> None:
        self._engine = engine.execution_options(**{WRITES: True})
        self._rolled_back = rolled_back
        self._loop = asyncio.get_running_loop()
        self._waiting: SimpleQueue[_Job | None] = SimpleQueue()
        self._open = set[_Job]()
        self.pace = Pace()
        self._closed = False
        self.lost: asyncio.Future[BaseException] = self._loop.create_future()
        self._thread = threading.Thread(target=self._work, name="bartizan-writer")
        self._thread.start()

    def submit(self, run: Callable[[Connection], Given]) -> "asyncio.Future[Given]":
        """What the function returns, once its transaction is committed."""
        return self._put(_Job(self._loop.create_future(), run=run))

    async def attempt(self, run: Callable[[Connection], Given], *, refusals: Errors) -> Given:
        """The same for a function that may raise one of these errors: then nothing that it wrote is there.

        `rolled_back` is not called for that, so that the function must not use what that is for.
        """

        def apart(connection: Connection) -> Given | _Refused:
            try:
                with connection.begin_nested():
                    return run(connection)
            except refusals as error:
                return _Refused(error)

        return cast(Given, await self.submit(apart))  # noqa: TC006  a refusal was raised

    def submit_row(self, statement: "Executable | Bulk", row: Row) -> "asyncio.Future[None]":
        """Execute the statement with this row; rows of one statement are written together."""
        return self._put(_Job(self._loop.create_future(), statement=statement, row=row))

    def _put(self, job: _Job) -> "asyncio.Future[Any]":
        if self._closed:
            job.fail(RuntimeError("the writer is closed"))
        elif self.lost.done():
            job.fail(_loss(self.lost.result()))
        else:
            self._open.add(job)
            self._waiting.put(job)
        return job.done

    @property
    def backlog(self) -> int:
        """Jobs that wait for their transaction to begin."""
        return self._waiting.qsize()

    def close(self) -> None:
        """Write what is waiting, then end; who waits is told by the event loop, if it still runs."""
        self._closed = True
        self._waiting.put(None)
        self._thread.join()

    def _work(self) -> None:
        try:
            self._write_all()
        except BaseException as error:  # noqa: BLE001  # the outermost frame: whatever it is, nobody may wait for ever
            self._announce(error)

    def _announce(self, error: BaseException) -> None:
        """Have everybody told, also where memory was what ended it: there is some again before long."""
        while True:
            try:
                self._loop.call_soon_threadsafe(self._lose, error)
            except MemoryError:
                time.sleep(GATHER)
            else:
                return

    def _lose(self, error: BaseException) -> None:
        self.lost.set_result(error)
        for job in self._open:
            job.fail(_loss(error))
        self._open.clear()

    def _write_all(self) -> None:
        more, batch = True, list[_Job]()
        while more:
            company, batch = len(batch) > 1, []
            job = self._waiting.get()
            if company:
                time.sleep(GATHER)
            while job is not None:
                batch.append(job)
                if len(batch) == BATCH or self._waiting.empty():
                    break
                job = self._waiting.get()
            more = job is not None
            if batch:
                self._write(batch)

    def _write(self, batch: Sequence[_Job]) -> None:
        try:
            self._transact(batch)
        except Exception as error:  # noqa: BLE001  # whatever a job raises is for its submitter
            self._rolled_back()
            if len(batch) == 1 or _unreachable(error):
                self._loop.call_soon_threadsafe(self._fail, batch, error)
                return
            for job in batch:
                self._write([job])
            return
        self._loop.call_soon_threadsafe(self._tell, batch)

    def _fail(self, batch: Sequence[_Job], error: Exception) -> None:
        self._open.difference_update(batch)
        for job in batch:
            job.fail(error)

    def _tell(self, batch: Sequence[_Job]) -> None:
        self._open.difference_update(batch)
        for job in batch:
            job.succeed()

    def _transact(self, batch: Sequence[_Job]) -> None:
        rows: dict[int, list[_Job]] = {}
        with self.pace.transaction(), self._engine.begin() as connection:
            for job in batch:
                if job.run is not None:
                    job.outcome = _outcome(job.run, connection)
                elif job.statement is not None:
                    rows.setdefault(id(job.statement), []).append(job)
            for some in rows.values():
                _execute(connection, some)


def _loss(error: BaseException) -> WriterLost:
    """One for each who is told: an exception that many raise would gather the traces of all."""
    return WriterLost(f"the writer has ended: {type(error).__name__}; what it was given may have been written or not")


def _unreachable(error: Exception) -> bool:
    """There is no connection, or no more: another attempt for each job would wait as long as this one."""
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or (isinstance(error, OperationalError) and error.statement is None)
    return isinstance(error, PoolTimeout)


def _outcome(run: Callable[[Connection], Any], connection: Connection) -> object:
    try:
        return run(connection)
    except Untouched as error:
        return _Refused(error)


def _execute(connection: Connection, jobs: Sequence[_Job]) -> None:
    """Jobs of one statement, all rows at once."""
    statement, rows = jobs[0].statement, [job.row for job in jobs if job.row is not None]
    if isinstance(statement, Executable):
        connection.execute(statement, rows)
    elif statement is not None:
        for job, error in zip(jobs, statement(connection, rows), strict=True):
            job.outcome = None if error is None else _Refused(error)
