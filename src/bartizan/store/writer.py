"""One thread that writes, many jobs a transaction: each waits for its commit, and they share the price of the disk.

A job is a function of the connection, or a row for a statement that many jobs share. Jobs of one transaction run in no
promised order: whoever needs an order waits for the first one. A job that fails takes no other with it, at the price of
a transaction for each; one whose refusal is nothing unusual is an attempt, which undoes its own work alone.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, Executable

from bartizan.store.database import WRITES

Given = TypeVar("Given")
Row = Mapping[str, Any]
Errors = tuple[type[Exception], ...]
GATHER = 0.02
"""Seconds that the first job of a transaction waits for others to share it, if the last one was shared."""
BATCH = 500
"""Jobs of one transaction at most."""


@dataclass(slots=True)
class _Job:
    """Something to do, and where to say that it is done: `run`, or `row` for `statement`."""

    done: "asyncio.Future[Any]"
    run: Callable[[Connection], Any] | None = None
    statement: Executable | None = None
    row: Row | None = None
    outcome: Any = None

    def succeed(self) -> None:
        """Tell who waits, if anybody still does."""
        if not self.done.done():
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

    rolled_back: called in the writing thread when what jobs did in a transaction came to nothing.
    """

    def __init__(self, engine: Engine, *, rolled_back: Callable[[], None]) -> None:
        self._engine = engine.execution_options(**{WRITES: True})
        self._rolled_back = rolled_back
        self._loop = asyncio.get_running_loop()
        self._waiting: SimpleQueue[_Job | None] = SimpleQueue()
        self._closed = False
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

        found = await self.submit(apart)
        if isinstance(found, _Refused):
            raise found.error
        return found

    def submit_row(self, statement: Executable, row: Row) -> "asyncio.Future[None]":
        """Execute the statement with this row; rows of one statement are written together."""
        return self._put(_Job(self._loop.create_future(), statement=statement, row=row))

    def _put(self, job: _Job) -> "asyncio.Future[Any]":
        if self._closed:
            job.fail(RuntimeError("the writer is closed"))
        else:
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
            if len(batch) == 1:
                self._loop.call_soon_threadsafe(batch[0].fail, error)
                return
            for job in batch:
                self._write([job])
            return
        self._loop.call_soon_threadsafe(_tell, batch)

    def _transact(self, batch: Sequence[_Job]) -> None:
        rows: dict[int, tuple[Executable, list[Row]]] = {}
        with self._engine.begin() as connection:
            for job in batch:
                if job.run is not None:
                    job.outcome = job.run(connection)
                elif job.statement is not None and job.row is not None:
                    rows.setdefault(id(job.statement), (job.statement, []))[1].append(job.row)
            for statement, some in rows.values():
                connection.execute(statement, some)


def _tell(batch: Sequence[_Job]) -> None:
    for job in batch:
        job.succeed()
