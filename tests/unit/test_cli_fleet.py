"""The commands for the rest of a service: what each sends, shows, and prints as JSON."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.unit.cli_runner import BOOTS, run
from tests.unit.service_double import Double, double, page
from tests.unit.test_cli_nodes import NODE, WHEN, verdict

__all__ = ["double"]
LATER = "2999-01-01T00:00:00Z"
SAID = {"id": 3, "scope": "all", "reason": "because", "created_at": WHEN, "created_by": "ann"}
WINDOW = {**SAID, "check": None, "path": None, "begins_at": WHEN, "ends_at": LATER}
ACKNOWLEDGED = {**WINDOW, "check": "ima.known-files", "path": "/x"}
FINDING = {"check": "ima.known-files", "title": "known", "tier": "warning", "path": None, "why": "/x is unknown"}
GROUP = {**FINDING, "nodes": 2, "example": "compute-01", "fix": "remove it"}
AT_NODE = {**FINDING, "count": 2, "fix": "remove it", "keeps_down": True, "acknowledged": [ACKNOWLEDGED]}
KEYS = {"id": 3, "name": "compute-01", "role": "compute", "ek_name": "00", "ak_name": "01", "created_at": WHEN}
REVIEW = {
    **KEYS,
    "kind": "name",
    "why": "taken",
    "state": "open",
    "decided_at": None,
    "decided_by": None,
    "reason": None,
}
DECIDED = {**REVIEW, "state": "approved", "decided_by": "ann"}
POLICY = {"id": 3, "name": "strict", "version": 2, "digest": "00", "active": True, "created_at": WHEN}
POLICY |= {"created_by": "ann", "approved_by": "eve"}
SET = {
    **{key: value for key, value in POLICY.items() if key != "active"},
    "state": "proposed",
    "changed_at": WHEN,
    "approved_by": None,
}
ACCOUNT = {
    "name": "ann",
    "role": "operator",
    "project": "default",
    "password": True,
    "disabled": False,
    "created_at": WHEN,
}
TOKEN = {"id": 3, "account": "ann", "label": "nightly", "role": "viewer", "created_at": WHEN}
TOKEN |= {"expires_at": LATER, "revoked_at": None}
ALARM = {"id": 3, "kind": "mass-late", "why": "many", "raised_at": WHEN, "cleared_at": None}
AUDIT = {"id": 1, "at": WHEN, "account": "ann", "role": "operator", "address": "", "action": "node.retire"}
AUDIT |= {"target": "node:x", "detail": ""}
JUDGED = {"total": 3, "done": 2, "changed": 1, "begun_at": WHEN, "ended_at": None}
ME = {"account": "ann", "role": "viewer", "every_project": True}

LISTS = {
    "finding acknowledged": ("/v1/acknowledgements", ACKNOWLEDGED, "because [/x]", "no acknowledgement counts"),
    "review list": ("/v1/reviews", REVIEW, "review approve", "no enrolment waits"),
    "maintenance list": ("/v1/maintenance", WINDOW, "ann: because", "maintenance open"),
    "policy list": ("/v1/policies", POLICY, "by eve", "ships with Bartizan is in force"),
    "reference service list": ("/v1/references", SET, "proposed", "bartizan node evidence"),
    "account list": ("/v1/accounts", ACCOUNT, "password, tokens", "no account"),
    "api-token list": ("/v1/api-tokens", TOKEN, "nightly", "no API token counts"),
    "alarm list": ("/v1/alarms", ALARM, "mass-late", "no alarm stands"),
}


@pytest.mark.parametrize("command", LISTS)
def test_a_list_is_shown_and_an_empty_one_says_so(double: Double, command: str) -> None:
    path, row, shown, empty = LISTS[command]
    double.on(f"GET {path}", page(row))
    assert shown in run(*command.split()).out
    assert [row] in run(*command.split(), "--json").document.values()

    double.on(f"GET {path}", page())
    ran = run(*command.split())

    assert (ran.code, empty in ran.out) == (0, True)


@pytest.mark.parametrize("command", ["finding acknowledged", "review list", "maintenance list", "alarm list"])
def test_all_asks_for_what_is_over_as_well(double: Double, command: str) -> None:
    path = LISTS[command][0]
    double.on(f"GET {path}", page())

    assert run(*command.split(), "--all").out
    run(*command.split())
    assert len(double.asked[1].url.params) == len(double.asked[0].url.params) + 1


def test_what_was_decided_revoked_or_disabled_says_so(double: Double) -> None:
    double.on("GET /v1/reviews", page(DECIDED))
    double.on("GET /v1/api-tokens", page(TOKEN | {"revoked_at": WHEN}, TOKEN | {"expires_at": None, "label": "ever"}))
    double.on("GET /v1/accounts", page(ACCOUNT | {"disabled": True}, ACCOUNT | {"password": False}))
    double.on("GET /v1/acknowledgements", page(ACKNOWLEDGED | {"ends_at": WHEN, "path": None}))
    double.on("GET /v1/alarms", page(ALARM | {"cleared_at": WHEN}))

    assert "approved by ann" in run("review", "list", "--all").out
    assert "revoked" in run("api-token", "list", "--all").out
    assert "revoked" not in run("api-token", "list").out
    assert "disabled" in run("account", "list").out
    assert "because" in run("finding", "acknowledged", "--all").out
    assert "ago" in run("alarm", "list", "--all").out


CHANGES: dict[str, tuple[tuple[str, ...], str, object, object, str]] = {
    "acknowledge": (
        ("finding", "acknowledge", "ima.known-files", "--scope", "all", "--reason", "because", "--until", "2999-01-01"),
        "POST /v1/acknowledgements",
        ACKNOWLEDGED,
        {"check": "ima.known-files", "scope": "all", "reason": "because", "ends_at": LATER},
        "acknowledged: ima.known-files",
    ),
    "withdraw": (("finding", "withdraw", "3"), "DELETE /v1/acknowledgements/3", None, None, "withdrawn"),
    "approve": (
        ("review", "approve", "3", "--reason", "r"),
        "POST /v1/reviews/3/approve",
        DECIDED,
        {"reason": "r"},
        "approved: compute-01",
    ),
    "reject": (
        ("review", "reject", "3", "--reason", "r"),
        "POST /v1/reviews/3/reject",
        REVIEW,
        {"reason": "r"},
        "open",
    ),
    "open": (
        (
            "maintenance",
            "open",
            "--scope",
            "all",
            "--reason",
            "r",
            "--until",
            LATER,
            "--from",
            "2999-01-01T00:00:00+00:00",
        ),
        "POST /v1/maintenance",
        WINDOW,
        {"scope": "all", "reason": "r", "ends_at": LATER, "begins_at": LATER},
        "maintenance of all",
    ),
    "close": (("maintenance", "close", "3"), "DELETE /v1/maintenance/3", None, None, "closed"),
    "activate": (
        ("policy", "activate", "3"),
        "POST /v1/policies/3/activate",
        POLICY,
        None,
        "in force: strict version 2",
    ),
    "default": (("policy", "default"), "DELETE /v1/policies/active", None, None, "ships with Bartizan"),
    "approve set": (
        ("reference", "service", "approve", "3", "--reason", "r", "--until", LATER),
        "POST /v1/references/3/approve",
        SET | {"state": "approved"},
        {"reason": "r", "valid_until": LATER},
        "approved: strict version 2",
    ),
    "retire": (
        ("reference", "service", "retire", "3", "--reason", "r"),
        "POST /v1/references/3/retire",
        SET,
        {"reason": "r"},
        "strict",
    ),
    "revoke": (
        ("reference", "service", "revoke", "3", "--reason", "r"),
        "POST /v1/references/3/revoke",
        SET,
        {"reason": "r"},
        "strict",
    ),
    "create": (
        ("account", "create", "ann", "--role", "operator"),
        "POST /v1/accounts",
        ACCOUNT,
        {"name": "ann", "role": "operator", "project": "default", "password": None},
        "api-token create LABEL --account ann",
    ),
    "change": (
        ("account", "change", "ann", "--disable"),
        "PATCH /v1/accounts/ann",
        ACCOUNT | {"disabled": True},
        {"disabled": True},
        "disabled",
    ),
    "token": (
        ("api-token", "create", "nightly", "--role", "viewer"),
        "POST /v1/api-tokens",
        {"token": "bzt_new", "made": TOKEN},
        {"label": "nightly", "role": "viewer", "account": None, "days": 90},
        "bzt_new",
    ),
    "revoke token": (("api-token", "revoke", "3"), "DELETE /v1/api-tokens/3", None, None, "revoked: API token 3"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_sent_once_and_told(double: Double, name: str) -> None:
    words, what, answer, sent, told = CHANGES[name]
    double.on(what, httpx.Response(204) if answer is None else httpx.Response(200, json=answer))

    ran = run(*words)

    assert (ran.code, told in ran.out, len(double.asked)) == (0, True, 1), ran.err
    assert double.bodies == ([] if sent is None else [sent])
    assert run(*words, "--json").document


@pytest.mark.parametrize("time", ["", "tomorrow", "7", "7w", "-1h", "2026-13-01"])
def test_what_is_no_time_is_refused(double: Double, time: str) -> None:
    ran = run("maintenance", "open", "--scope", "all", "--reason", "r", f"--until={time}")

    assert (ran.code, double.asked) == (2, [])


def test_an_empty_change_is_refused(double: Double) -> None:
    assert (run("account", "change", "ann").code, double.asked) == (2, [])


def test_a_password_comes_from_a_file(double: Double, tmp_path: Path) -> None:
    double.on("POST /v1/accounts", ACCOUNT)
    (tmp_path / "password").write_bytes("päss\n".encode())
    (tmp_path / "broken").write_bytes(b"\xff")

    run("account", "create", "ann", "--role", "viewer", "--password-file", tmp_path / "password")

    assert double.bodies[0]["password"] == "päss"  # noqa: S105
    assert run("account", "create", "ann", "--role", "viewer", "--password-file", tmp_path / "broken").code == 2


def test_a_token_is_written_for_its_owner_alone(double: Double, tmp_path: Path) -> None:
    double.on("POST /v1/api-tokens", {"token": "bzt_new", "made": TOKEN})
    path = tmp_path / "t"
    words = ("api-token", "create", "x", "--role", "viewer", "--out", path)

    ran = run(*words)

    assert (ran.code, "bzt_new" in ran.out, path.read_text()) == (0, False, "bzt_new\n")
    assert path.stat().st_mode & 0o777 == 0o600
    assert run(*words).code == 2
    assert len(double.asked) == 1


def test_whoami(double: Double) -> None:
    double.on("GET /v1/session", ME)

    assert "viewer" in run("account", "whoami").out
    assert run("account", "whoami", "--json").document == ME


def test_files_are_sent_as_they_are(double: Double, tmp_path: Path) -> None:
    double.on("POST /v1/endorsement-keys", {"new": 1})
    double.on("POST /v1/policies", POLICY)
    (tmp_path / "f").write_text("name,role,ek_name\n")

    assert "1 new EK" in run("token", "import", tmp_path / "f").out
    assert run("token", "import", tmp_path / "f", "--json").document == {"new": 1}
    assert "policy activate 3" in run("policy", "upload", tmp_path / "f").out
    assert run("policy", "upload", tmp_path / "f", "--json").document["policy"]["id"] == 3
    assert [one.headers["content-type"] for one in double.asked[1:3]] == ["text/csv", "application/toml"]
    assert double.asked[0].content == b"name,role,ek_name\n"


def test_a_set_goes_up_and_comes_down(double: Double, tmp_path: Path) -> None:
    assert run("reference", "propose", BOOTS / "good", "--out", tmp_path / "a").code == 0
    raw = (tmp_path / "a" / "reference.json").read_bytes()
    double.on("POST /v1/references", SET)
    double.on("GET /v1/references/3/document", httpx.Response(200, content=raw))

    assert "reference service approve 3" in run("reference", "service", "upload", tmp_path / "a").out
    assert double.asked[0].content == raw
    assert run("reference", "service", "upload", tmp_path / "a", "--json").document["reference"]["id"] == 3
    assert run("reference", "service", "fetch", "3", "--out", tmp_path / "b").code == 0
    assert (tmp_path / "b" / "reference.json").read_bytes() == raw
    assert run("reference", "service", "fetch", "3", "--out", tmp_path / "b", "--json").document["path"]


def test_a_policy_is_shown(double: Double) -> None:
    double.on("GET /v1/policies/3", {"policy": POLICY, "document": 'name = "strict"\n[x]\n'})

    assert run("policy", "show", "3").out == 'name = "strict"\n[x]\n'
    assert run("policy", "show", "3", "--json").document["document"].startswith("name")


def test_findings_of_the_fleet(double: Double) -> None:
    double.on("GET /v1/findings", {"items": [GROUP]}, {"items": [GROUP]}, {"items": []})

    assert "compute-01" in run("finding", "list").out
    assert run("finding", "list", "--json").document == {"findings": [GROUP]}
    assert "nothing is out of order" in run("finding", "list").out


def test_findings_of_a_node(double: Double) -> None:
    found = {"node": "compute-01", "maintenance": [WINDOW], "items": [AT_NODE]}
    double.on("GET /v1/nodes/n/findings", found)
    double.on("GET /v1/nodes/n/result", verdict())

    out = " ".join(run("node", "findings", "n").out.split())

    assert "in maintenance until" in out
    assert "(and 1 more)" in out
    assert "keeps it from the next level" in out
    assert "ann: because" in out
    assert "what to do" in run("node", "findings", "n", "--explain").out
    assert run("node", "findings", "n", "--json").document["findings"] == [AT_NODE]
    double.on("GET /v1/nodes/n/findings", found | {"items": []})
    assert "out of order" in run("node", "findings", "n").out


GAP_ITEM = {"check": "ima.known-files", "title": "known", "level": 3, "nodes": 2, "roles": {"compute": 2}}
GAP_ITEM |= {"example": "compute-01", "why": "?", "fix": "remove it"}
GAP = {"nodes": 3, "unattested": 1, "levels": {"3": 2}, "items": [GAP_ITEM]}


def test_the_gap_without_references_names_the_lines_that_make_some(double: Double) -> None:
    double.on("GET /v1/gap", GAP)
    double.on("GET /v1/findings", {"items": []})
    double.on("GET /v1/references", page(SET))

    out = run("gap").out

    assert "bartizan node evidence compute-01 --out ./compute-01" in out
    assert "remove it" not in out
    assert run("gap", "--json").document == GAP


def test_the_gap_says_what_was_found_and_what_to_do(double: Double) -> None:
    double.on("GET /v1/gap", GAP)
    double.on("GET /v1/findings", {"items": [GROUP]})
    double.on("GET /v1/references", page(SET | {"state": "approved"}))

    out = run("gap").out

    assert "From level 3 recognised to 4 known code" in out
    assert "2 compute nodes" in out
    assert "/x is unknown (compute-01)" in out
    assert "remove it" in out
    double.on("GET /v1/gap", GAP | {"items": []})
    assert "nothing keeps" in run("gap").out
    double.on("GET /v1/gap", GAP | {"nodes": 0, "items": []})
    assert "token create" in run("gap").out


@pytest.mark.parametrize(
    ("attested", "items", "said"),
    [(1, [AT_NODE], "remove it"), (1, [], "nothing keeps it"), (0, [], "agent status")],
)
def test_the_gap_of_one_node(double: Double, attested: int, items: list[Any], said: str) -> None:
    double.on("GET /v1/nodes/n", NODE | {"attested": attested})
    double.on("GET /v1/nodes/0a1b/findings", {"node": "n", "maintenance": [], "items": items})

    out = " ".join(run("gap", "--node", "n").out.split())

    assert said.replace("agent status", "bartizan-agent status") in out
    assert run("gap", "--node", "n", "--json").document["items"] == items
