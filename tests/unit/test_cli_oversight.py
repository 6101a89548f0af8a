"""What the service as a whole says, the audit, evidence in a folder, and watching."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import httpx
import pytest

from bartizan.cli.commands import oversight
from bartizan.cli.console import InertConsole
from bartizan.cli.watching import Look, watch
from bartizan.errors import ConfigError, ConnectorError
from tests.unit.cli_runner import run
from tests.unit.service_double import Double, double, page, problem
from tests.unit.test_cli_fleet import ALARM, AUDIT, GROUP, JUDGED
from tests.unit.test_cli_nodes import NODE, WHEN

__all__ = ["double"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "2 of 3 nodes judged anew"),
        ({"begun_at": None}, "nothing was judged anew"),
        ({"ended_at": WHEN}, "2 nodes judged anew"),
    ],
)
def test_how_far_the_reappraisal_is(double: Double, changes: dict[str, Any], said: str) -> None:
    double.on("GET /v1/reappraisal", JUDGED | changes)

    assert said in run("reappraisal").out
    assert run("reappraisal", "--json").document == JUDGED | changes


def audited(*numbers: int) -> httpx.Response:
    return httpx.Response(200, text="".join(json.dumps(AUDIT | {"id": number}) + "\n" for number in numbers))


def test_the_audit_is_json_lines(double: Double) -> None:
    double.on("GET /v1/audit", audited(1, 2))

    assert [json.loads(line)["id"] for line in run("audit").out.splitlines()] == [1, 2]
    assert len(run("audit", "--json").document["audit"]) == 2
    assert run("audit", "--json", "--follow").code == 2


def test_the_audit_goes_on_behind_what_was_seen(double: Double, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oversight, "LINES", 2)
    looks = iter([None, KeyboardInterrupt()])

    def pause(_: float) -> None:
        end = next(looks)
        if end is not None:
            raise end

    monkeypatch.setattr("bartizan.cli.commands.oversight.time.sleep", pause)
    double.on("GET /v1/audit", audited(1, 2), audited(3), audited(4))

    ran = run("audit", "--follow")

    assert (ran.code, [json.loads(line)["id"] for line in ran.out.splitlines()]) == (0, [1, 2, 3, 4])
    assert [one.url.params["after"] for one in double.asked] == ["0", "2", "3"]


@pytest.mark.parametrize("answer", [audited(2, 1), httpx.Response(200, text="{\n")])
def test_an_audit_that_is_none_is_a_failure_outside(double: Double, answer: httpx.Response) -> None:
    double.on("GET /v1/audit", answer)

    assert run("audit").code == 3


def zipped(**files: bytes) -> httpx.Response:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return httpx.Response(200, content=target.getvalue())


def test_evidence_is_unpacked_into_a_new_folder(double: Double, tmp_path: Path) -> None:
    double.on("GET /v1/nodes/n/evidence", zipped(**{"n/quote.attest": b"q", "../../ak.pub": b"a"}))
    out = tmp_path / "x" / "ev"

    assert run("node", "evidence", "n", "--out", out).code == 0
    assert {path.name: path.read_bytes() for path in out.iterdir()} == {"quote.attest": b"q", "ak.pub": b"a"}
    assert list(tmp_path.iterdir()) == [tmp_path / "x"]
    assert run("node", "evidence", "n", "--out", out).code == 2
    assert run("node", "evidence", "n", "--out", tmp_path / "y", "--json").document["files"] == [
        "ak.pub",
        "quote.attest",
    ]


@pytest.mark.parametrize(
    "answer", [httpx.Response(200, content=b"no"), zipped(**{"a/..": b""}), zipped(**{str(n): b"" for n in range(65)})]
)
def test_evidence_that_is_none_is_not_unpacked(double: Double, tmp_path: Path, answer: httpx.Response) -> None:
    double.on("GET /v1/nodes/n/evidence", answer)

    assert run("node", "evidence", "n", "--out", tmp_path / "ev").code == 3
    assert not (tmp_path / "ev").exists()


def looks(*each: dict[str, str] | Exception) -> Any:  # noqa: ANN401
    waiting = iter(each)

    def look() -> Look:
        found = next(waiting, KeyboardInterrupt())
        if isinstance(found, BaseException):
            raise found
        return Look(shown="shown", lines=found)

    return look


def test_watching_prints_changes_as_lines(capsys: pytest.CaptureFixture[str]) -> None:
    lost = ConnectorError("lost")
    seen = looks({"a": "1", "b": "1"}, {"a": "1", "b": "2"}, lost, lost, {"a": "1", "c": "1"})

    assert watch(seen, every=1, as_json=False, pause=lambda _: None) == 0

    said = [line.partition(" ")[2] for line in capsys.readouterr().out.splitlines()]
    assert said == ["a: 1", "b: 1", "b: 2", "no answer: lost", "the service answers again", "c: 1", "b: gone"]


def test_watching_a_terminal_refreshes_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    terminal = InertConsole(file=screen, force_terminal=True, width=100)
    monkeypatch.setattr("bartizan.cli.watching.console", terminal)
    seen = looks({"a": "1"}, ConnectorError("lost"), {"a": "2"})

    assert watch(seen, every=1, as_json=False, pause=lambda _: None) == 0
    assert "not up to date since" in screen.getvalue()
    assert screen.getvalue().count("shown") >= 3


def test_watching_has_no_end_and_so_no_document() -> None:
    with pytest.raises(ConfigError, match="give one of them"):
        watch(looks({}), every=1, as_json=True)


def test_a_service_that_cannot_be_asked_at_first_ends_it() -> None:
    with pytest.raises(ConnectorError):
        watch(looks(ConnectorError("lost")), every=1, as_json=False, pause=lambda _: None)


@pytest.mark.parametrize("words", [("node", "list"), ("finding", "list"), ("alarm", "list"), ("reappraisal",)])
def test_commands_watch(double: Double, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]) -> None:
    def end(_: Any, **__: Any) -> int:  # noqa: ANN401
        return 0 if _().lines is not None else 1

    for where in ("node", "finding", "oversight"):
        monkeypatch.setattr(f"bartizan.cli.commands.{where}.watch", end)
    double.on("GET /v1/nodes", page(NODE))
    double.on("GET /v1/findings", {"items": [GROUP]})
    double.on("GET /v1/alarms", page(ALARM))
    double.on("GET /v1/reappraisal", JUDGED)

    assert run(*words, "--watch").code == 0


def test_a_refusal_of_a_role_names_it(double: Double) -> None:
    double.on("GET /v1/audit", problem(403, "this needs the role auditor"))

    ran = run("audit")

    assert (ran.code, "role auditor" in ran.err) == (2, True)
