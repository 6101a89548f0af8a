"""Where scenarios play: services, the fleet, and what is measured of both over a stretch of time."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from bench.fleet.attester import Node
from bench.fleet.engine import CALLS, Engine
from bench.fleet.shapes import Shapes
from bench.fleet.tally import Tally, percentiles
from bench.fleet.verifier import HOST, Metrics, Verifier
from bench.fleet.wire import Endpoint

LOOK = 0.2
TELL = 10.0
"""Seconds between two lines of progress."""
HOUR = 3600
MEGA = 1e6


@dataclass(frozen=True, slots=True)
class Held:
    """One thing that must hold, whether it did, and what was found."""

    what: str
    held: bool
    found: object


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a scenario showed."""

    name: str
    figures: dict[str, object]
    checks: Sequence[Held]

    @property
    def passed(self) -> bool:
        """All that must hold did."""
        return all(check.held for check in self.checks)

    def document(self) -> dict[str, object]:
        """For the report."""
        checks = [{"what": one.what, "held": one.held, "found": one.found} for one in self.checks]
        return {"scenario": self.name, "passed": self.passed, "checks": checks, "figures": self.figures}


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a run is asked for. period, late, seconds: seconds; storm: nodes that reboot at once."""

    period: int
    late: int
    seconds: float
    storm: int


@dataclass(slots=True, kw_only=True)
class Stage:
    """Services and fleet. say: where progress goes."""

    terms: Terms
    verifiers: list[Verifier]
    nodes: list[Node]
    shapes: Shapes
    engine: Engine
    say: Callable[[str], None]
    _life: "asyncio.Task[None] | None" = field(default=None, repr=False)

    @property
    def verifier(self) -> Verifier:
        """The first service."""
        return self.verifiers[0]

    async def metrics(self) -> Metrics:
        """What the first service says of itself."""
        return await asyncio.to_thread(self.verifier.metrics)

    async def measure(self, seconds: float, *, done: Callable[[], bool] | None = None) -> dict[str, object]:
        """Figures of so many seconds, or of as many as it takes until `done`."""
        engine = self.engine
        engine.begin()
        begun, own = time.monotonic(), time.process_time()
        before = [one.cpu() for one in self.verifiers]
        size = sum(one.database() for one in self.verifiers)
        told = begun
        while (now := time.monotonic()) - begun < seconds and not (done is not None and done()):
            if now - told >= TELL:
                self._tell(now - told)
                told = now
            if self._life is not None and self._life.done():
                self._life.result()
            await asyncio.sleep(LOOK)
        passed = time.monotonic() - begun
        tally = engine.tally
        used = sum(one.cpu() for one in self.verifiers) - sum(before)
        grown = sum(one.database() for one in self.verifiers) - size
        each = max(1, tally.accepted)
        return {
            "seconds": round(passed, 1),
            **tally.document(passed),
            "service_cpu_ms_each": round(used / each * 1e3, 3),
            "service_cores": round(used / passed, 2),
            "simulator_cpu_ms_each": round((time.process_time() - own) / each * 1e3, 3),
            "service_mib": round(sum(one.memory() for one in self.verifiers)),
            "queue_at_end": engine.waiting,
            "database_mb": round(sum(one.database() for one in self.verifiers) / MEGA, 1),
            "database_growth_mb_per_hour": round(grown / MEGA / passed * HOUR, 1),
        }

    def _tell(self, seconds: float) -> None:
        recent, engine = self.engine.recent, self.engine
        engine.recent = Tally()
        times, lag = percentiles(recent.again), percentiles(recent.lag)
        parts = [
            f"{recent.accepted / seconds:,.0f}/s",
            f"p50 {times.get('p50', 0):,.1f} p99 {times.get('p99', 0):,.1f} ms",
            f"lag p99 {lag.get('p99', 0):,.0f} ms",
            f"queue {engine.waiting:,}",
            f"{sum(one.memory() for one in self.verifiers):,.0f} MiB",
        ]
        if recent.full:
            parts.append(f"full {recent.full:,}")
        if engine.wanted:
            parts.append(f"still to come {len(engine.wanted):,}")
        if recent.answers:
            parts.append(", ".join(f"{kind} ×{count:,}" for kind, count in recent.answers.items()))
        self.say("  " + "  ".join(parts))


@asynccontextmanager
async def playing(stage: Stage) -> AsyncIterator[Stage]:
    """The fleet lives while the block runs, and the services until it ends."""
    begun = time.monotonic()
    for verifier in stage.verifiers:
        await asyncio.to_thread(verifier.start)
    stage.say(f"service up after {time.monotonic() - begun:.1f} s, {stage.verifier.memory():,.0f} MiB")
    stage.engine.endpoints = [Endpoint.at(HOST, one.port, CALLS) for one in stage.verifiers]
    stage._life = asyncio.create_task(stage.engine.run())  # noqa: SLF001  its own
    try:
        yield stage
    finally:
        stage._life.cancel()  # noqa: SLF001  its own
        await asyncio.gather(stage._life, return_exceptions=True)  # noqa: SLF001  its own
        for verifier in stage.verifiers:
            await asyncio.to_thread(verifier.stop)
