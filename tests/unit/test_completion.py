"""Completion in the shell: what the service knows, in a second, and nothing at all where it cannot be asked."""

import httpx
import pytest
from typer.testing import CliRunner

from bartizan.cli.main import app
from bartizan.errors import ConnectorError
from tests.unit.service_double import Double, double, page, problem
from tests.unit.test_cli_fleet import GROUP
from tests.unit.test_cli_nodes import NODE

__all__ = ["double"]
POLICY = {"id": 3, "name": "strict", "version": 2, "digest": "00", "active": True, "created_at": "2026-01-01T00:00:00Z"}
POLICY |= {"created_by": "ann", "approved_by": "bob"}
REFERENCE = {"id": 7, "name": "kernel", "version": 1, "digest": "00", "state": "proposed", "approved_by": None}
REFERENCE |= {"created_at": "2026-01-01T00:00:00Z", "created_by": "ann", "changed_at": "2026-01-01T00:00:00Z"}


def completed(words: str) -> list[str]:
    """What bash is told behind these words; the last one is not whole."""
    typed = f"bartizan {words}".split(" ")
    given = {"_BARTIZAN_COMPLETE": "complete_bash", "COMP_WORDS": " ".join(typed), "COMP_CWORD": str(len(typed) - 1)}
    ran = CliRunner().invoke(app, [], env=given, prog_name="bartizan", catch_exceptions=False)
    assert (ran.exit_code, ran.stderr) == (0, "")
    return ran.stdout.split()


@pytest.mark.parametrize("command", ["node show", "node history", "node findings", "node retire", "result get"])
def test_nodes_are_completed_by_name(double: Double, command: str) -> None:
    double.on("GET /v1/nodes", page(NODE, NODE | {"name": "compute-02"}))

    assert completed(f"{command} comp") == ["compute-01", "compute-02"]
    assert double.asked[0].url.params["name"] == "comp*"


def test_checks_policies_and_sets_are_completed(double: Double) -> None:
    double.on("GET /v1/findings", {"items": [GROUP]})
    double.on("GET /v1/policies", page(POLICY))
    double.on("GET /v1/references", page(REFERENCE))

    assert completed("finding acknowledge ima.") == ["ima.known-files"]
    assert completed("node list --check ") == ["ima.known-files"]
    assert completed("policy activate ") == ["3"]
    assert completed("reference service try ") == ["7"]


def test_scopes_are_completed_up_to_the_node(double: Double) -> None:
    double.on("GET /v1/nodes", page(NODE))

    assert completed("maintenance open --scope ") == ["all", "node:", "role:"]
    assert completed("finding acknowledge x --scope node:comp") == ["node:compute-01"]
    assert completed("finding acknowledge x --scope role:comp") == []


@pytest.mark.parametrize(
    "fault",
    [
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("slow"),
        problem(403, "no"),
        problem(503, "busy", headers={"Retry-After": "5"}),
        httpx.Response(200, content=b"<html>"),
    ],
)
def test_a_service_that_cannot_be_asked_completes_nothing_and_says_nothing(
    double: Double, fault: httpx.Response | Exception
) -> None:
    double.on("GET /v1/nodes", fault)

    assert completed("node show comp") == []


def test_without_a_service_nothing_is_completed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("URL", "PIN", "TOKEN", "TOKEN_FILE", "DATA"):
        monkeypatch.delenv(f"BARTIZAN_{name}", raising=False)

    assert completed("node show comp") == []


def test_what_was_typed_before_says_where_to_ask(double: Double, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def reach_of(given: dict[str, object], _: object) -> None:
        asked.append(given["url"])
        raise ConnectorError("enough")

    assert double is not None
    monkeypatch.setattr("bartizan.cli.asking.reach_of", reach_of)
    monkeypatch.delenv("BARTIZAN_URL")

    completed("node show --url https://there.test comp")
    monkeypatch.setenv("BARTIZAN_URL", "https://environment.test")
    completed("node show comp")

    assert asked == ["https://there.test", "https://environment.test"]
