"""How the writer gets on: transactions, the time they took, the longest of late, and how long the present one takes.

Its thread writes it, others read it; each figure is one assignment, so that nobody waits for anybody.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

WINDOW = 300.0
"""Seconds: `longest` looks back so far at least, and at most twice as far."""


@dataclass(slots=True, kw_only=True)
class Pace:
    """Figures since the start. seconds: of all transactions together."""

    now: Callable[[], float] = time.monotonic
    transactions: int = 0
    seconds: float = 0.0
    _begun: float | None = None
    _windows: tuple[float, float, float] = (0.0, 0.0, 0.0)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One transaction, from its first statement to its commit."""
        begun = self._begun = self.now()
        try:
            yield
        finally:
            ended, self._begun = self.now(), None
            began, former, longest = self._turned(ended)
            self._windows = (began, former, max(longest, ended - begun))
            self.transactions += 1
            self.seconds += ended - begun

    @property
    def busy(self) -> float:
        """Seconds since the transaction under way began; 0 without one."""
        begun = self._begun
        return 0.0 if begun is None else self.now() - begun

    @property
    def longest(self) -> float:
        """Seconds that the longest transaction of late took, the one under way included."""
        _, former, longest = self._turned(self.now())
        return max(former, longest, self.busy)

    def _turned(self, at: float) -> tuple[float, float, float]:
        """When the present window began, the longest of the one before, and of it."""
        began, former, longest = self._windows
        if at - began < WINDOW:
            return began, former, longest
        return at, longest if at - began < 2 * WINDOW else 0.0, 0.0
