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
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from bartizan.app.service.settings import Settings
from bench.fleet.engine import Engine
from bench.fleet.prepared import fleet_in, looking_at, prepared
from bench.fleet.real import RealNodes, let_in, real_nodes
from bench.fleet.report import show
from bench.fleet.scenarios import ALONE, SCENARIOS, warm_up
from bench.fleet.shapes import Shapes
from bench.fleet.stage import Outcome, Stage, Terms, playing
from bench.fleet.verifier import Verifier

NODES = 2_000
EXPIRED_AFTER = 5
"""Times the seconds after which a node is late."""


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
    parser.add_argument("--real", type=int, default=0, help="agents with emulated TPMs beside them")
    parser.add_argument("--states", type=int, help="storage.states of the service (default: its own)")
    parser.add_argument("--cache", type=Path, default=cache, help="where prepared folders are kept")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32), help="to repeat a run")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of the table")
    asked = parser.parse_args()
    unknown = set(asked.scenario) - set(names)
    if unknown:
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}")
    return asked


def settings_of(asked: argparse.Namespace, real: RealNodes | None) -> str:
    """The service's settings."""
    storage = "" if asked.states is None else f"[storage]\nstates = {asked.states}\n"
    roots = "" if real is None else f'[trust]\nroots = "{real.folder / "roots"}"\n'
    return (
        f"[attestation]\nperiod = {asked.period}\nlate = {asked.late}\nexpired = {asked.late * EXPIRED_AFTER}\n"
        f"{storage}{roots}"
    )


def stage_of(asked: argparse.Namespace, scratch: Path, *, services: int, real: RealNodes | None) -> Stage:
    """A stage with so many services, the nodes shared out among them."""
    count = asked.nodes // services
    source = prepared(asked.cache, count=count, files=asked.files, new=asked.new, say=say)
    shapes = Shapes.recorded(asked.new)
    verifiers, nodes = [], []
    for number in range(services):
        folder = scratch / f"service-{services}-{number}"
        shutil.copytree(source, folder)
        verifiers.append(Verifier(folder, settings_of(asked, real)))
        with looking_at(Settings(data=str(folder)).database_url) as engine:
            nodes.append(fleet_in(engine, shapes))
    terms = Terms(
        period=asked.period,
        late=asked.late,
        seconds=asked.seconds,
        storm=asked.storm or max(1, asked.nodes // 10),
    )
    return Stage(
        terms=terms,
        verifiers=verifiers,
        nodes=[node for together in zip(*nodes, strict=True) for node in together],
        shapes=shapes,
        engine=Engine(endpoints=(), connections=asked.connections, chance=random.Random(asked.seed)),
        say=say,
    )


def verdict(outcome: Outcome) -> str:
    """Whether it passed, and what did not hold."""
    missed = [f"  does not hold: {one.what}; found {one.found}" for one in outcome.checks if not one.held]
    return "\n".join(["  FAILED", *missed] if missed else ["  passed"])


async def play(stage: Stage, names: Sequence[str], real: RealNodes | None) -> list[Outcome]:
    """These scenarios on one stage, one after the other."""
    outcomes = []
    async with playing(stage):
        if real is not None:
            real.begin(stage.verifier.port)
        try:
            for name, scenario in [("start", warm_up), *((name, {**SCENARIOS, **ALONE}[name]) for name in names)]:
                say(f"{name}: {' '.join((scenario.__doc__ or '').split())}")
                outcomes.append(await scenario(stage))
                say(verdict(outcomes[-1]))
        finally:
            if real is not None:
                await asyncio.to_thread(real.end)
    return outcomes


def played(asked: argparse.Namespace, scratch: Path, names: Sequence[str], *, services: int) -> list[Outcome]:
    """The outcomes of these scenarios; real agents attest to a service that is alone."""
    with ExitStack() as stack:
        real = None
        if asked.real and services == 1:
            real = stack.enter_context(real_nodes(scratch / "real", asked.real))
        stage = stage_of(asked, scratch, services=services, real=real)
        if real is not None:
            let_in(stage.verifier.data, real.names)
        outcomes = asyncio.run(play(stage, names, real))
        if real is not None:
            last = outcomes[-1]
            both = [*last.checks, *real.checks()]
            outcomes[-1] = replace(last, checks=both, figures={**last.figures, "real": real.figures()})
        return outcomes


def main() -> None:
    """Play, and print."""
    asked = asked_for()
    wanted = asked.scenario or [*SCENARIOS, *ALONE]
    say(f"{asked.nodes:,} nodes at {asked.period} s, --seed {asked.seed}")
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory(prefix="bartizan-fleet-") as scratch:
        for group, services in ((SCENARIOS, 1), (ALONE, 2)):
            names = [name for name in group if name in wanted]
            if names:
                outcomes += played(asked, Path(scratch), names, services=services)
    if asked.json:
        said = {name: value for name, value in vars(asked).items() if name not in {"cache", "json", "scenario"}}
        print(json.dumps({"asked": said, "scenarios": [one.document() for one in outcomes]}, indent=1))
    else:
        show(outcomes)
    sys.exit(not all(outcome.passed for outcome in outcomes))


if __name__ == "__main__":
    main()
