"""Several boot logs for one quote, as an operating system hands them over that keeps one for every resume."""

import shutil
from pathlib import Path

from bartizan.app.evidence_folder import read_recording
from bartizan.app.learn_reference import verified_parts

BOOTS = Path(__file__).parents[1] / "vectors" / "boots"


def test_of_several_boot_logs_the_one_that_fits_the_quote_counts(tmp_path: Path) -> None:
    folder = tmp_path / "resumed"
    shutil.copytree(BOOTS / "good", folder)
    (folder / "bios_at_quote.2.bin").write_bytes((folder / "bios_at_quote.bin").read_bytes())
    other = BOOTS / "attack_sb_off" / "bios_at_quote.bin"
    (folder / "bios_at_quote.bin").write_bytes(other.read_bytes())
    (folder / "bios_at_quote.1.bin").write_bytes(other.read_bytes())

    boot, _ = verified_parts(read_recording(folder))

    assert boot.log == read_recording(BOOTS / "good").evidence.boot_log
    assert all(explanation.explained for explanation in boot.explanations)


def test_without_one_that_fits_the_first_log_is_held_against_the_quote(tmp_path: Path) -> None:
    folder = tmp_path / "foreign"
    shutil.copytree(BOOTS / "good", folder)
    other = BOOTS / "attack_sb_off" / "bios_at_quote.bin"
    (folder / "bios_at_quote.bin").write_bytes(other.read_bytes())

    boot, _ = verified_parts(read_recording(folder))

    assert not all(explanation.explained for explanation in boot.explanations)
