"""A sweep: what nothing refers to any more goes, while nodes attest (`store.sweeping` says why that is safe).

Everything is looked through beside the writer, page by page; the writer hides and drops what was found in short steps.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from sqlalchemy import Connection, Engine

from bartizan.app.service.leases import HOUSEKEEPING, Leases
from bartizan.store import sweeping
from bartizan.store.parts import in_parts
from bartizan.store.reading import reading
from bartizan.store.sweeping import AT_ONCE, NUMBERS_AT_ONCE, Kept
from bartizan.store.writer import Writer

Given = TypeVar("Given")
Step = Callable[[Connection, Kept, Sequence[int]], Given]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """One sweep of one kind. fence: of the lease that all its steps are done under."""

    engine: Engine
    writer: Writer
    leases: Leases
    kept: Kept
    fence: int

    async def run(self) -> int:
        """Drop what nothing refers to; how many rows went.

        Raises:
            LeaseLost: another Verifier sweeps, or did so in between: what it showed again may be in use.
        """
        suspected = await self._unreferred(await self._known())
        if not suspected:
            return 0
        await self._each(sweeping.hide, suspected)
        unused = await self._unreferred(suspected)
        await self._each(sweeping.show, suspected - unused)
        return sum(await self._each(sweeping.drop, unused))

    async def _each(self, step: Step[Given], numbers: set[int]) -> list[Given]:
        """A step for all of these, some at a time."""
        return [await self._write(step, some) for some in in_parts(sorted(numbers), AT_ONCE)]

    async def _write(self, step: Step[Given], some: Sequence[int]) -> Given:
        def run(connection: Connection) -> Given:
            return step(connection, self.kept, some)

        return await self.writer.submit(self.leases.step(HOUSEKEEPING, run, fence=self.fence))

    async def _known(self) -> set[int]:
        found, last = set[int](), 0
        while True:
            some = await self._read(partial(sweeping.known, kept=self.kept, after=last))
            found.update(some)
            if len(some) < NUMBERS_AT_ONCE:
                return found
            last = some[-1]

    async def _unreferred(self, numbers: set[int]) -> set[int]:
        """Those of these numbers that nothing refers to."""
        left = set(numbers)
        for referring in self.kept.referring:
            found, after = await self._read(partial(sweeping.referred, referring=referring, after=None))
            left -= found
            while after is not None:
                found, after = await self._read(partial(sweeping.referred, referring=referring, after=after))
                left -= found
        return left

    async def _read(self, query: Callable[[Connection], Given]) -> Given:
        return await reading(self.engine, query)
