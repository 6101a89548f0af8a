"""One and two Verifiers on one PostgreSQL: CPU of each attestation in the Verifiers and in the database, and its limit.

Software nodes speak the true protocol over HTTP, nothing new in their lists, every check on, every acceptance synced to
the disk. CPU is read from the kernel, of the Verifiers' processes and of PostgreSQL's apart, so that a machine that has
fewer cores than the load needs still says what each costs. The database's own limit is asked without any Verifier: the
very statement that accepts, from processes that do nothing else.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bartizan.store.database import open_database
from bartizan.store.joining import register_eks
from bartizan.store.rules import Author
from bench.rounds import nodes
from bench.service import cpu_of, memory_of
from tests.integration.cluster import DATABASE, Cluster, Replica
from tests.postgresql import Server
from tests.postgresql import running as postgresql

ROOT = Path(__file__).parents[1]
AUTHOR = Author(project=1, account="bench", now=1)
ROW = "{:<30} {:>12} {:>14} {:>14} {:>10} {:>10}"
BATCHES = (1, 8, 64, 500)
"""Attestations of one transaction."""


@dataclass
class Straight:
    """The way to the database with nothing between."""

    host: str
    port: int

    def cut(self) -> None:
        """Nobody does that here."""

    def mend(self) -> None:
        """The same."""

    def close(self) -> None:
        """There is nothing to close."""


def database_cpu(server: Server) -> float:
    """CPU seconds of PostgreSQL's processes so far; those that serve a Verifier live as long as it does."""
    found = 0.0
    for pid in server.pids():
        with suppress(FileNotFoundError, ProcessLookupError):  # a worker that came for a moment
            found += cpu_of(pid)
    return found


@contextmanager
def verifiers(server: Server, folder: Path, count: int) -> Iterator[list[Replica]]:
    """So many, on a new database."""
    server.create(DATABASE)
    made = Cluster(server, folder)
    with ExitStack() as stack:
        stack.callback(server.drop, DATABASE)
        for number in range(count):
            one = made.add(f"verifier-{number}", Straight("127.0.0.1", server.port))
            stack.callback(one.process.kill)
            one.start()
        yield made.replicas


@contextmanager
def fleets(
    some: Sequence[Replica], each: int, rounds: int, connections: int
) -> Iterator[list["subprocess.Popen[str]"]]:
    """A fleet for each Verifier, enrolled and attested in full."""
    with ExitStack() as stack:
        made = []
        for number, one in enumerate(some):
            options = {"port": one.port, "nodes": each, "first": number * each}
            options |= {"rounds": rounds, "connections": connections}
            arguments = [part for name, value in options.items() for part in (f"--{name}", str(value))]
            command = [sys.executable, "-m", "bench.rounds", *arguments]
            process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            made.append(stack.enter_context(process))
        for process in made:
            _line(process)
        yield made


def _line(process: "subprocess.Popen[str]") -> dict[str, Any]:
    assert process.stdout is not None
    found: dict[str, Any] = json.loads(process.stdout.readline())
    return found


def attested(server: Server, count: int, *, each: int, rounds: int, connections: int) -> dict[str, float]:
    """What so many Verifiers need for an attestation, each with a fleet of its own."""
    scratch = tempfile.TemporaryDirectory(prefix="bartizan-bench-")
    with scratch as folder, verifiers(server, Path(folder), count) as some:
        with open_database(server.url(DATABASE)) as engine, engine.begin() as connection:
            rows = [(node.ek.name, node.name, node.role) for node in nodes(each * count)]
            register_eks(connection, rows, author=AUTHOR)
        with fleets(some, each, rounds, connections) as loads:
            found = [_round(server, some, loads) for _ in range(rounds)]
        memory = max(memory_of(one.process.pid) for one in some)
    every = each * count
    return {
        "rate": every / statistics.median(seconds for _, _, _, seconds in found),
        "verifier": statistics.median(cpu for cpu, _, _, _ in found) / every,
        "database": statistics.median(cpu for _, cpu, _, _ in found) / every,
        "commits": statistics.median(commits for _, _, commits, _ in found) / every,
        "memory": memory,
    }


