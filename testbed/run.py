"""`make testbed`: plays scenarios on real measured boots, prints a table, leaves a report.

Exit: 0 all as expected, 1 one is not, 2 a scenario or option cannot be used, 3 QEMU, a TPM or apt failed.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bartizan.app.demo.ending import ending_cleanly
from bartizan.connectors.swtpm.manufacture import open_factory
from bartizan.errors import BartizanError, ConfigError
from testbed.fleet import Fleet
from testbed.image import built, cache_folder
from testbed.play import Played, play
from testbed.report import page, record, table
from testbed.scenario import Scenario, chosen, read_scenarios
from testbed.verifier import verifier

GOOD, BAD, REFUSED, OUTSIDE = range(4)
REPORT = "report.md"
PROGRAMS = {"QEMU": ["qemu-system-x86_64", "--version"], "swtpm": ["swtpm", "--version"]}


def say(text: str) -> None:
    """A line for people, at once."""
    print(text, flush=True)


@contextmanager
def fleet(folder: Path, cache: Path) -> Iterator[Fleet]:
    """Image, TPM factory and Verifier of a run; whatever runs is switched off afterwards."""
    image = built(cache)
    with ExitStack() as stack:
        factory = stack.enter_context(open_factory(folder / "factory"))
        roots = folder / "roots"
        roots.mkdir()
        found = Fleet(folder=folder, image=image, factory=factory, roots=roots)
        stack.callback(found.switch_off)
        found.make_authority()
        found.verifier = stack.enter_context(verifier(folder / "service", roots))
        yield found


def played(here: Fleet, scenarios: Sequence[Scenario]) -> Iterator[Played]:
    """Each scenario as it ends; machines that no later one needs are taken apart."""
    for number, scenario in enumerate(scenarios):
        say(f"{scenario.name}: {scenario.what}")
        done = play(here, scenario, say)
        yield done
        needed = {name for later in scenarios[number + 1 :] for name in (later.on, later.clone_of)}
        for name in [*here.machines]:
            if name not in needed:
                here.discard(here.machines[name])


def main(arguments: Sequence[str] | None = None) -> int:
    """Play; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="SCENARIO", help="these, and what they go on from (default: all)")
    parser.add_argument("--short", action="store_true", help="the set that CI plays")
    parser.add_argument("--out", type=Path, help="folder of the run, which stays (default: a temporary one)")
    parser.add_argument("--cache", type=Path, default=cache_folder(), help="where images are kept (%(default)s)")
    parser.add_argument("--record", action="store_true", help="keep this run for the documentation")
    given = parser.parse_args(arguments)
    try:
        scenarios = chosen(read_scenarios(), given.names, short=given.short)
        with ending_cleanly(), ExitStack() as stack:
            folder = given.out or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bartizan-testbed-")))
            return _run(folder, given.cache, scenarios, keep=given.record)
    except ConfigError as error:
        say(f"refused: {error}")
        return REFUSED
    except BartizanError as error:
        say(f"failed: {error}")
        return OUTSIDE


def _run(folder: Path, cache: Path, scenarios: Sequence[Scenario], *, keep: bool) -> int:
    begun = time.monotonic()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    done: list[Played] = []
    with fleet(folder, cache) as here:
        say(f"image {here.image.folder.name}, ready after {time.monotonic() - begun:.0f} s")
        for one in played(here, scenarios):
            done.append(one)
            (folder / REPORT).write_text(page(done), encoding="utf-8")
            if keep:
                record(done, _versions(here))
    seconds = time.monotonic() - begun
    say(f"\n{table(done)}")
    boots = sum(one.boots for one in done)
    good = sum(one.passed for one in done)
    say(f"{good} of {len(done)} as expected, {boots} boots, {seconds:.0f} s; {folder / REPORT}")
    return GOOD if all(one.passed for one in done) else BAD


def _versions(here: Fleet) -> dict[str, str]:
    """What the machines are made of."""
    return {"kernel": here.image.kernel, **{name: _version(command) for name, command in PROGRAMS.items()}}


def _version(command: Sequence[str]) -> str:
    """The first version number that a program says of itself."""
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    found = re.search(r"\d+\.\d+[\d.]*", said)
    return found[0] if found else "unknown"


if __name__ == "__main__":
    sys.exit(main())
