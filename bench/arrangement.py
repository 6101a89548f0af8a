"""So many Verifiers on one PostgreSQL, each with a fleet of its own at work: what they and the database need meanwhile.

CPU is the kernel's count for their processes, over some seconds in the midst of a steady load. Each Verifier can
be held to a share of a core, from when all nodes are enrolled.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, text

from bartizan.store.database import open_database
from bartizan.store.joining import register_eks
from bartizan.store.rules import Author
from bench.rounds import nodes
from bench.service import cpu_of
from bench.shares import Group, Throttling, group
from tests.integration.cluster import DATABASE, Cluster, Replica
from tests.postgresql import Server

ROOT = Path(__file__).parents[1]
AUTHOR = Author(project=1, account="bench", now=1)
WARM = 0.5
"""Seconds of load before a measurement."""
COUNTED = slice(1, 9)
"""Columns of the first line of `/proc/stat`, with a kind of time each."""
Load = subprocess.Popen[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What all Verifiers have alike. nodes, connections: of each Verifier; share: of a core."""

    nodes: int
    connections: int
    share: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What was seen; CPU in seconds an attestation where it says each, else in cores.

    rate: attestations a second; transactions: that wrote, an attestation; verifier_least: of the least busy Verifier;
    throttled: how many of its periods did not suffice, at the least; machine: all that runs on it.
    """

    rate: float
    verifier_each: float
    database_each: float
    transactions: float
    verifier_least: float
    throttled: float | None
    database: float
    machine: float


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counts:
    """All that is counted, at one moment."""

    at: float
    verifiers: Sequence[float]
    database: float
    machine: float
    wrote: int
    throttling: Sequence[Throttling]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrangement:
    """Verifiers with their fleets, of which the first ones work and the others idle."""

    server: Server
    engine: Engine
    replicas: Sequence[Replica]
    groups: Sequence[Group]
    loads: Sequence[Load]

    def measured(self, count: int, seconds: float) -> Measured:
        """What the first so many need at work, for so long."""
        loads = self.loads[:count]
        told(loads, "on")
        time.sleep(WARM)
        start, before = told(loads, "count"), self._counts(count)
        time.sleep(seconds)
        end, after = told(loads, "count"), self._counts(count)
        told(loads, "off")
        return _between(before, after, list(zip(start, end, strict=True)))

    def _counts(self, count: int) -> _Counts:
        with self.engine.connect() as connection:
            wrote = connection.execute(text("SELECT pg_snapshot_xmax(pg_current_snapshot())::text")).scalar_one()
        return _Counts(
            at=time.monotonic(),
            verifiers=[cpu_of(one.process.pid) for one in self.replicas[:count]],
            database=database_cpu(self.server),
            machine=machine_cpu(),
            wrote=int(wrote),
            throttling=[one.throttling() for one in self.groups[:count]],
        )


def database_cpu(server: Server) -> float:
    """CPU seconds of PostgreSQL's processes so far; those that serve a Verifier live as long as it does."""
    found = 0.0
    for pid in server.pids():
        with suppress(FileNotFoundError, ProcessLookupError):  # a worker that came for a moment
            found += cpu_of(pid)
    return found


def machine_cpu() -> float:
    """CPU seconds of all cores so far in which they had something to do."""
    times = map(int, Path("/proc/stat").read_text().split(maxsplit=COUNTED.stop)[COUNTED])
    user, nice, system, _idle, _waiting, interrupts, soft_interrupts, stolen = times
    return (user + nice + system + interrupts + soft_interrupts + stolen) / os.sysconf("SC_CLK_TCK")


@contextmanager
def arranged(server: Server, count: int, plan: Plan) -> Iterator[Arrangement]:
    """So many Verifiers, ready for work and held to their shares; their database stays."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bartizan-bench-")))
        groups = [stack.enter_context(group(f"verifier-{number}")) for number in range(count if plan.share else 0)]
        some = stack.enter_context(verifiers(server, folder, count))
        engine = stack.enter_context(open_database(server.url(DATABASE)))
        with engine.begin() as connection:
            rows = [(node.ek.name, node.name, node.role) for node in nodes(plan.nodes * count)]
            register_eks(connection, rows, author=AUTHOR)
        loads = stack.enter_context(fleets(some, plan))
        for one, held in zip(some, groups, strict=bool(groups)):
            held.enter([one.process.pid])
            held.hold(plan.share)
        yield Arrangement(server=server, engine=engine, replicas=some, groups=groups, loads=loads)


@contextmanager
def verifiers(server: Server, folder: Path, count: int) -> Iterator[list[Replica]]:
    """So many, on a new database."""
    server.create(DATABASE)
    made = Cluster(server, folder)
    with ExitStack() as stack:
        for number in range(count):
            one = made.add(f"verifier-{number}", Straight("127.0.0.1", server.port))
            stack.callback(one.process.kill)
            one.start()
        yield made.replicas


@contextmanager
def fleets(some: Sequence[Replica], plan: Plan) -> Iterator[list[Load]]:
    """A fleet for each Verifier, enrolled and attested in full."""
    with ExitStack() as stack:
        made = []
        for number, one in enumerate(some):
            options = {"port": one.port, "nodes": plan.nodes, "first": number * plan.nodes}
            options |= {"connections": plan.connections}
            arguments = [part for name, value in options.items() for part in (f"--{name}", str(value))]
            made.append(stack.enter_context(started("bench.steady", *arguments)))
        for process in made:
            line(process)
        yield made


def started(module: str, *arguments: str) -> Load:
    """One of our processes that is told by lines what to do; it ends with its standard input, not with Ctrl-C."""
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )


def line(process: Load) -> dict[str, Any]:
    """What it says next."""
    assert process.stdout is not None
    found: dict[str, Any] = json.loads(process.stdout.readline())
    return found


def told(some: Sequence[Load], word: str) -> list[dict[str, Any]]:
    """Tell all of them at once, and what each answers."""
    for one in some:
        assert one.stdin is not None
        one.stdin.write(word + "\n")
        one.stdin.flush()
    return [line(one) for one in some]


def _between(before: _Counts, after: _Counts, spans: Sequence[tuple[dict[str, Any], dict[str, Any]]]) -> Measured:
    seconds = after.at - before.at
    accepted = sum(end["accepted"] - start["accepted"] for start, end in spans)
    each = [end - start for start, end in zip(before.verifiers, after.verifiers, strict=True)]
    database = after.database - before.database
    return Measured(
        rate=sum((end["accepted"] - start["accepted"]) / (end["at"] - start["at"]) for start, end in spans),
        verifier_each=sum(each) / accepted,
        database_each=database / accepted,
        transactions=(after.wrote - before.wrote) / accepted,
        verifier_least=min(each) / seconds,
        throttled=min(map(_throttled, before.throttling, after.throttling), default=None),
        database=database / seconds,
        machine=(after.machine - before.machine) / seconds,
    )


def _throttled(before: Throttling, after: Throttling) -> float:
    return (after.throttled - before.throttled) / max(1, after.periods - before.periods)
