"""What is not in order, over the JSON API, and what people say beside it."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from bartizan.model.node import Role
from tests.simulator.tpm_ca import NOW
from tests.unit.api_side import Api, asked

CHECK = "ima.known-code"


def days(count: float) -> str:
    moment: datetime = NOW + timedelta(days=count)
    return moment.isoformat()


async def fleet(api: Api) -> str:
    """Three nodes, two of them attested; returns a check that keeps these down."""
    for name in ("compute-01", "compute-02"):
        await api.enrolled(name)
    await api.enrolled("storage-01", role="storage", attested=False)
    found = await api.get("/v1/nodes/compute-01/findings")
    check: str = next(item["check"] for item in found["items"] if item["keeps_down"])
    return check


def test_a_nodes_findings_come_with_words_and_what_would_mend_them(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        check = await fleet(api)
        found = await api.get("/v1/nodes/compute-01/findings")
        item = next(item for item in found["items"] if item["check"] == check)
        assert item["title"]
        assert item["fix"]
        assert item["tier"] != "affirming"
        assert (found["node"], found["maintenance"], item["acknowledged"]) == ("compute-01", [], [])
        assert (await api.get("/v1/nodes/storage-01/findings"))["items"] == []

    asked(play, tmp_path)


def test_findings_are_grouped_over_the_fleet_and_the_project(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        check = await fleet(api)
        groups = (await api.get("/v1/findings"))["items"]
        group = next(group for group in groups if group["check"] == check)
        assert (group["nodes"], group["example"]) == (2, "compute-01")
        assert [one["nodes"] for one in groups] == sorted((one["nodes"] for one in groups), reverse=True)
        await api.account("stranger", Role.VIEWER, project="another")
        assert (await api.get("/v1/findings", by="stranger"))["items"] == []
        assert (await api.get("/v1/gap", by="stranger"))["nodes"] == 0
        await api.get("/v1/nodes/compute-01/findings", by="stranger", status=404)

    asked(play, tmp_path)


def test_the_gap_says_what_keeps_whom_from_the_next_level(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        check = await fleet(api)
        gap = await api.get("/v1/gap")
        assert (gap["nodes"], gap["unattested"], gap["levels"]) == (3, 1, {"2": 2})
        item = next(item for item in gap["items"] if item["check"] == check)
        assert (item["level"], item["nodes"], item["roles"], item["example"]) == (2, 2, {"compute": 2}, "compute-01")
        assert item["fix"]
        ladder = (await api.get("/v1/nodes/compute-01/result"))["result"]["ladder"]
        missing = next(rung["missing"] for rung in ladder if rung["holds"] is False)
        assert {item["check"] for item in gap["items"]} == set(missing)

    asked(play, tmp_path)


def test_an_acknowledged_finding_is_shown_beside_and_the_verdict_stays(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        check = await fleet(api)
        before = (await api.get("/v1/nodes/compute-01/result"))["result"]
        body = {"check": check, "scope": "node:compute-01", "reason": "ticket 4711", "ends_at": days(1)}
        made = await api.post("/v1/acknowledgements", body)
        assert (made["created_by"], made["check"], made["path"]) == ("operator", check, None)
        assert await said_of(api, "compute-01", check) == [made["id"]]
        assert await said_of(api, "compute-02", check) == []
        assert (await api.get("/v1/nodes/compute-01/result"))["result"] == before
        api.clock.forward(24 * 3600)
        assert await said_of(api, "compute-01", check) == []
        assert (await api.get("/v1/acknowledgements?current=true"))["items"] == []
        assert (await api.get("/v1/acknowledgements"))["items"] == [made]

    asked(play, tmp_path)


async def said_of(api: Api, node: str, check: str) -> list[int]:
    """Acknowledgements beside a finding."""
    items = (await api.get(f"/v1/nodes/{node}/findings"))["items"]
    found = next(item for item in items if item["check"] == check)
    return [one["id"] for one in found["acknowledged"]]


def test_an_acknowledgement_covers_a_role_all_or_a_file(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        check = await fleet(api)
        body: dict[str, Any] = {"check": check, "reason": "known", "ends_at": days(1)}
        by_role = await api.post("/v1/acknowledgements", body | {"scope": "role:compute"})
        await api.post("/v1/acknowledgements", body | {"scope": "role:storage"})
        everywhere = await api.post("/v1/acknowledgements", body | {"scope": "all"})
        await api.post("/v1/acknowledgements", body | {"scope": "all", "path": "/no/such/file"})
        assert await said_of(api, "compute-02", check) == [everywhere["id"], by_role["id"]]
        path = f"/v1/acknowledgements/{by_role['id']}"
        assert (await api.ask("DELETE", path, by="operator")).status_code == 204
        assert (await api.ask("DELETE", path, by="operator")).status_code == 409
        assert (await api.ask("DELETE", "/v1/acknowledgements/99", by="operator")).status_code == 404
        assert await said_of(api, "compute-02", check) == [everywhere["id"]]
        actions = [entry[1:] for entry in await api.audit()]
        assert ("finding.acknowledge", "role:compute") in actions
        assert ("finding.unacknowledge", "role:compute") in actions

    asked(play, tmp_path)


def test_an_acknowledgement_is_bounded_and_names_a_check(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        check = await fleet(api)
        body = {"check": check, "scope": "all", "reason": "known", "ends_at": days(1)}
        for change in ({"check": "no.such"}, {"ends_at": days(91)}, {"ends_at": days(0)}):
            await api.post("/v1/acknowledgements", body | change, status=422)
        for change in ({"scope": "everybody"}, {"scope": "node:a b"}, {"reason": ""}, {"ends_at": "2026-06-02"}):
            await api.post("/v1/acknowledgements", body | change, status=400)

    asked(play, tmp_path)


def test_a_maintenance_window_is_shown_and_ends(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        await fleet(api)
        body = {"scope": "role:compute", "reason": "firmware update", "ends_at": days(1)}
        made = await api.post("/v1/maintenance", body)
        later = await api.post("/v1/maintenance", body | {"begins_at": days(2), "ends_at": days(3)})

        async def windows() -> list[int]:
            return [one["id"] for one in (await api.get("/v1/nodes/compute-01/findings"))["maintenance"]]

        assert await windows() == [made["id"]]
        assert (await api.get("/v1/nodes/storage-01/findings"))["maintenance"] == []
        assert (await api.get("/v1/maintenance?current=true"))["items"] == [made]
        api.clock.forward(3600)
        for one in (made, later):
            assert (await api.ask("DELETE", f"/v1/maintenance/{one['id']}", by="operator")).status_code == 204
        assert (await api.ask("DELETE", f"/v1/maintenance/{made['id']}", by="operator")).status_code == 409
        assert await windows() == []
        api.clock.forward(2 * 24 * 3600)
        assert await windows() == []
        assert [entry[1] for entry in await api.audit()] == ["maintenance.open"] * 2 + ["maintenance.close"] * 2

    asked(play, tmp_path)


def test_a_maintenance_window_is_bounded(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        body = {"scope": "all", "reason": "x"}
        for begins, ends in ((0, 31), (-1, 0), (2, 1), (400, 401)):
            sent = body | {"begins_at": days(begins), "ends_at": days(ends)}
            await api.post("/v1/maintenance", sent, status=422)
        await api.post("/v1/maintenance", body, status=400)

    asked(play, tmp_path)


def test_what_a_project_says_covers_its_nodes_only(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        check = await fleet(api)
        await api.account("stranger", Role.OPERATOR, project="another")
        body = {"check": check, "scope": "all", "reason": "known", "ends_at": days(1)}
        theirs = await api.post("/v1/acknowledgements", body, by="stranger")
        ours = await api.post("/v1/acknowledgements", body)
        window = await api.post("/v1/maintenance", {"scope": "all", "reason": "x", "ends_at": days(1)}, by="stranger")
        assert await said_of(api, "compute-01", check) == [ours["id"]]
        assert (await api.get("/v1/nodes/compute-01/findings"))["maintenance"] == []
        path = "/v1/acknowledgements"
        assert (await api.ask("DELETE", f"{path}/{ours['id']}", by="stranger")).status_code == 403
        assert (await api.ask("DELETE", f"{path}/{theirs['id']}", by="stranger")).status_code == 204
        await api.account("third", Role.OPERATOR, project="third")
        assert (await api.ask("DELETE", f"/v1/maintenance/{window['id']}", by="third")).status_code == 404

    asked(play, tmp_path)
