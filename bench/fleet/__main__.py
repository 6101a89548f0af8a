"""`make fleet-test`: a fleet of software attesters against one service on loopback, and what must hold under it.

The service is the real one, with every check on and SQLite on disk. Software attesters have recorded logs and keys of
their own and speak the protocol as agents do, but share connections, without TLS. The nodes are enrolled beforehand,
by the service's own code, into a folder that is kept for the next run.
"""

import argparse
import asyncio
import json
import os
import random
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bartizan.app.service.settings import Settings
from bench.fleet.engine import Engine
from bench.fleet.prepared import fleet_in, looking_at, prepared
from bench.fleet.report import show
from bench.fleet.scenarios import ALONE, SCENARIOS, warm_up
from bench.fleet.shapes import Shapes
from bench.fleet.stage import Outcome, Stage, Terms, playing
from bench.fleet.verifier import Verifier

NODES = 2_000
STATES_AS_NODES = 1.1
"""Node states that the service may hold, for each node."""
ENTRIES = 200_000_000


def say(text: str) -> None:
    """Progress, beside what is printed."""
    print(text, file=sys.stderr, flush=True)


def asked_for() -> argparse.Namespace:
    """The command line."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bartizan-fleet"
    parser = argparse.ArgumentParser(prog="make fleet-test", description=__doc__)
    names = (*SCENARIOS, *ALONE)
    parser.add_argument("scenario", nargs="*", help=f"all when none is named: {', '.join(names)}")
    parser.add_argument("--nodes", type=int, default=NODES)
    parser.add_argument("--period", type=int, default=60, help="seconds between two attestations of a node")
    parser.add_argument("--late", type=int, default=60, help="seconds behind its due time after which a node is late")
    parser.add_argument("--seconds", type=float, default=60.0, help="of steady, slow and, up to 60, ceiling")
    parser.add_argument("--storm", type=int, help="nodes that reboot at once (default: a tenth)")
    parser.add_argument("--new", type=int, default=50, help="IMA entries that the update brings to each node")
    parser.add_argument("--files", type=int, default=10_000, help="files in the Reference Values")
    parser.add_argument("--connections", type=int, default=200)
    parser.add_argument("--states", type=int, help="storage.states of the service (default: all nodes, and a tenth)")
    parser.add_argument("--cache", type=Path, default=cache, help="where prepared folders are kept")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32), help="to repeat a run")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of the table")
    asked = parser.parse_args()
    unknown = set(asked.scenario) - set(names)
    if unknown:
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}")
    return asked


def settings_of(asked: argparse.Namespace, nodes: int) -> str:
    """The service's settings."""
    states = asked.states or int(nodes * STATES_AS_NODES) + 100
    return (
        f"[attestation]\nperiod = {asked.period}\nlate = {asked.late}\nexpired = {asked.late * 5}\n"
        f"[storage]\nstates = {states}\nentries = {ENTRIES}\n"
    )


async def play(
    asked: argparse.Namespace, source: Path, scratch: Path, names: Sequence[str], *, services: int
) -> list[Outcome]:
    """These scenarios on one stage; so many services have the nodes of the source folder each."""
    count = asked.nodes // services
    shapes = Shapes.recorded(asked.new)
    verifiers, nodes = [], []
    for number in range(services):
        folder = scratch / f"service-{services}-{number}"
        shutil.copytree(source, folder)
        verifiers.append(Verifier(folder, settings_of(asked, count)))
        with looking_at(Settings(data=str(folder)).database_url) as engine:
            nodes.append(fleet_in(engine, shapes))
    terms = Terms(
        period=asked.period,
        late=asked.late,
        expired=asked.late * 5,
        seconds=asked.seconds,
        storm=asked.storm or max(1, asked.nodes // 10),
        connections=asked.connections,
    )
    every = [node for together in zip(*nodes, strict=True) for node in together]
    stage = Stage(
        terms=terms,
        verifiers=verifiers,
        nodes=every,
        shapes=shapes,
        engine=Engine(endpoints=(), connections=asked.connections, chance=random.Random(asked.seed)),
        say=say,
    )
    outcomes = []
    async with playing(stage):
        for name, scenario in [("start", warm_up), *((name, {**SCENARIOS, **ALONE}[name]) for name in names)]:
            say(f"{name}: {' '.join((scenario.__doc__ or '').split())}")
            outcomes.append(await scenario(stage))
            say(f"  {'passed' if outcomes[-1].passed else 'FAILED'}")
    return outcomes


def main() -> None:
    """Play, and print."""
    asked = asked_for()
    wanted = asked.scenario or [*SCENARIOS, *ALONE]
    say(f"{asked.nodes:,} nodes at {asked.period} s, --seed {asked.seed}")
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory(prefix="bartizan-fleet-") as scratch:
        for names, services in (
            ([name for name in SCENARIOS if name in wanted], 1),
            ([name for name in ALONE if name in wanted], 2),
        ):
            if names:
                count = asked.nodes // services
                source = prepared(asked.cache, count=count, files=asked.files, new=asked.new, say=say)
                outcomes += asyncio.run(play(asked, source, Path(scratch), names, services=services))
    if asked.json:
        said = {name: value for name, value in vars(asked).items() if name not in {"cache", "json", "scenario"}}
        print(json.dumps({"asked": said, "scenarios": [one.document() for one in outcomes]}, indent=1))
    else:
        show(outcomes)
    sys.exit(not all(outcome.passed for outcome in outcomes))


if __name__ == "__main__":
    main()
