"""Every decoder is fuzzed, and no input that once broke one does so again. Needs no fuzzer."""

import ast
import contextlib
from pathlib import Path

import pytest

from bartizan.errors import DecodeError
from fuzz.targets import CRASHES, TARGETS, starting_points
from tests.architecture.tree import ROOT

FORMATS = ROOT / "src" / "bartizan" / "formats"


def decoders(path: Path) -> set[str]:
    """What one module decodes from bytes as they came; functions that take a reader are reached through these."""
    return {
        node.name.removeprefix("decode_")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("decode_") and takes_bytes(node)
    }


def takes_bytes(function: ast.FunctionDef) -> bool:
    first = function.args.args[0].annotation if function.args.args else None
    return isinstance(first, ast.Name) and first.id == "bytes"


def test_every_decoder_has_a_fuzz_target_of_its_name() -> None:
    assert not {name for path in FORMATS.glob("*.py") for name in decoders(path)} - set(TARGETS)


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_decodes_or_refuses_its_seeds_its_old_crashes_and_simple_junk(name: str) -> None:
    junk = [b"", b"\0", b"\xff" * 64, b"\0" * 64, bytes(range(256))]

    for raw in junk + starting_points(name):
        with contextlib.suppress(DecodeError):
            TARGETS[name].run(raw)


def test_every_folder_of_crashes_belongs_to_a_target() -> None:
    folders = {path.name for path in CRASHES.glob("*") if path.is_dir()}

    assert folders <= set(TARGETS)
