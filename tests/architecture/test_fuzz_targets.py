"""Every decoder is fuzzed, and no input that once broke one does so again. Needs no fuzzer."""

import ast
import contextlib
from pathlib import Path

import pytest

from bartizan.errors import DecodeError
from fuzz.targets import CRASHES, TARGETS, crash_files, seed_files
from tests.architecture.tree import ROOT

FORMATS = ROOT / "src" / "bartizan" / "formats"


def decoders(path: Path) -> set[str]:
    """The public decoding functions of one module."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return {node.name for node in body if isinstance(node, ast.FunctionDef) and node.name.startswith("decode_")}


def test_every_decoder_has_a_fuzz_target() -> None:
    imported = {
        alias.name
        for node in ast.walk(ast.parse((ROOT / "fuzz" / "targets.py").read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }

    assert not {name for path in FORMATS.glob("*.py") for name in decoders(path)} - imported


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_decodes_or_refuses_its_seeds_its_old_crashes_and_simple_junk(name: str) -> None:
    junk = [b"", b"\0", b"\xff" * 64, b"\0" * 64, bytes(range(256))]
    kept = [path.read_bytes() for path in (*seed_files(TARGETS[name]), *crash_files(name))]

    for raw in junk + kept:
        with contextlib.suppress(DecodeError):
            TARGETS[name].run(raw)


def test_every_folder_of_crashes_belongs_to_a_target() -> None:
    folders = {path.name for path in CRASHES.glob("*") if path.is_dir()}

    assert folders <= set(TARGETS)
