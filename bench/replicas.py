"""One Verifier and several on one PostgreSQL: their throughput beside that of one, what limits it, what each costs.

Software nodes speak the true protocol over HTTP, nothing new in their lists, every check on, every acceptance synced to
the disk. With `--share` each Verifier has a fixed part of a core, as if it had a machine of its own, so that a machine
with few cores shows what several of them do; with `--database-share` the database has one too, and is the limit sooner.

They take turns (1, 2, 3, 3, 2, 1, 1 …; who has none idles) and the ratio is that within a turn, so that other work on
the machine meets all alike: the median, and in brackets the middle half. The database's own limit is asked without any
Verifier: the statement that accepts, from processes that do nothing else.
"""

import argparse
import json
import os
import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict

from bartizan.errors import ConfigError
from bench.arrangement import Measured, Plan, arranged, database_cpu, line, started, told
from bench.shares import group
from tests.integration.cluster import DATABASE
from tests.postgresql import Server
from tests.postgresql import running as postgresql

ROW = "{:<26} {:>10} {:>18} {:>13} {:>13} {:>13} {:>17} {:>10} {:>9} {:>8}"
BATCHES = (1, 8, 64, 500)
"""Attestations of one transaction."""
WRITERS, ROWS = 2, 1_000
"""Processes that ask the database alone, and nodes of each."""
INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""
Turns = Mapping[int, Sequence[Measured]]


def saturated(server: Server, seconds: float, *, hold: Callable[[bool], None]) -> dict[int, dict[str, float]]:
    """The statement that accepts, from several processes at once, for each size of a transaction."""
    arguments = (server.url(server.create(DATABASE)), str(ROWS), str(seconds))
    found = {}
    with ExitStack() as stack:
        writers = [stack.enter_context(started("bench.accepting", *arguments, str(one))) for one in range(WRITERS)]
        for one in writers:
            line(one)
        hold(True)
        for batch in BATCHES:
            before = database_cpu(server)
            written = sum(one["written"] for one in told(writers, str(batch)))
            found[batch] = {"rate": written / seconds, "database": (database_cpu(server) - before) / written}
        hold(False)
    return found


def share(said: str) -> float:
    """A share of a core, as it is written on the command line."""
    found = float(said)
    if not 0.01 <= found <= (os.cpu_count() or 1):
        raise argparse.ArgumentTypeError(f"from 0.01 to {os.cpu_count()}, the cores of this machine")
    return found


def parsed() -> argparse.Namespace:
    """What was asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--replicas", type=int, nargs="+", default=[1, 2], help="arrangements; the first is compared to"
    )
    parser.add_argument("--share", type=share, help="of a core, for each Verifier (needs root)")
    parser.add_argument("--database-share", type=share, help="of a core, for PostgreSQL (needs root)")
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--nodes", type=int, default=64, help="of each Verifier")
    parser.add_argument("--connections", type=int, default=64, help="to each Verifier")
    parser.add_argument("--seconds", type=float, default=1.5, help="of each measurement")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def main() -> None:
    """Measure and print."""
    asked = parsed()
    with ExitStack() as stack:
        held = stack.enter_context(group("database")) if asked.database_share else None
        server = stack.enter_context(postgresql())
        if held is not None:
            held.enter(server.pids())

        def hold(yes: bool) -> None:
            if held is not None:
                held.hold(asked.database_share if yes else None)

        turns = _turns(server, asked, hold)
        limit = saturated(server, asked.seconds, hold=hold)
    if asked.json:
        verifiers = {count: [asdict(one) for one in found] for count, found in turns.items()}
        print(json.dumps({"verifiers": verifiers, "database": limit, "load": os.getloadavg()}, indent=1))
        return
    _say(turns, limit, asked)


def _turns(server: Server, asked: argparse.Namespace, hold: Callable[[bool], None]) -> Turns:
    plan = Plan(nodes=asked.nodes, connections=asked.connections, share=asked.share)
    found: dict[int, list[Measured]] = {count: [] for count in asked.replicas}
    with arranged(server, max(found), plan) as arrangement:
        hold(True)
        for turn in range(asked.turns):
            for count in asked.replicas[:: -1 if turn % 2 else 1]:
                found[count].append(arrangement.measured(count, asked.seconds))
        hold(False)
    server.drop(DATABASE)
    return found


def _say(turns: Turns, limit: Mapping[int, Mapping[str, float]], asked: argparse.Namespace) -> None:
    names = ("rate (wall)", "ratio", "CPU Verifier", "CPU database", "transactions", "a Verifier uses")
    print(ROW.format("nothing new, PostgreSQL", *names, "throttled", "database", "machine"))
    first = next(iter(turns.values()))
    for count, found in turns.items():
        print(ROW.format(f"{count} Verifier{'s' * (count > 1)}", *_cells(found, first, asked)))
    print(
        "a Verifier uses: the least busy one at work, of its share, else of a core; throttled: periods in which that "
        "did not suffice;\ndatabase: what it uses of its share, else of a core; machine: cores busy with whatever"
    )
    print(f"the database alone, {WRITERS} writers")
    for batch, one in limit.items():
        print(f"{batch:>5} rows a transaction {one['rate']:>10,.0f}/s {one['database'] * 1e6:>9,.1f} µs")
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


def _cells(found: Sequence[Measured], first: Sequence[Measured], asked: argparse.Namespace) -> list[str]:
    def median(name: str) -> float:
        return statistics.median(float(getattr(one, name)) for one in found)

    ratios = sorted(one.rate / other.rate for one, other in zip(found, first, strict=True))
    low, middle, high = (ratios[len(ratios) * quarter // 4] for quarter in (1, 2, 3))
    throttled = "-" if asked.share is None else f"{median('throttled'):.0%}"
    return [
        f"{median('rate'):,.0f}/s",
        f"{middle:.2f} ({low:.2f}–{high:.2f})",
        f"{median('verifier_each') * 1e6:,.0f} µs",
        f"{median('database_each') * 1e6:,.0f} µs",
        f"{median('transactions'):.3f}",
        f"{median('verifier_least') / (asked.share or 1):.0%}",
        throttled,
        f"{median('database') / (asked.database_share or 1):.0%}",
        f"{median('machine'):.2f}",
    ]


if __name__ == "__main__":
    try:
        main()
    except ConfigError as error:
        raise SystemExit(str(error)) from error
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
