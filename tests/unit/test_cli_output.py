"""Where the commands print to: full, closed, narrow and plain outputs; wrong command lines; names that are hostile."""

import errno
import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import typer

from bartizan.app.chain import Link
from bartizan.app.defaults import catalogue
from bartizan.cli import main as command_line
from bartizan.cli.console import PIPED_WIDTH, SIGNS, _width, console, counted, reporting
from bartizan.cli.verdict import show_explanations, show_links
from bartizan.model.result import Pointer, Tier
from tests.simulator.machine import attested, good
from tests.unit.cli_runner import BOOTS, judge, run
from tests.unit.ima_lists import ng

LOG = BOOTS / "good" / "bios_at_quote.bin"
LIST = BOOTS / "good" / "ima_at_quote.bin"
PCRS = BOOTS / "good" / "pcrs_at_quote.json"


def bartizan(shell: str, *, encoding: str = "utf-8", expected: int) -> str:
    """A shell line in which $B is the command line; its standard error, or its output where that goes to a pipe."""
    done = subprocess.run(
        ["/bin/sh", "-c", shell.replace("$B", f"{shlex.quote(sys.executable)} -m bartizan")],
        env={"PYTHONPATH": ":".join(sys.path), "PYTHONIOENCODING": encoding, "PATH": os.defpath},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == expected, done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def narrow() -> Iterator[None]:
    console.width = 80
    yield
    console.width = PIPED_WIDTH


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reference")
    assert run("reference", "propose", BOOTS / "good", "--out", folder).code == 0
    return folder


# Outputs that cannot be written


@pytest.mark.parametrize("arguments", [f"log {shlex.quote(str(LOG))}", f"log {shlex.quote(str(LOG))} --json", "--help"])
def test_a_full_output_is_an_outside_failure(arguments: str) -> None:
    said = bartizan(f"$B {arguments} > /dev/full", expected=3)

    assert said == "outside failure: standard output: cannot be written: No space left on device\n"


@pytest.mark.parametrize("more", ["", " --json"])
def test_a_reader_that_has_gone_ends_it_as_a_broken_pipe_does_without_words(more: str) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "bartizan", "log", LOG, *more.split()],
        env={"PYTHONPATH": ":".join(sys.path)},
        check=False,
        stdout=write,
        stderr=subprocess.PIPE,
    )
    os.close(write)

    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, b"")


def test_a_closed_output_leaves_the_exit_code() -> None:
    for more in ("", " --json"):
        assert bartizan(f"$B log {shlex.quote(str(LOG))}{more} >&-", expected=0) == ""


# What the operating system refuses


def failing(error: Exception) -> Callable[..., None]:
    @reporting
    def command(*, as_json: bool) -> int:
        assert as_json in (True, False)
        raise error

    return command


SYSTEM = {
    "a path": (PermissionError(errno.EACCES, "Permission denied", "/root/x"), 2, "config", "/root/x: cannot be read"),
    "bytes": (FileExistsError(errno.EEXIST, "File exists", b"/a\xff\n"), 2, "config", "/a\udcff\n: cannot be read"),
    "no path": (OSError(errno.ENOSPC, "No space left on device"), 2, "config", "a file: cannot be read or written"),
    "a peer": (ConnectionResetError(errno.ECONNRESET, "reset"), 3, "outside", "connection: reset"),
    "no words": (TimeoutError(), 3, "outside", "connection: TimeoutError"),
}


