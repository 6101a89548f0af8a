"""What an account of one project cannot do to another project, over the JSON API."""

from pathlib import Path

import pytest
from sqlalchemy import delete, update

from bartizan.model.node import Role
from bartizan.store.tables import node, registered_ek, review
from tests.simulator.attester import Attester
from tests.unit.api_side import Api, asked

CSV = {"content-type": "text/csv"}
OFFICER, THEIRS, THEIR_OPERATOR = "security-officer", "their-officer", "their-operator"


@pytest.mark.parametrize("account", [OFFICER, "operator", "auditor", "their-viewer", "nobody"])
def test_a_projects_officer_makes_no_token_of_another_account(tmp_path: Path, account: str) -> None:
    async def play(api: Api) -> None:
        await api.account(THEIRS, Role.SECURITY_OFFICER, project="another")
        await api.account("their-viewer", Role.VIEWER, project="another")
        for role in ("viewer", OFFICER):
            body = {"label": "mine now", "role": role, "account": account}
            await api.post("/v1/api-tokens", body, by=THEIRS, status=403)
        assert not await api.audit()

    asked(play, tmp_path)


def test_a_projects_officer_makes_sees_and_revokes_their_own_tokens_only(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        await api.account(THEIRS, Role.SECURITY_OFFICER, project="another")
        made = await api.post("/v1/api-tokens", {"label": "own", "role": OFFICER, "account": THEIRS}, by=THEIRS)
        seen = (await api.get("/v1/api-tokens", by=THEIRS))["items"]
        assert {row["account"] for row in seen} == {THEIRS}
        others = {row["id"] for row in (await api.get("/v1/api-tokens", by=OFFICER))["items"]} - {r["id"] for r in seen}
        for number in others:
            assert (await api.ask("DELETE", f"/v1/api-tokens/{number}", by=THEIRS)).status_code == 404
        assert (await api.ask("DELETE", f"/v1/api-tokens/{made['made']['id']}", by=THEIRS)).status_code == 204

    asked(play, tmp_path)


async def swap(api: Api, by: str) -> Attester:
    """Another TPM asks to be compute-01, which is enrolled; an operator has registered its EK."""
    await api.account(THEIR_OPERATOR, Role.OPERATOR, project="another")
    await api.enrolled("compute-01")
    other = Attester(name="compute-01", keys="another TPM")
    row = f"compute-01,compute,{other.ek.name.hex()}".encode()
    await api.post("/v1/endorsement-keys", content=row, headers=CSV, by=by)
    assert (await api.side.call("enrol", other.enrol()))[0] == 202
    return other


def test_only_the_default_project_sees_and_decides_what_would_replace_another_projects_node(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        other = await swap(api, THEIR_OPERATOR)
        assert (await api.get("/v1/reviews", by=THEIR_OPERATOR))["items"] == []
        for verb in ("approve", "reject"):
            await api.post(f"/v1/reviews/1/{verb}", {"reason": "mine"}, by=THEIR_OPERATOR, status=404)
        assert (await api.side.call("enrol", other.enrol()))[0] == 202

        await api.post("/v1/reviews/1/approve", {"reason": "ticket 4711"}, status=200)

        _, opened = await api.side.call("enrol", other.enrol())
        status, _ = await api.side.call("activate", other.activate(opened))
        shown = await api.get("/v1/nodes/compute-01")
        assert (status, shown["ak_name"], shown["project"]) == (200, other.ak.name.hex(), "default")

    asked(play, tmp_path)


def test_a_projects_operator_decides_about_no_other_projects_node(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        await swap(api, THEIR_OPERATOR)
        await given_away(api)
        for verb in ("approve", "reject"):
            await api.post(f"/v1/reviews/1/{verb}", {"reason": "mine"}, by=THEIR_OPERATOR, status=403)
        assert (await api.get("/v1/reviews"))["items"][0]["state"] == "open"

    asked(play, tmp_path)


def test_a_projects_approval_does_not_replace_another_projects_node(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        other = await swap(api, THEIR_OPERATOR)
        before = await api.get("/v1/nodes/compute-01")
        await api.post("/v1/reviews/1/approve", {"reason": "before there was a check"}, status=200)
        await given_away(api)

        assert (await api.side.call("enrol", other.enrol()))[0] == 202

        assert await api.get("/v1/nodes/compute-01") == before
        assert [row["state"] for row in (await api.get("/v1/reviews"))["items"]] == ["open", "closed"]
        assert [row["id"] for row in (await api.get("/v1/reviews", by=THEIR_OPERATOR))["items"]] == [1]

    asked(play, tmp_path)


async def given_away(api: Api) -> None:
    """Every review belongs to the other project, as a former version had it."""
    await api.service.write(lambda connection: connection.execute(update(review).values(project=2)).rowcount)


def test_a_project_decides_about_its_own_nodes(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        await swap(api, THEIR_OPERATOR)
        await api.service.write(lambda connection: connection.execute(update(node).values(project=2)).rowcount)
        await given_away(api)

        await api.post("/v1/reviews/1/approve", {"reason": "ours"}, by=THEIR_OPERATOR, status=200)

    asked(play, tmp_path)


@pytest.mark.parametrize("name", ["compute-01", "mine-now"])
def test_a_projects_operator_registers_no_ek_of_another_projects_node(tmp_path: Path, name: str) -> None:
    async def play(api: Api) -> None:
        await api.account(THEIR_OPERATOR, Role.OPERATOR, project="another")
        theirs = await api.enrolled("compute-01")
        await api.service.write(lambda connection: connection.execute(delete(registered_ek)).rowcount)
        row = f"{name},compute,{theirs.ek.name.hex()}".encode()
        found = await api.post("/v1/endorsement-keys", content=row, headers=CSV, by=THEIR_OPERATOR, status=422)
        assert found["errors"] == ["line 1: this EK is another project's"]
        assert await api.post("/v1/endorsement-keys", content=row, headers=CSV) == {"new": 1}

    asked(play, tmp_path)