def _round(
    server: Server, some: Sequence[Replica], loads: Sequence["subprocess.Popen[str]"]
) -> tuple[float, float, int, float]:
    """Every node once: CPU of the Verifiers and of the database, transactions, seconds."""
    pids = [one.process.pid for one in some]
    commits = _commits(server)
    before = (sum(map(cpu_of, pids)), database_cpu(server))
    _go(loads)
    seconds = max(_line(load)["seconds"] for load in loads)
    after = (sum(map(cpu_of, pids)), database_cpu(server))
    return after[0] - before[0], after[1] - before[1], _commits(server) - commits, seconds


def _go(some: Sequence["subprocess.Popen[str]"]) -> None:
    for one in some:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()


def _commits(server: Server) -> int:
    """Transactions of the database so far, as far as it has counted them."""
    server.sql("SELECT pg_stat_force_next_flush()")
    return int(server.sql(f"SELECT xact_commit FROM pg_stat_database WHERE datname = '{DATABASE}'"))  # noqa: S608  ours


def saturated(server: Server, batch: int, *, writers: int, rows: int, seconds: float) -> dict[str, float]:
    """The statement that accepts, from so many processes at once, so many rows a transaction."""
    command = [sys.executable, "-m", "bench.accepting", server.url(DATABASE), str(batch), str(rows), str(seconds)]
    with ExitStack() as stack:
        made = [
            stack.enter_context(
                subprocess.Popen(
                    [*command, str(number)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
                )
            )
            for number in range(writers)
        ]
        for one in made:
            _line(one)
        before = database_cpu(server)
        _go(made)
        written = sum(_line(one)["written"] for one in made)
        cpu = database_cpu(server) - before
        _go(made)
    return {"rate": written / seconds, "database": cpu / written}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=300, help="of each Verifier")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--connections", type=int, default=64, help="to each Verifier")
    parser.add_argument("--seconds", type=float, default=3.0, help="for each size of transaction")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    with postgresql() as server:
        made = {
            count: attested(server, count, each=asked.nodes, rounds=asked.rounds, connections=asked.connections)
            for count in (1, 2)
        }
        server.create(DATABASE)
        limit = {batch: saturated(server, batch, writers=2, rows=2_000, seconds=asked.seconds) for batch in BATCHES}
    if asked.json:
        print(json.dumps({"verifiers": made, "database": limit}, indent=1))
        return
    _say(made, limit)


def _say(made: dict[int, dict[str, float]], limit: dict[int, dict[str, float]]) -> None:
    print(ROW.format("nothing new, PostgreSQL", "rate (wall)", "CPU Verifier", "CPU database", "commits", "memory"))
    for count, one in made.items():
        cells = (f"{one['rate']:,.0f}/s", f"{one['verifier'] * 1e6:,.0f} µs", f"{one['database'] * 1e6:,.0f} µs")
        name = f"{count} Verifier{'s' * (count > 1)}"
        print(ROW.format(name, *cells, f"{one['commits']:.2f}", f"{one['memory']:,.0f} MiB"))
    print(ROW.format("the database alone, 2 writers", "rate (wall)", "", "CPU database", "", ""))
    for batch, found in limit.items():
        cells = (f"{found['rate']:,.0f}/s", "", f"{found['database'] * 1e6:,.1f} µs", "", "")
        print(ROW.format(f"{batch} rows a transaction", *cells))
    two = made[2]
    print(
        f"a core of Verifier does {1 / two['verifier']:,.0f}/s, a core of database {1 / two['database']:,.0f}/s: "
        f"{two['verifier'] / two['database']:.1f} cores of Verifiers to one of the database"
    )


if __name__ == "__main__":
    main()
