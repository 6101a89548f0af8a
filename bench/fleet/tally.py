"""What the fleet saw, counted: answers, times, Retry-After. One tally for a scenario, one for each line of progress."""

from array import array
from collections import Counter
from dataclasses import dataclass, field

MILLI = 1e3


def percentiles(values: "array[float]") -> dict[str, float]:
    """Median, 99 in 100, 999 in 1,000 and the worst, in milliseconds; nothing of nothing."""
    if not values:
        return {}
    ordered = sorted(values)
    last = len(ordered) - 1
    shares = {"p50": 0.5, "p99": 0.99, "p999": 0.999, "max": 1.0}
    return {name: round(ordered[int(last * share)] * MILLI, 2) for name, share in shares.items()}


def empty() -> "array[float]":
    """No times yet."""
    return array("f")


@dataclass(slots=True)
class Tally:
    """Of one stretch of time. Seconds.

    accepted: attestations, full: those of them with full logs; answers: by status and kind; again, full_again: how long
    the service took; lag: how long after its due time a node's request was sent; patience: what Retry-After said.
    """

    accepted: int = 0
    full: int = 0
    levels: Counter[int] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    broken: int = 0
    again: "array[float]" = field(default_factory=empty)
    whole: "array[float]" = field(default_factory=empty)
    lag: "array[float]" = field(default_factory=empty)
    patience: "array[float]" = field(default_factory=empty)
    queue: int = 0

    def document(self, seconds: float) -> dict[str, object]:
        """The tally of so many seconds, for a report; times in milliseconds."""
        return {
            "accepted": self.accepted,
            "rate": round(self.accepted / seconds, 1),
            "full": self.full,
            "levels": {str(level): count for level, count in sorted(self.levels.items())},
            "refused": dict(self.answers),
            "broken_connections": self.broken,
            "latency_ms": percentiles(self.again),
            "full_latency_ms": percentiles(self.whole),
            "lag_ms": percentiles(self.lag),
            "longest_queue": self.queue,
            "retry_after": {"count": len(self.patience), "longest_seconds": max(self.patience, default=0.0)},
        }
