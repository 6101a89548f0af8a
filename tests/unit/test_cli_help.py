"""The command line says what it does: every command and option has a text, errors have one form and an exit code."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from bartizan.cli import console
from bartizan.cli.console import reporting
from bartizan.cli.main import app
from bartizan.errors import ConfigError, ConnectorError, DecodeError, PolicyError, VerifyError
from tests.unit.cli_runner import BOOTS, run


def commands(group: object, name: str = "bartizan") -> Iterator[tuple[str, Any]]:
    """Every command below a group."""
    for word, command in getattr(group, "commands", {}).items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{name} {word}")
        else:
            yield f"{name} {word}", command


COMMANDS = dict(commands(typer.main.get_command(app)))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_parameter_says_what_it_is(name: str) -> None:
    command = COMMANDS[name]

    assert command.help
    for parameter in command.params:
        if parameter.name != "help":
            assert getattr(parameter, "help", ""), parameter.name
            assert parameter.help.strip() == parameter.help


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_can_answer_in_json(name: str) -> None:
    assert any("--json" in parameter.opts for parameter in COMMANDS[name].params)


@pytest.mark.parametrize("name", ["appraise", "explain", "log", "ima", "quote"])
def test_help_tells_the_exit_codes(name: str) -> None:
    ran = run(name, "--help")

    assert ran.code == 0
    assert "Exit" in ran.out


def test_without_a_command_help_is_shown() -> None:
    ran = run()

    assert "appraise" in ran.out + ran.err
    assert "Exit codes: 0 good, 1 judged bad, 2 refused" in run("--help").out


@pytest.mark.parametrize("arguments", [("nothing",), ("appraise",), ("quote", "--attest"), ("log", "x", "--nothing")])
def test_a_wrong_command_line_is_refused_on_standard_error(arguments: tuple[str, ...]) -> None:
    ran = run(*arguments)

    assert (ran.code, ran.out) == (2, "")
    assert ran.err


ERRORS = {
    "decode": (
        DecodeError("field", 7, "why\x1b[31m"),
        2,
        {"kind": "decode", "what": "field", "offset": 7, "why": "why\x1b[31m"},
    ),
    "verify": (VerifyError("quote.signature", "why"), 1, {"kind": "verify", "what": "quote.signature", "why": "why"}),
    "policy": (PolicyError("p: why"), 2, {"kind": "policy", "what": "p: why", "why": "p: why"}),
    "config": (ConfigError("why"), 2, {"kind": "config", "what": "why", "why": "why"}),
    "outside": (ConnectorError("no TPM"), 3, {"kind": "outside", "what": "no TPM", "why": "no TPM"}),
}


@pytest.mark.parametrize("kind", ERRORS)
def test_each_kind_of_error_has_its_exit_code_and_its_document(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    error, code, document = ERRORS[kind]

    @reporting
    def command(*, as_json: bool) -> int:
        assert as_json in (True, False)
        raise error

    for as_json in (True, False):
        with pytest.raises(typer.Exit) as left:
            command(as_json=as_json)
        assert left.value.exit_code == code
        out, err = capsys.readouterr()
        if as_json:
            assert (json.loads(out), err, out.isascii()) == ({"error": document}, "", True)
        else:
            assert out == ""
            assert "why" in err or "no TPM" in err
            assert "\x1b" not in err


def test_a_bug_is_not_turned_into_a_verdict() -> None:
    @reporting
    def command() -> int:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        command()


def test_the_exit_codes_are_the_agreed_ones() -> None:
    assert (console.GOOD, console.BAD, console.REFUSED, console.OUTSIDE) == (0, 1, 2, 3)


def python(
    *arguments: str | Path, cwd: Path | None = None, encoding: str = "utf-8:strict"
) -> subprocess.CompletedProcess[str]:
    """`python -m bartizan` as a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "bartizan", *map(str, arguments)],
        cwd=cwd,
        env={"PYTHONPATH": ":".join(sys.path), "PYTHONIOENCODING": encoding, "PATH": ""},
        check=False,
        capture_output=True,
        text=True,
    )


def test_python_m_bartizan_is_the_command_line() -> None:
    ran = python("appraise", BOOTS / "good", "--roots", BOOTS, "--json")

    assert (ran.returncode, ran.stderr) == (1, "")
    assert json.loads(ran.stdout)["level"] == 2


def test_a_folder_whose_name_is_no_text_is_shown_and_steers_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "odd\udcff\x1b[31m"
    folder.symlink_to(BOOTS / "good")
    hostile = tmp_path / "hostile\udcff\x1b[31m"
    hostile.mkdir()
    for file in (BOOTS / "good").iterdir():
        (hostile / file.name).symlink_to(file)
    for encoding in ("utf-8:strict", "ascii:strict"):
        ran = python("appraise", hostile, "--roots", BOOTS, encoding=encoding)

        assert ran.returncode == 1
        assert ran.stdout.startswith(r"hostile\xff\x1b[31m: level 2")
        assert "Traceback" not in ran.stderr
    assert python("appraise", folder, "--roots", BOOTS).stdout.startswith("good: level 2")
