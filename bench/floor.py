"""Builds the C floor and measures with it."""

import statistics
import subprocess
from pathlib import Path

from bench.lists import SIZES
from bench.measure import LEAST, REPEATS

SOURCE = Path(__file__).with_name("floor.c")


def build(folder: Path) -> Path:
    """The floor's program, compiled here and now."""
    program = folder / "floor"
    subprocess.run(["cc", "-O2", "-Wall", "-o", program, SOURCE, "-lcrypto"], check=True)
    return program


Step = tuple[str, ...]
"""One work of the floor and the files it takes."""
QUOTE: Step = ("quote", "ak.der", "quote.attest", "signature.raw", "pcrs.bin")
WORK: dict[str, tuple[Step, ...]] = {
    "quote-rsa2048": (QUOTE,),
    "quote-p256": (QUOTE,),
    "boot-log": (("boot-log", "boot.bin"),),
    "appraise-full": (QUOTE, ("boot-log", "bios_at_quote.bin"), ("ima-binary", "ima_at_quote.bin")),
    "appraise-again": (QUOTE,),
    "appraise-again-20": (QUOTE, ("ima-binary", "new_entries")),
    **{f"ima-{form}-{size}": ((f"ima-{form}", form),) for form in ("binary", "ascii") for size in SIZES},
}
"""For each part the works whose sum is its floor."""


def once(program: Path, step: Step, folder: Path, loops: int) -> tuple[float, str]:
    """CPU seconds of one loop, and the result."""
    work, *files = step
    command = [program, work, *(folder / file for file in files), str(loops)]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds, result = run.stdout.split()
    return float(seconds), result


def measure_step(program: Path, step: Step, folder: Path) -> tuple[list[float], str]:
    """CPU seconds of each repeat of one work, and its result."""
    guess, result = once(program, step, folder, 1)
    loops = max(1, round(LEAST / max(guess, 1e-7)))
    return [once(program, step, folder, loops)[0] for _ in range(REPEATS)], result


def measure_floor(program: Path, name: str, folder: Path) -> tuple[float, str]:
    """Median CPU seconds of a part's floor, and the last work's result."""
    measured = [measure_step(program, step, folder) for step in WORK[name]]
    return sum(statistics.median(seconds) for seconds, _ in measured), measured[-1][1]
