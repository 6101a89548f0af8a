"""Builds the C floor and measures with it."""

import subprocess
from pathlib import Path

from bench.lists import SIZES
from bench.measure import LEAST, REPEATS

SOURCE = Path(__file__).with_name("floor.c")
Seconds = tuple[list[float], str]


def build(folder: Path) -> Path:
    """The floor's program, compiled here and now."""
    program = folder / "floor"
    subprocess.run(["cc", "-O2", "-Wall", "-o", program, SOURCE, "-lcrypto"], check=True)
    return program


QUOTE = ("quote", "ak.der", "quote.attest", "signature.raw", "pcrs.bin")
WORK: dict[str, tuple[str, ...]] = {
    "quote-rsa2048": QUOTE,
    "quote-p256": QUOTE,
    "boot-log": ("boot-log", "boot.bin"),
    **{f"ima-{form}-{size}": (f"ima-{form}", form) for form in ("binary", "ascii") for size in SIZES},
}
"""For each part the floor's work and the files it takes."""


def once(program: Path, name: str, folder: Path, loops: int) -> tuple[float, str]:
    """CPU seconds of one loop, and the result."""
    work, *files = WORK[name]
    command = [program, work, *(folder / file for file in files), str(loops)]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds, result = run.stdout.split()
    return float(seconds), result


def measure_floor(program: Path, name: str, folder: Path) -> Seconds:
    """CPU seconds of each repeat, and the result."""
    guess, result = once(program, name, folder, 1)
    loops = max(1, round(LEAST / max(guess, 1e-7)))
    return [once(program, name, folder, loops)[0] for _ in range(REPEATS)], result
