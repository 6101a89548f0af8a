"""The demonstration, whole: what it says of each machine is what `appraise` says of the folder that it keeps."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bartizan.app.demo.ending import ending_cleanly
from bartizan.app.demo.kept import NOTE, open_kept
from bartizan.app.demo.story import FLEET, Said, Step, play
from bartizan.app.judge_folder import Sources, judge_folder
from bartizan.errors import ConfigError
from bartizan.model.result import AttestationResult


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Said | Step]]:
    """A folder that a demonstration wrote, and what it told."""
    folder = tmp_path_factory.mktemp("kept")
    return folder, list(play(folder))


def judged(folder: Path, step: str) -> AttestationResult:
    sources = Sources(policy=folder / "policy.toml", reference=(folder / "reference",), roots=folder / "roots")
    return judge_folder(folder / "evidence" / step, sources, now=datetime.now(UTC)).result


def steps(told: tuple[Path, list[Said | Step]]) -> dict[str, Step]:
    return {event.name.replace(" ", "-"): event for event in told[1] if isinstance(event, Step)}


def test_everything_comes_out_as_it_must(told: tuple[Path, list[Said | Step]]) -> None:
    assert all(step.as_expected for step in steps(told).values())
    assert len(steps(told)) == len(FLEET) + 1 + 8


def test_appraise_says_of_every_kept_folder_what_the_demonstration_said(
    told: tuple[Path, list[Said | Step]],
) -> None:
    kept = {path.name for path in (told[0] / "evidence").iterdir()}
    said = {name: (step.result.level, step.result.contraindicated) for name, step in steps(told).items()}

    assert kept == said.keys() - {"foreign-TPM"}
    for name in kept:
        result = judged(told[0], name)
        assert (name, result.level, result.contraindicated) == (name, *said[name])


def test_the_reason_for_a_refusal_is_the_same_in_the_folder(told: tuple[Path, list[Said | Step]]) -> None:
    for name, step in steps(told).items():
        if step.attack and name != "foreign-TPM":
            assert step.sentence is not None
            assert step.sentence.id in {finding.id for finding in judged(told[0], name).findings if not finding.passes}


def test_the_note_lists_each_folder_with_its_level_and_command(told: tuple[Path, list[Said | Step]]) -> None:
    note = (told[0] / NOTE).read_text()

    for name, step in steps(told).items():
        if name != "foreign-TPM":
            bad = ", contraindicated" if step.result.contraindicated else ""
            assert f"evidence/{name}: level {step.result.level}{bad} (exit code {int(step.attack)})\n" in note
            assert f"bartizan appraise evidence/{name} --roots roots --reference reference --policy policy.toml" in note
    assert "Not here: foreign-tpm." in note
    assert "not come to its end" not in note


def test_the_check_of_2016_is_explained_once(told: tuple[Path, list[Said | Step]]) -> None:
    assert sum("the check of 2016" in event.text for event in told[1] if isinstance(event, Said)) == 1


# The folder.


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("keep me")

    with pytest.raises(ConfigError, match="an empty folder expected"):
        next(play(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_folder_with_a_note_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / NOTE).write_text("My project\n")

    with pytest.raises(ConfigError, match="choose another"):
        open_kept(tmp_path)


def test_a_file_is_no_folder_to_keep_in(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(ConfigError, match="cannot be used"):
        open_kept(tmp_path / "file")


def test_a_folder_of_an_earlier_demonstration_is_written_anew(tmp_path: Path) -> None:
    open_kept(tmp_path).evidence("one", {"txt_eventlog.bin": b"old", "quote.sig": b"old"}, asked=b"")
    (tmp_path / "evidence" / "one" / "mine").write_text("keep me")
    open_kept(tmp_path).evidence("one", {"quote.sig": b"new"}, asked=b"asked")

    found = {path.name: path.read_bytes() for path in (tmp_path / "evidence" / "one").iterdir()}
    assert found == {"mine": b"keep me", "quote.sig": b"new", "nonce.bin": b"asked"}
    assert "not come to its end" in (tmp_path / NOTE).read_text()


def test_evidence_that_cannot_be_written_is_the_operators_matter(tmp_path: Path) -> None:
    kept = open_kept(tmp_path)
    (tmp_path / "evidence").write_text("no folder")

    with pytest.raises(ConfigError, match="cannot be written"):
        kept.evidence("one", {}, asked=b"")


# Its end from outside.

DEMO = """
import os
from bartizan.app.demo.story import Said, play
for event in play():
    print("folder" if isinstance(event, Said) else event.name, flush=True)
"""
WAIT_FOR = {"while the TPMs are made": 1, "while the machines climb": 6}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("lines", WAIT_FOR.values(), ids=WAIT_FOR.keys())
def test_a_signal_ends_the_demonstration_and_leaves_nothing(number: int, lines: int, tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", DEMO], stdout=subprocess.PIPE, env={**os.environ, "TMPDIR": str(tmp_path)}
    ) as demo:
        assert demo.stdout is not None
        for _ in range(lines):
            demo.stdout.readline()
        demo.send_signal(number)
        demo.stdout.read()

    assert demo.returncode == 128 + number
    assert not list(tmp_path.iterdir())
    assert not [pid for pid in Path("/proc").glob("[0-9]*") if str(tmp_path) in command_line(pid)]


def command_line(process: Path) -> str:
    try:
        return (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def test_a_signal_that_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ending_cleanly():
            signal.raise_signal(signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@contextmanager
def cleaning_up_during(number: int) -> Iterator[None]:
    """A context manager that gets another signal while it cleans up."""
    try:
        yield
    finally:
        signal.raise_signal(number)


def test_the_first_signal_counts_and_the_handlers_are_given_back() -> None:
    with pytest.raises(SystemExit) as ended, ending_cleanly(), cleaning_up_during(signal.SIGHUP):
        signal.raise_signal(signal.SIGTERM)

    assert ended.value.code == 128 + signal.SIGTERM
    assert {signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGHUP)} == {signal.SIG_DFL}
