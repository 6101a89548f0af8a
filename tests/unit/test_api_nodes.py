"""Nodes and their verdicts over the JSON API."""

import base64
import json
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.jwk import KeySet

from bartizan.model.node import Role
from tests.unit.api_side import PROBLEM, Api, asked

EAR = {"Accept": "application/eat+jwt"}


def test_a_node_is_shown_by_its_name_and_by_its_id(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        node = await api.enrolled("compute-01")
        shown = await api.get("/v1/nodes/compute-01")
        assert (shown["id"], shown["state"], shown["level"], shown["attested"]) == (node.uid, "fresh", 2, 1)
        assert await api.get(f"/v1/nodes/{node.uid}") == shown
        assert (await api.get("/v1/nodes"))["items"] == [shown]
        await api.get("/v1/nodes/compute-02", status=404)

    asked(play, tmp_path)


def test_a_silent_node_keeps_its_level_and_changes_its_state(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        await api.enrolled("compute-01")
        for silent, state in ((119, "fresh"), (2, "late"), (238, "late"), (2, "expired")):
            api.clock.forward(silent)
            shown = await api.get("/v1/nodes/compute-01")
            assert (shown["state"], shown["level"]) == (state, 2)
            result = (await api.get("/v1/nodes/compute-01/result"))["result"]
            assert (result["state"], result["level"]) == (state, 2)
            for asked_for in ("fresh", "late", "expired"):
                found = (await api.get(f"/v1/nodes?state={asked_for}"))["items"]
                assert len(found) == (asked_for == state)

    asked(play, tmp_path)


def test_nodes_are_filtered(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        for name in ("compute-01", "compute-02", "storage-01"):
            await api.enrolled(name, role=name[:7], attested=name != "compute-02")

        async def names(query: str) -> list[str]:
            return [row["name"] for row in (await api.get(f"/v1/nodes?{query}"))["items"]]

        assert await names("name=compute-02") == ["compute-02"]
        assert await names("name=compute*") == ["compute-01", "compute-02"]
        assert await names("name=c_mpute*") == []
        assert await names("role=storage") == ["storage-01"]
        assert await names("max_level=1") == ["compute-02"]
        assert await names("min_level=2&sort=enrolled") == ["compute-01", "storage-01"]
        assert await names("contraindicated=true") == []
        assert await names("retired=true") == []
        findings = (await api.get("/v1/nodes/compute-01/result"))["result"]["findings"]
        check = next(finding["id"] for finding in findings if finding["tier"] == "none")
        assert await names(f"check={check}") == ["compute-01", "storage-01"]
        await api.get("/v1/nodes?check=no.such-check", status=422)

    asked(play, tmp_path)


def test_pages_lead_through_all_nodes_once(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        for number in range(5):
            await api.enrolled(f"n{4 - number}", attested=False)
        for sort in ("name", "level", "due", "enrolled"):
            seen: list[str] = []
            path: str | None = f"/v1/nodes?limit=2&sort={sort}"
            while path is not None:
                page = await api.get(path)
                seen += [row["name"] for row in page["items"]]
                path = page["next"]
            expected = ["n0", "n1", "n2", "n3", "n4"]
            assert seen == (expected if sort == "name" else expected[::-1])

    asked(play, tmp_path)


def forged(value: Any) -> str:  # noqa: ANN401
    return base64.urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).rstrip(b"=").decode()


def test_a_cursor_that_did_not_come_from_here_is_refused(tmp_path: Path) -> None:
    cursors = [
        "!",
        "AAAA",
        forged(["nodes.level", 1, 1]),
        forged(["nodes.name", 7, 1]),
        forged(["nodes.name", "x", True]),
        forged(["nodes.name", "x", 1 << 70]),
        forged(["nodes.name", "x"]),
        forged({"order": "nodes.name"}),
        forged(["nodes.name", "x", 1]) + "=",
        "x" * 513,
    ]

    async def play(api: Api) -> None:
        for cursor in cursors:
            await api.get("/v1/nodes", params={"cursor": cursor}, status=400)

    asked(play, tmp_path)


def test_a_query_that_is_not_understood_is_refused(tmp_path: Path) -> None:
    queries = [
        "colour=red",
        "limit=0",
        "limit=501",
        "limit=x",
        "sort=age",
        "state=good",
        "role=a&role=b",
        "max_level=7",
    ]

    async def play(api: Api) -> None:
        for query in queries:
            await api.get(f"/v1/nodes?{query}", status=400)

    asked(play, tmp_path)


def test_another_projects_nodes_are_not_there(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        node = await api.enrolled("compute-01")
        await api.account("stranger", Role.OPERATOR, project="another")
        assert (await api.get("/v1/nodes", by="stranger"))["items"] == []
        for path in ("", "/result", "/history", "/history/1"):
            await api.get(f"/v1/nodes/compute-01{path}", by="stranger", status=404)
            await api.get(f"/v1/nodes/{node.uid}{path}", by="stranger", status=404)
        await api.post("/v1/nodes/compute-01/retire", {"reason": "mine now"}, by="stranger", status=404)
        assert (await api.get("/v1/nodes/compute-01"))["retired_at"] is None

    asked(play, tmp_path)


def test_a_projects_operator_enrols_into_the_project(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        await api.account("stranger", Role.OPERATOR, project="another")
        made = await api.post("/v1/join-tokens", {"name": "compute-01"}, by="stranger")
        assert [row["name"] for row in (await api.get("/v1/join-tokens", by="stranger"))["items"]] == ["compute-01"]
        await api.post("/v1/join-tokens", {"name": "compute-02"})
        assert len((await api.get("/v1/join-tokens", by="stranger"))["items"]) == 1
        assert len((await api.get("/v1/join-tokens"))["items"]) == 2
        other = f"/v1/join-tokens/{made['made']['id'] + 1}"
        assert (await api.ask("DELETE", other, by="stranger")).status_code == 404
        assert (await api.ask("DELETE", other, by="operator")).status_code == 204

    asked(play, tmp_path)


def test_the_result_is_sent_again_only_when_it_changed(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        await api.enrolled("compute-01")
        for path in ("/v1/nodes/compute-01/result", "/v1/nodes/compute-01"):
            first = await api.ask("GET", path, by="viewer")
            tag = first.headers["etag"]
            same = await api.ask("GET", path, by="viewer", headers={"If-None-Match": f'"x", W/{tag}'})
            assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
            api.clock.forward(200)
            later = await api.ask("GET", path, by="viewer", headers={"If-None-Match": tag})
            assert later.status_code == 200

    asked(play, tmp_path)


def test_the_signed_result_ends_no_later_than_the_nodes_state(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        await api.enrolled("compute-01")
        keys = KeySet.import_key_set(await api.get("/.well-known/jwks.json"))
        for silent, lifetime in ((0, 300), (200, 160), (0, 160)):
            api.clock.forward(silent)
            answer = await api.ask("GET", "/v1/nodes/compute-01/result?nonce=a-fresh-nonce", by="viewer", headers=EAR)
            assert answer.headers["content-type"] == "application/eat+jwt"
            claims = jwt.decode(answer.text, keys, algorithms=["ES256"]).claims
            assert claims["exp"] - claims["iat"] == lifetime
            assert claims["eat_nonce"] == "a-fresh-nonce"
            assert list(claims["submods"]) == ["compute-01"]
        api.clock.forward(161)
        assert (await api.ask("GET", "/v1/nodes/compute-01/result", by="viewer", headers=EAR)).status_code == 409

    asked(play, tmp_path)


def test_a_node_of_which_nothing_was_accepted_has_no_result(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        await api.enrolled("compute-01", attested=False)
        assert (await api.get("/v1/nodes/compute-01"))["level"] == 0
        await api.get("/v1/nodes/compute-01/result", status=404)
        assert (await api.get("/v1/nodes/compute-01/history"))["items"] == []

    asked(play, tmp_path)


def test_history_has_an_entry_for_each_change(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        node = await api.enrolled("compute-01", entries=60)
        node.entries = None
        api.clock.forward(60)
        await api.side.attest(node)
        api.clock.forward(60)
        await api.side.attest(node)
        page = await api.get("/v1/nodes/compute-01/history?limit=1")
        (entry,) = page["items"]
        shown = await api.get(f"/v1/nodes/compute-01/history/{entry['number']}")
        assert (shown["entry"], shown["result"]["level"]) == (entry, entry["level"])
        (before,) = (await api.get(page["next"]))["items"]
        assert before["number"] < entry["number"]
        assert (before["check"], before["why"]) == (None, None)
        changed = await api.get(f"/v1/nodes/compute-01/history/{before['number']}")
        gone = {one["why"] for one in changed["result"]["findings"]}
        new = {one["why"] for one in shown["result"]["findings"]}
        assert entry["why"].removeprefix("no longer: ") in gone ^ new
        await api.get("/v1/nodes/compute-01/history/999", status=404)

    asked(play, tmp_path)


def test_a_retired_node_is_gone_and_its_history_stays(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        node = await api.enrolled("compute-01")
        before = await api.ask("GET", "/v1/nodes/compute-01", by="viewer")
        stale = {"If-Match": '"somebody-elses"'}
        path = "/v1/nodes/compute-01/retire"
        await api.post(path, {"reason": "sold"}, status=412, headers=stale)
        gone = await api.post(path, {"reason": "sold"}, status=200, headers={"If-Match": before.headers["etag"]})
        assert gone["retired_at"] is not None
        await api.get("/v1/nodes/compute-01", status=404)
        assert (await api.get(f"/v1/nodes/{node.uid}"))["retired_at"] == gone["retired_at"]
        assert [row["name"] for row in (await api.get("/v1/nodes?retired=true"))["items"]] == ["compute-01"]
        assert len((await api.get(f"/v1/nodes/{node.uid}/history"))["items"]) == 1
        await api.post(f"/v1/nodes/{node.uid}/retire", {"reason": "again"}, status=409)
        assert (await api.side.call("challenge", node.ask()))[0] == 404
        assert ("operator", "node.retire", "node:compute-01") in await api.audit()

    asked(play, tmp_path)


def test_what_a_request_does_not_know_is_refused(tmp_path: Path) -> None:
    path, json_type = "/v1/nodes/compute-01/retire", {"content-type": "application/json"}
    bodies: list[object] = [{}, {"reason": ""}, {"reason": "x", "force": True}, {"reason": 7}, [], {"reason": "a\nb"}]

    async def play(api: Api) -> None:
        for body in [*bodies, {"reason": "x" * 1025}]:
            await api.post(path, body, status=400)
        for raw in (b"{", b"", b'{"reason":' + b"[" * 30_000, b"\xff"):
            await api.post(path, status=400, content=raw, headers=json_type)
        await api.post(path, status=415, content=b"{}", headers={"content-type": "text/plain"})
        await api.post(path, status=413, content=b" " * 70_000, headers=json_type)
        for method, where, status in (("PATCH", "/v1/nodes/compute-01", 405), ("GET", "/v1/no-such-thing", 404)):
            answer = await api.ask(method, where, by="operator")
            assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM)
        assert not await api.audit()

    asked(play, tmp_path)


def test_the_enrol_line_has_everything(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        made = await api.post("/v1/join-tokens", {"name": "compute-01", "hours": 1})
        expected = "bartizan-agent enrol --service http://bartizan.test --name compute-01 --role compute"
        assert made["line"] == f"BARTIZAN_TOKEN={made['token']} {expected}"
        assert made["made"]["used_at"] is None
        number = made["made"]["id"]
        assert (await api.ask("DELETE", f"/v1/join-tokens/{number}", by="operator")).status_code == 204
        again = await api.ask("DELETE", f"/v1/join-tokens/{number}", by="operator")
        assert (again.status_code, "has expired or was withdrawn already" in again.text) == (409, True)
        assert [entry[1:] for entry in await api.audit()].count(("join-token.withdraw", "node:compute-01")) == 1

    asked(play, tmp_path)
