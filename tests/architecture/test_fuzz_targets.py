"""Every decoder is fuzzed, and no input that once broke one does so again. Needs no fuzzer."""

import contextlib

import pytest

from bartizan.errors import DecodeError
from fuzz.targets import CRASHES, SEEDS, TARGETS, public_decoders, starting_points


def test_every_decoder_has_a_fuzz_target_of_its_name() -> None:
    named = {name for name, _ in public_decoders()}

    assert {"boot_log", "ima", "attest", "certificate"} <= named
    assert not named - set(TARGETS), "add those that take more than bytes to MADE in fuzz/targets.py"


def test_seeds_are_for_targets_that_there_are() -> None:
    assert not {name for name in SEEDS if name not in TARGETS}


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_decodes_or_refuses_its_seeds_its_old_crashes_and_simple_junk(name: str) -> None:
    junk = [b"", b"\0", b"\xff" * 64, b"\0" * 64, bytes(range(256))]

    for raw in junk + starting_points(name):
        with contextlib.suppress(DecodeError):
            TARGETS[name](raw)


def test_every_folder_of_crashes_belongs_to_a_target() -> None:
    folders = {path.name for path in CRASHES.glob("*") if path.is_dir()}

    assert folders <= set(TARGETS)
