"""What an account of one project cannot do to another project, over the JSON API."""

from pathlib import Path

import pytest

from bartizan.model.node import Role
from tests.unit.api_side import Api, asked

OFFICER, THEIRS = "security-officer", "their-officer"


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
