"""The report as a table: a line for each scenario, and below it what did not hold."""

from collections.abc import Iterable

from bench.fleet.stage import Outcome

ROW = "{:<9} {:<6} {:>7} {:>9} {:>9} {:>8} {:>9} {:>9} {:>9} {:>8} {:>10} {:>9}"
HEAD = (
    "scenario",
    "",
    "seconds",
    "accepted",
    "rate",
    "CPU each",
    "p50",
    "p99",
    "lag p99",
    "memory",
    "DB growth",
    "postponed",
)


def show(outcomes: Iterable[Outcome]) -> None:
    """Print it."""
    print(ROW.format(*HEAD))
    for outcome in outcomes:
        print(ROW.format(*_cells(outcome)))
        for check in outcome.checks:
            if not check.held:
                print(f"          does not hold: {check.what}; found {check.found}")


def _cells(outcome: Outcome) -> list[str]:
    found = outcome.figures
    times, lag, later = (_of(found, name) for name in ("latency_ms", "lag_ms", "retry_after"))
    return [
        outcome.name,
        "passed" if outcome.passed else "FAILED",
        f"{found['seconds']:,}",
        f"{found['accepted']:,}",
        f"{found['rate']:,.0f}/s",
        f"{found['service_cpu_ms_each']:.2f} ms",
        f"{times.get('p50', 0):,.1f} ms",
        f"{times.get('p99', 0):,.1f} ms",
        f"{lag.get('p99', 0):,.0f} ms",
        f"{found['service_mib']:,} MiB",
        f"{found['database_growth_mb_per_hour']:,.0f} MB/h",
        f"{later.get('count', 0):,.0f}",
    ]


def _of(found: dict[str, object], name: str) -> dict[str, float]:
    some = found[name]
    assert isinstance(some, dict)
    return some
