"""What is fuzzed: every decoder by name, with the recorded evidence that seeds it. It needs no fuzzer to import.

A target takes any bytes and returns, or raises `DecodeError`; whatever else escapes is a bug.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bartizan.formats.reader import Reader
from bartizan.formats.tcg_log import decode_boot_log
from bartizan.formats.tpm2 import (
    decode_attest,
    decode_credential,
    decode_public,
    decode_selections,
    decode_signature,
)

VECTORS = Path(__file__).parents[1] / "tests" / "vectors"
CRASHES = VECTORS / "crashes"
SMALL, LARGE = 4096, 65536
"""Longest input in bytes: for one structure, for a whole log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One decoder under test; `seeds` are patterns of files below `tests/vectors`."""

    run: Callable[[bytes], object]
    seeds: tuple[str, ...]
    longest: int = SMALL


def credential(raw: bytes) -> object:
    """A credential's two parts in one input: a byte that says where to cut, then both."""
    cut = 1 + (raw[0] if raw else 0)
    return decode_credential(raw[1:cut], raw[cut:])


def selections(raw: bytes) -> object:
    """A PCR selection list as it stands inside larger structures."""
    return decode_selections(Reader(raw))


TARGETS: dict[str, Target] = {
    "tpm2_public": Target(run=decode_public, seeds=("**/*.pub",)),
    "tpm2_attest": Target(run=decode_attest, seeds=("**/*.attest",)),
    "tpm2_signature": Target(run=decode_signature, seeds=("**/*.sig",)),
    "tpm2_selection": Target(run=selections, seeds=()),
    "tpm2_credential": Target(run=credential, seeds=()),
    "tcg_log": Target(run=decode_boot_log, seeds=("**/bios_at_quote.bin", "boot_logs/**/*.bin"), longest=LARGE),
}


def seed_files(target: Target) -> list[Path]:
    """The recorded inputs of a target that are not over its longest input."""
    found = {path for pattern in target.seeds for path in VECTORS.glob(pattern) if path.is_file()}
    return sorted(path for path in found if path.stat().st_size <= target.longest)


def crash_files(name: str) -> list[Path]:
    """Inputs that once broke a target, kept for good."""
    return sorted(path for path in (CRASHES / name).glob("*") if path.is_file())
