"""Fuzzes one target in this process: `python -m fuzz.one NAME [libFuzzer options and folders]`."""

import contextlib
import resource
import sys

import atheris

from bartizan.errors import DecodeError

with atheris.instrument_imports(include=["bartizan"]):
    from fuzz.targets import TARGETS

MEMORY = 3 << 30
"""Address space in bytes. A decoder that asks for more gets a MemoryError, which is a crash like any other."""


def main() -> None:
    target = TARGETS[sys.argv.pop(1)]
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))

    def attempt(raw: bytes) -> None:
        with contextlib.suppress(DecodeError):
            target(raw)

    atheris.Setup(sys.argv, attempt)
    atheris.Fuzz()


main()