@pytest.mark.parametrize("name", SYSTEM)
def test_what_the_system_refuses_is_told_with_its_path(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    error, code, kind, why = SYSTEM[name]
    for as_json in (True, False):
        with pytest.raises(typer.Exit) as left:
            failing(error)(as_json=as_json)
        assert left.value.exit_code == code
        out, err = capsys.readouterr()
        if as_json:
            document = json.loads(out)["error"]
            assert (document["kind"], document["why"].startswith(why), err) == (kind, True, "")
        else:
            assert (out, err.count("\n")) == ("", 1)
            assert err.startswith("outside failure: " if code == 3 else "refused: ")


def test_a_folder_that_may_not_be_looked_into_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    whole = Path.is_dir

    def is_dir(path: Path) -> bool:
        if path.name == "x":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return whole(path)

    monkeypatch.setattr(Path, "is_dir", is_dir)
    ran = run("appraise", tmp_path / "x")

    assert (ran.code, ran.out) == (2, "")
    assert "/x: cannot be " in ran.err
    assert "Permission denied" in ran.err


# Wrong command lines


WRONG = {
    "an unknown option": (["appraise", "x", "--nothing"], "appraise", "No such option"),
    "a missing argument": (["appraise"], "appraise", "Missing argument"),
    "a value out of range": (["appraise", "x", "--require", "9"], "appraise", "--require"),
    "an unknown command": (["nothing"], "bartizan", "No such command"),
    "a group's command": (["result", "show", "x"], "result show", "Missing option"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_command_line_is_one_document_where_json_was_asked_for(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words, command, why = WRONG[name]
    monkeypatch.setattr(sys, "argv", ["bartizan", *words, "--json"])
    with pytest.raises(SystemExit) as left:
        command_line.main()
    out, err = capsys.readouterr()
    error = json.loads(out)["error"]

    assert (left.value.code, err, error["kind"]) == (2, "", "usage")
    assert error["what"].endswith(command)
    assert why in error["why"]


@pytest.mark.parametrize(("more", "code"), [([], 0), (["--pcrs", "/none"], 2)])
def test_the_exit_code_is_that_of_the_command_with_json_too(
    more: list[str], code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for form in (["--json"], []):
        monkeypatch.setattr(sys, "argv", ["bartizan", "log", str(LOG), *more, *form])
        with pytest.raises(SystemExit) as left:
            command_line.main()
        assert left.value.code == code
    assert "Traceback" not in capsys.readouterr().err


# Narrow and plain outputs


@pytest.mark.parametrize(
    ("columns", "width"),
    [("80", 80), ("200", 200), ("", 100), ("0", 100), ("-5", 100), ("wide", 100), ("9" * 5000, 100), ("²", 100)],
)
def test_columns_says_how_wide_a_pipe_is(columns: str, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)

    assert _width() == width


@pytest.mark.usefixtures("narrow")
def test_check_ids_are_whole_on_a_narrow_screen() -> None:
    tampered = BOOTS / "attack_cmdline"
    out = run("appraise", tampered, "--roots", BOOTS).out
    document = run("appraise", tampered, "--roots", BOOTS, "--json").document
    named = {finding["id"] for finding in document["findings"] if finding["tier"] != "affirming"}

    assert named
    assert all(name in out.split() for name in named)
    assert "…" not in out
    assert "do I know every part of it?" not in out
    assert max(map(len, out.splitlines()[:-1])) <= 80


def test_the_questions_and_places_have_columns_where_there_is_room() -> None:
    console.width = 160
    out = run("appraise", BOOTS / "good", "--roots", BOOTS).out
    console.width = PIPED_WIDTH

    assert "do I know every part of it?" in out
    assert " where " in out


@pytest.mark.usefixtures("narrow")
def test_digests_are_whole_on_a_narrow_screen() -> None:
    out = run("log", LOG, "--pcrs", PCRS).out
    values = run("log", LOG, "--json").document["banks"]["sha256"].values()

    assert "…" not in out
    assert all(value in "".join(out.split()) for value in values)
    assert max(map(len, out.splitlines()[1:])) <= 80


def test_no_line_ends_in_blanks(reference: Path) -> None:
    for out in (judge("attack_cmdline", reference).out, run("log", LOG, "--all").out, run("ima", LIST, "--all").out):
        assert [line for line in out.splitlines() if line != line.rstrip()] == []


def test_signs_are_plain_where_the_encoding_has_none() -> None:
    where = f"{shlex.quote(str(BOOTS / 'good'))} --roots {shlex.quote(str(BOOTS))}"
    out = bartizan(f"$B explain {where}", encoding="ascii", expected=1)

    assert out.isascii()
    assert "ok holds" in out
    assert "X does not hold" in out
    assert "+- " in out
    assert "\\u" not in out
    assert not set(SIGNS) & set(out)


# What the commands say


def test_the_next_command_repeats_the_rules(reference: Path, tmp_path: Path) -> None:
    roots = tmp_path / "my roots"
    roots.symlink_to(BOOTS)
    out = run("appraise", BOOTS / "good", "--roots", roots, "--reference", reference, "--policy", "default").out
    [line] = [line for line in out.splitlines() if line.startswith("what to do: ")]

    command = shlex.split(line.removeprefix("what to do: "))
    assert command == [
        *("bartizan", "explain", str(BOOTS / "good"), "--policy", "default"),
        *("--reference", str(reference), "--roots", str(roots)),
    ]
    assert run(*command[1:]).code == 0


def test_a_newline_in_a_folders_name_is_an_escape(tmp_path: Path) -> None:
    folder = tmp_path / "a\nlevel 6 linked"
    folder.symlink_to(BOOTS / "good")
    log = tmp_path / "b\nstatus"
    log.symlink_to(LOG)

    assert "\nlevel 6" not in run("appraise", folder, "--roots", BOOTS).out
    assert "\nstatus:" in run("log", log).out
    assert run("log", log).out.count("\nstatus") == 1


def test_reference_values_that_were_not_reached_are_told_apart(reference: Path) -> None:
    given = run("appraise", BOOTS / "good", "--reference", reference)
    document = run("appraise", BOOTS / "good", "--reference", reference, "--json").document

    assert "(Reference Values not used: identity or quote does not hold)" in " ".join(given.out.split())
    assert (document["level"], document["reference"].startswith("good@sha256:")) == (0, True)
    assert "(no Reference Values given)" in run("appraise", BOOTS / "good").out
    assert "findings in order" not in given.out
    assert "Reference Values not used" not in judge("good", reference).out


@pytest.mark.parametrize(("tier", "told"), [(Tier.NONE, False), (Tier.WARNING, True), (Tier.CONTRAINDICATED, True)])
def test_the_impact_is_told_where_something_happened(
    tier: Tier, told: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    result = attested(good().evidence()).result
    one = replace(result.findings[0], tier=tier)
    show_explanations(replace(result, findings=(one,)), catalogue())
    out = " ".join(capsys.readouterr().out.split())

    assert f"why it matters: {catalogue()[one.id].why}" in out
    assert (f"if so: {catalogue()[one.id].impact}" in out) is told


def test_a_status_without_a_tpm_says_so() -> None:
    note = "decoded; not held against a TPM (give --pcrs)\n"

    assert run("log", LOG).out.endswith(note)
    assert run("ima", LIST).out.endswith(note)
    assert note not in run("log", LOG, "--pcrs", PCRS).out
    assert note not in run("ima", LIST, "--pcrs", PCRS).out


def test_violations_have_a_line_of_their_own(tmp_path: Path) -> None:
    folder = good().running(ng(b"/etc/motd", violation=True)).write(tmp_path / "evidence")

    assert "violations: 1 (the kernel could not vouch" in run("ima", folder / "ima_at_quote.bin").out
    assert "violations" not in run("ima", LIST).out


def test_one_is_told_from_many() -> None:
    assert [counted(number, "finding") for number in (0, 1, 2)] == ["0 findings", "1 finding", "2 findings"]
    assert counted(2, "entry", "entries") == "2 entries"


def test_siblings_are_drawn_as_siblings(capsys: pytest.CaptureFixture[str]) -> None:
    show_links(
        [
            Link(depth=depth, measurer="a", measured=name, at=Pointer(), tier=Tier.AFFIRMING)
            for depth, name in ((0, "b"), (1, "c"), (2, "d"), (1, "e"), (2, "f"), (2, "g"))
        ]
    )
    drawn = [line.split(" ✔")[0] for line in capsys.readouterr().out.splitlines()[1:7]]

    assert drawn == ["  └─", "     ├─", "     │  └─", "     └─", "        ├─", "        └─"]
    show_links([])
    assert capsys.readouterr().out == ""
