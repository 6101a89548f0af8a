"""Fuzzes the targets one after another and prints what each did; inputs that broke one are kept as test vectors.

Each target runs in a process of its own with bounds on time, memory and input size, from a throw-away corpus seeded
with recorded evidence. Exit status 1 when anything but `DecodeError` escaped, or a run did not end well.
"""

import argparse
import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from fuzz.targets import CRASHES, TARGETS, longest, starting_points

RSS_LIMIT = 1024
"""MiB a target may hold. The interpreter with coverage and the largest input needs about 200."""
ONE_INPUT = 10
"""Seconds one input may take."""
ROW = "{:<22} {:>12} {:>9} {:>7} {:>9} {:>6} {:>7}  {}"
STATISTICS = {
    "executions": r"stat::number_of_executed_units:\s*(\d+)",
    "speed": r"stat::average_exec_per_sec:\s*(\d+)",
    "memory": r"stat::peak_rss_mb:\s*(\d+)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One target's run; `memory` in MiB, `coverage` in edges, `log` is the fuzzer's own report."""

    executions: int
    speed: int
    memory: int
    coverage: int
    seeds: int
    crashes: tuple[Path, ...]
    status: int
    log: str


def seed(folder: Path, inputs: list[bytes]) -> int:
    """Writes a corpus under names that cannot clash, and says how many inputs it has."""
    for raw in inputs:
        (folder / hashlib.sha256(raw).hexdigest()).write_bytes(raw)
    return len(list(folder.iterdir()))


def keep(name: str, found: list[Path]) -> tuple[Path, ...]:
    """Moves the inputs that broke a target to the test vectors."""
    folder = CRASHES / name
    if found:
        folder.mkdir(parents=True, exist_ok=True)
    return tuple(Path(shutil.move(path, folder / path.name)) for path in found)


def last_number(pattern: str, log: str) -> int:
    """The last number a pattern finds in the fuzzer's report; 0 if it says none."""
    found = re.findall(pattern, log)
    return int(found[-1]) if found else 0


def fuzz(name: str, seconds: int) -> Outcome:
    """One run of one target."""
    with tempfile.TemporaryDirectory(prefix="bartizan-fuzz-") as scratch:
        corpus, artifacts = Path(scratch, "corpus"), Path(scratch, "artifacts")
        corpus.mkdir()
        artifacts.mkdir()
        inputs = starting_points(name)
        seeds = seed(corpus, inputs)
        command = [
            *(sys.executable, "-m", "fuzz.one", name),
            *(f"-max_total_time={seconds}", f"-timeout={ONE_INPUT}", f"-max_len={longest(inputs)}"),
            *(f"-rss_limit_mb={RSS_LIMIT}", f"-malloc_limit_mb={RSS_LIMIT}", "-print_final_stats=1"),
            *(f"-artifact_prefix={artifacts}/", str(corpus)),
        ]
        run = subprocess.run(command, check=False, capture_output=True, text=True, errors="replace")
        log = run.stdout + run.stderr
        numbers = {key: last_number(pattern, log) for key, pattern in STATISTICS.items()}
        crashes = keep(name, sorted(artifacts.iterdir()))
    coverage = last_number(r"\bcov: (\d+)", log)
    return Outcome(coverage=coverage, seeds=seeds, crashes=crashes, status=run.returncode, log=log, **numbers)


def report(name: str, outcome: Outcome) -> bool:
    """Prints one row, and the fuzzer's own words where something escaped; true if nothing did."""
    good = outcome.status == 0 and not outcome.crashes
    print(
        ROW.format(
            name,
            f"{outcome.executions:,}",
            f"{outcome.speed:,}",
            outcome.coverage,
            f"{outcome.memory} MiB",
            outcome.seeds,
            len(outcome.crashes),
            "only DecodeError" if good else "BROKEN",
        ),
        flush=True,
    )
    if not good:
        print(outcome.log[-4000:])
        print(*(f"kept: {path}" for path in outcome.crashes), sep="\n", flush=True)
    return good


def main() -> int:
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("target", nargs="*", choices=[*TARGETS, []], help="all when none is named")
    asked = parser.parse_args()
    names = asked.target or list(TARGETS)
    print(f"{len(names)} targets, {asked.seconds} s each")
    print(ROW.format("target", "executions", "per s", "edges", "peak RSS", "seeds", "crashes", "escaped"), flush=True)
    good = [report(name, fuzz(name, asked.seconds)) for name in names]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
