"""`bartizan node`, `token` and `result get`: what is asked, what is shown, and how refusals end."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from bartizan.connectors.service.data_folder import CLIENT_FILE
from tests.unit.cli_runner import run
from tests.unit.service_double import Double, double, page, problem

__all__ = ["double"]
WHEN = "2026-06-01T00:00:00Z"
NODE = {
    "id": "0a1b",
    "name": "compute-01",
    "role": "compute",
    "project": "default",
    "state": "fresh",
    "level": 2,
    "contraindicated": False,
    "attested": 3,
    "attested_at": WHEN,
    "due_at": WHEN,
    "attempted_at": None,
    "refusal": None,
    "agent": "agent 1",
    "ek_name": "000b01",
    "ak_name": "000b02",
    "registered": False,
    "pinned_bank": "sha256",
    "enrolled_at": WHEN,
    "enrolled_by": "ann",
    "approved_by": None,
    "retired_at": None,
}
FINDING = {
    "id": "ima.known-files",
    "claim": "executables",
    "tier": "warning",
    "why": "/usr/bin/cat is not a known file",
    "anchor": "tpm",
    "at": {"pcr": 10, "entry": 23},
}
RESULT = {
    "level": 3,
    "state": "fresh",
    "contraindicated": False,
    "vector": {"executables": "warning"},
    "ladder": [
        {"level": 3, "name": "recognised", "question": "?", "holds": True, "missing": []},
        {"level": 4, "name": "known code", "question": "?", "holds": False, "missing": ["ima.known-files"]},
    ],
    "strength": {},
    "policy": "default",
    "reference": None,
    "findings": [FINDING],
}


def verdict(**changes: object) -> dict[str, Any]:
    shown = {"node": "compute-01", "id": "0a1b", "first_at": WHEN, "last_at": WHEN, "due_at": WHEN}
    return {**shown, "result": RESULT | changes}


def test_nodes_are_listed_with_their_filters(double: Double) -> None:
    double.on("GET /v1/nodes", page(NODE, NODE | {"name": "compute-02", "contraindicated": True, "state": "late"}))

    ran = run("node", "list", "--name", "compute-*", "--max-level", "3", "--contraindicated", "--state", "fresh")

    assert ran.code == 0
    assert "compute-01" in ran.out
    assert "2 nodes, 1 fresh, 1 late, 1 contraindicated" in ran.out
    assert dict(double.asked[0].url.params) == {
        "limit": "500",
        "name": "compute-*",
        "state": "fresh",
        "max_level": "3",
        "contraindicated": "true",
        "sort": "name",
    }


def test_an_empty_fleet_says_how_to_begin(double: Double) -> None:
    double.on("GET /v1/nodes", page())

    assert "bartizan token create NAME" in run("node", "list").out
    assert "no node like that" in run("node", "list", "--role", "x").out


def test_a_node_that_never_attested_is_not_shown_as_fresh(double: Double) -> None:
    double.on("GET /v1/nodes", page(NODE | {"attested": 0, "attested_at": None, "level": 0}))

    out = run("node", "list").out

    assert "waits" in out
    assert "fresh" not in out
    assert "1 not attested yet" in out


@pytest.mark.parametrize("columns", ["80", "120"])
def test_no_line_is_longer_than_the_screen(double: Double, monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    monkeypatch.setattr("bartizan.cli.console.console.width", int(columns))
    long = NODE | {"name": "compute-" + "x" * 100, "refusal": "the quote does not hold: " + "why " * 40}
    double.on("GET /v1/nodes", page(long))

    assert max(map(len, run("node", "list").out.splitlines())) <= int(columns)


def test_the_list_in_json_is_one_document(double: Double) -> None:
    double.on("GET /v1/nodes", page(NODE))

    assert run("node", "list", "--json").document == {"nodes": [NODE]}


def test_one_node_is_shown_with_what_keeps_it_down(double: Double) -> None:
    double.on("GET /v1/nodes/compute-01", NODE | {"refusal": "clock went back", "approved_by": "eve"})
    double.on("GET /v1/nodes/0a1b/result", verdict())

    ran = run("node", "show", "compute-01")

    assert "kept from level 4 known code by: ima.known-files" in ran.out
    assert "clock went back" in ran.out
    assert "eve" in ran.out
    assert run("node", "show", "compute-01", "--json").document["result"]["level"] == 3


@pytest.mark.parametrize("attested", [0, 1])
def test_a_node_without_a_verdict_is_shown_all_the_same(double: Double, attested: int) -> None:
    double.on("GET /v1/nodes/compute-01", NODE | {"attested": attested, "retired_at": WHEN})
    double.on("GET /v1/nodes/0a1b/result", problem(404, "nothing was accepted"))

    ran = run("node", "show", "compute-01")

    assert (ran.code, "Nothing was accepted of it yet" in ran.out) == (0, True)


def test_a_name_stays_one_part_of_the_path(double: Double) -> None:
    double.on("GET /v1/nodes/../x?y", problem(404, "no node"))

    assert run("node", "show", "../x?y").code == 2
    assert double.asked[0].url.raw_path == b"/v1/nodes/..%2Fx%3Fy"


def test_a_node_is_retired_with_a_reason(double: Double) -> None:
    double.on("POST /v1/nodes/compute-01/retire", NODE)

    assert "retired: compute-01" in run("node", "retire", "compute-01", "--reason", "sold").out
    assert run("node", "retire", "compute-01", "--reason", "sold", "--json").document["node"]["id"] == "0a1b"
    assert double.bodies[0] == {"reason": "sold"}


def test_history_is_shown(double: Double) -> None:
    entry = {"number": 7, "boot": None, "first_at": WHEN, "last_at": WHEN, "level": 2, "contraindicated": True}
    entry |= {"check": "ima.known-files", "why": "/usr/bin/cat is a known file with other content"}
    double.on("GET /v1/nodes/n/history", page(entry))

    assert "ima.known-files: /usr/bin/cat" in " ".join(run("node", "history", "n").out.split())
    assert "2026-06-01 00:00:00 UTC" in run("node", "history", "n").out
    assert run("node", "history", "n", "--json").document == {"history": [entry]}
    double.on("GET /v1/nodes/n/history", page())
    assert "nothing was accepted" in run("node", "history", "n").out


@pytest.mark.parametrize(
    ("changes", "more", "code"),
    [
        ({}, (), 0),
        ({"contraindicated": True}, (), 1),
        ({}, ("--require", "3"), 0),
        ({}, ("--require", "4"), 1),
        ({"state": "late"}, ("--require", "3"), 1),
        ({"state": "late"}, (), 0),
    ],
)
def test_the_exit_code_of_a_verdict(double: Double, changes: dict[str, Any], more: tuple[str, ...], code: int) -> None:
    double.on("GET /v1/nodes/compute-01/result", verdict(**changes))

    assert run("result", "get", "compute-01", *more).code == code
    assert run("result", "get", "compute-01", *more, "--json").code == code


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"state": "late"}, "late, a fresh verdict is required"),
        ({}, "level 3, 4 is required"),
        ({"contraindicated": True}, "contraindicated"),
    ],
)
def test_a_verdict_that_is_not_what_is_required_says_why(double: Double, changes: dict[str, Any], words: str) -> None:
    double.on("GET /v1/nodes/compute-01/result", verdict(**changes))

    said = " ".join(run("result", "get", "compute-01", "--require", "4").out.split())
    assert words in said.split("not good: ")[1]
    reasons = run("result", "get", "compute-01", "--require", "4", "--json").document["reasons"]
    assert any(words in reason for reason in reasons)
    assert run("result", "get", "compute-01", "--json").document["reasons"] == (
        reasons[:1] if "contraindicated" in changes else []
    )


def test_registered_eks_are_listed_and_taken_back(double: Double) -> None:
    key = {"id": 4, "name": "compute-01", "role": "compute", "ek_name": "000b11"}
    double.on("GET /v1/endorsement-keys", page(key))
    double.on("DELETE /v1/endorsement-keys/4", httpx.Response(204))

    assert "000b11" in run("token", "registered").out
    assert run("token", "registered", "--json").document == {"registered": [key]}
    assert run("token", "unregister", "4").out == "taken back: registration 4\n"
    assert run("token", "unregister", "4", "--json").document == {"unregistered": 4}
    double.on("GET /v1/endorsement-keys", page())
    assert "token import" in run("token", "registered").out


def test_a_verdict_is_written_as_a_signed_token(double: Double, tmp_path: Path) -> None:
    path = tmp_path / "c1.jwt"
    double.on("GET /v1/nodes/compute-01/result", verdict())
    double.on("GET /v1/nodes/0a1b/result", httpx.Response(200, text="a.b.c"))
    double.on("GET /.well-known/jwks.json", {"keys": []})

    ran = run("result", "get", "compute-01", "--ear", path, "--nonce", "12345678", "--json")

    assert (path.read_text(), json.loads(path.with_name("c1.jwt.jwks.json").read_text())) == ("a.b.c\n", {"keys": []})
    assert ran.document["ear"] == str(path)
    assert double.asked[1].headers["accept"] == "application/eat+jwt"
    assert double.asked[1].url.params["nonce"] == "12345678"
    assert "result show" in run("result", "get", "compute-01", "--ear", path).out


def test_a_nonce_without_a_token_is_refused(double: Double) -> None:
    assert run("result", "get", "compute-01", "--nonce", "12345678").code == 2
    assert not double.asked


def test_a_verdict_of_another_shape_is_a_failure_outside(double: Double) -> None:
    double.on("GET /v1/nodes/n/result", verdict(level="high"))

    assert run("result", "get", "n").code == 3


TOKEN = {
    "id": 7,
    "name": "compute-01",
    "role": "compute",
    "created_at": WHEN,
    "created_by": "ann",
    "expires_at": "2999-01-01T00:00:00Z",
    "used_at": None,
}


def test_a_join_token_comes_with_its_line_on_one_line(double: Double) -> None:
    line = "BARTIZAN_TOKEN=bzj_x bartizan-agent enrol --service " + "x" * 200
    double.on("POST /v1/join-tokens", {"token": "bzj_x", "line": line, "made": TOKEN})

    assert line in run("token", "create", "compute-01", "--hours", "2").out.splitlines()
    assert double.bodies == [{"name": "compute-01", "role": "compute", "hours": 2}]
    assert run("token", "create", "compute-01", "--json").document["token"] == "bzj_x"  # noqa: S105


def test_tokens_that_wait_are_listed(double: Double) -> None:
    used = TOKEN | {"id": 8, "name": "used", "used_at": WHEN}
    double.on("GET /v1/join-tokens", page(TOKEN, used, TOKEN | {"name": "ended", "expires_at": WHEN}))

    shown, every = run("token", "list"), run("token", "list", "--all")

    assert ("compute-01" in shown.out, "used" in shown.out, "ended" in shown.out) == (True, False, False)
    assert ("used" in every.out, "ended" in every.out) == (True, True)
    assert [one["id"] for one in run("token", "list", "--json").document["tokens"]] == [7]


def test_no_tokens_say_how_to_make_one(double: Double) -> None:
    double.on("GET /v1/join-tokens", page())

    assert "token create" in run("token", "list").out
    assert "token create" in run("token", "list", "--all").out


def test_a_token_is_withdrawn(double: Double) -> None:
    double.on("DELETE /v1/join-tokens/7", httpx.Response(204))

    assert run("token", "withdraw", "7").out == "withdrawn: join token 7\n"
    assert run("token", "withdraw", "7", "--json").document == {"withdrawn": 7}


def test_a_refusal_says_what_to_do(double: Double) -> None:
    double.on("POST /v1/join-tokens", problem(403, "this needs the role operator", title="Not allowed"))

    ran, document = run("token", "create", "x"), run("token", "create", "x", "--json").document

    assert (ran.code, ran.out) == (2, "")
    assert "role operator" in ran.err
    assert "api-token create" in ran.err
    assert document["error"] == {
        "kind": "service",
        "what": "Not allowed",
        "why": "this needs the role operator",
        "status": 403,
        "errors": [],
        "advice": document["error"]["advice"],
    }


def test_both_a_url_and_a_data_folder_are_refused(double: Double, tmp_path: Path) -> None:
    assert "one of them is enough" in run("node", "list", "--data", tmp_path).err
    assert not double.asked


def test_without_any_address_it_says_how_to_give_one(double: Double, monkeypatch: pytest.MonkeyPatch) -> None:
    assert double is not None
    monkeypatch.delenv("BARTIZAN_URL")
    monkeypatch.setattr("bartizan.cli.asking.Settings", lambda: type("S", (), {"folder": Path("/nowhere")}))

    assert "where is the service?" in run("node", "list").err


@pytest.mark.parametrize("token", ["bzj_join", "bzt_x\u00e9", "bzt\x1b"])
def test_what_is_no_api_token_is_refused(double: Double, monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    monkeypatch.setenv("BARTIZAN_TOKEN", token)

    ran = run("node", "list")

    assert (ran.code, token in ran.err, double.asked) == (2, False, [])


@pytest.mark.parametrize("content", ["", "two words", "x" * 5000, "\x00", "é"])
def test_what_is_no_token_file_is_refused(double: Double, tmp_path: Path, content: str) -> None:
    path = tmp_path / "token"
    path.write_text(content)

    assert (run("node", "list", "--token-file", path).code, double.asked) == (2, [])
    assert run("node", "list", "--token-file", tmp_path / "none").code == 2
    assert run("node", "list", "--token-file", tmp_path).code == 2


@pytest.mark.parametrize("content", ["", "{", '{"url": 7}', "\u00ff"])
def test_a_client_file_that_cannot_be_used_is_refused(
    double: Double, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    monkeypatch.delenv("BARTIZAN_URL")
    assert "has `bartizan serve" in run("node", "list", "--data", tmp_path).err
    (tmp_path / CLIENT_FILE).write_text(content)

    assert (run("node", "list", "--data", tmp_path).code, double.asked) == (2, [])
