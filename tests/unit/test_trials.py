"""A trial of rules: what they would do to the fleet, found from what is kept, with nothing written and nobody asked."""

import asyncio
import json
from contextlib import aclosing
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection, text

from bartizan.app.changed_verdict import what_changed
from bartizan.app.service.trying import try_policy
from bartizan.formats.reference_file import encode_reference
from bartizan.model.node import Role
from bartizan.model.result import Anchor, Claim, Finding, Tier
from tests.simulator.machine import reference
from tests.unit.api_side import Api, asked
from tests.unit.cli_runner import run
from tests.unit.service_double import Double, double
from tests.unit.test_api_rules import BY, JSON, STRICT, TOML

__all__ = ["double"]
KNOWN = reference().set
LEVEL_4, LEVEL_2 = {"levels": {"4": 2}, "contraindicated": 0}, {"levels": {"2": 2}, "contraindicated": 0}


async def fleet(api: Api) -> None:
    for name in ("compute-01", "compute-02"):
        await api.enrolled(name)
    await api.enrolled("storage-01", role="storage", attested=False)


async def tried(api: Api, path: str, *, by: str = BY, status: int = 200, **body: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    answer = await api.ask("POST", path, by=by, **body)
    assert answer.status_code == status, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


async def policy(api: Api, raw: bytes = STRICT, **more: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    return await tried(api, "/v1/policies/trial", content=raw, headers=TOML, **more)


async def proposed(api: Api) -> str:
    made = await api.post("/v1/references", content=encode_reference(KNOWN), headers=JSON, by=BY)
    return f"/v1/references/{made['id']}"


def everything(connection: Connection) -> dict[str, list[Any]]:
    """What the database holds, but for the service's heartbeat."""
    names = connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'table'")).scalars().all()
    return {
        name: list(connection.execute(text(f"SELECT * FROM {name}")).all())  # noqa: S608  its own names
        for name in names
        if name not in {"beat", "sqlite_sequence"}
    }


def test_values_that_would_lift_the_fleet_say_whom_and_by_what(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        await fleet(api)
        lines = await tried(api, f"{await proposed(api)}/trial", json={"to": "approved"})
        last = lines[-1]
        assert (last["ended"], last["total"], last["done"], last["unjudged"]) == (True, 3, 3, 1)
        assert (last["before"], last["after"], last["worse"], last["better"]) == (LEVEL_2, LEVEL_4, 0, 2)
        assert [one["node"] for one in last["moved"]] == ["compute-01", "compute-02"]
        assert last["moved"][0]["why"].startswith("no longer: no Reference Values")

    asked(play, tmp_path)


@pytest.mark.parametrize("to", ["retired", "revoked"])
def test_values_whose_end_would_let_nodes_fall_name_the_finding(tmp_path: Path, to: str) -> None:
    async def play(api: Api) -> None:
        path = await proposed(api)
        await api.post(f"{path}/approve", {"reason": "tested"}, by=BY, status=200)
        await fleet(api)
        last = (await tried(api, f"{path}/trial", json={"to": to}, by="operator"))[-1]
        assert (last["before"], last["worse"], last["better"]) == (LEVEL_4, 2, 0)
        assert all(one["worse"] and one["check"] and one["after"] < 4 for one in last["moved"])
        assert last["after"]["contraindicated"] == (2 if to == "revoked" else 0)

    asked(play, tmp_path)


def test_a_policy_that_changes_nothing_for_anybody_says_so(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        await fleet(api)
        last = (await policy(api))[-1]
        assert (last["worse"], last["better"], last["moved"]) == (0, 0, [])
        assert last["before"] == last["after"] == LEVEL_2

    asked(play, tmp_path)


def test_a_trial_writes_nothing_and_leaves_the_rules_and_verdicts(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        await fleet(api)
        path = await proposed(api)
        before, rules = await api.service.read(everything), api.service.rules.rules
        await tried(api, f"{path}/trial", json={"to": "approved"})
        await policy(api)
        assert await api.service.read(everything) == before
        assert api.service.rules.rules is rules
        assert (await api.get("/v1/nodes/compute-01/result"))["result"]["level"] == 2

    asked(play, tmp_path)


def test_a_trial_judges_as_putting_in_force_does(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        await fleet(api)
        path = await proposed(api)
        foretold = (await tried(api, f"{path}/trial", json={"to": "approved"}))[-1]["after"]["levels"]
        await api.post(f"{path}/approve", {"reason": "tested"}, by=BY, status=200)
        await api.service.reappraising.reappraise()
        nodes = (await api.get("/v1/nodes"))["items"]
        levels = [str(one["level"]) for one in nodes if one["name"] != "storage-01"]
        assert {level: levels.count(level) for level in levels} == foretold

    asked(play, tmp_path)


def test_what_cannot_be_tried_is_refused(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        await policy(api, b"colour = 1\n", status=422)
        await tried(api, "/v1/references/9/trial", json={"to": "approved"}, status=404)
        path = await proposed(api)
        await tried(api, f"{path}/trial", json={"to": "retired"}, status=409)
        await tried(api, f"{path}/trial", json={"to": "proposed"}, status=400)
        backwards = {"to": "approved", "valid_from": "2027-01-01T00:00:00Z", "valid_until": "2026-01-01T00:00:00Z"}
        await tried(api, f"{path}/trial", json=backwards, status=422)
        for role in ("viewer", "auditor"):
            await policy(api, by=role, status=403)
        await api.account("stranger", Role.SECURITY_OFFICER, project="another")
        await policy(api, by="stranger", status=403)

    asked(play, tmp_path)


def test_one_trial_runs_at_a_time_and_ends_when_nobody_listens(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        await fleet(api)
        async with aclosing(await try_policy(api.service, STRICT)) as under_way:
            await anext(under_way)
            await policy(api, status=409)
        await policy(api)
        await asyncio.gather(policy(api))

    asked(play, tmp_path)


def test_a_node_whose_evidence_does_not_hold_is_counted_as_unjudged(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        await fleet(api)
        node = api.service.memory.all()[0]
        node.state = None
        damage = text("UPDATE blob SET content = x'00'")
        await api.service.write(lambda connection: connection.execute(damage))
        last = (await policy(api))[-1]
        assert (last["unjudged"], last["done"]) == (2, 3)

    asked(play, tmp_path)


def finding(name: str, tier: Tier, why: str = "") -> Finding:
    return Finding(id=name, claim=Claim.EXECUTABLES, tier=tier, why=why or name, anchor=Anchor.TPM)


BAD, WARN, FINE = finding("a", Tier.CONTRAINDICATED), finding("b", Tier.WARNING), finding("c", Tier.AFFIRMING)


@pytest.mark.parametrize(
    ("old", "new", "worse", "said"),
    [
        ([FINE], [FINE, WARN, BAD], True, BAD),
        ([WARN, BAD], [WARN], False, BAD),
        ([WARN], [], True, WARN),
        ([], [WARN], False, WARN),
        ([WARN], [WARN, FINE], True, None),
    ],
)
def test_the_finding_that_came_or_went_says_why(
    old: list[Finding], new: list[Finding], worse: bool, said: Finding | None
) -> None:
    assert what_changed(old, new, worse=worse) is said


LINE = {
    "ended": False,
    "total": 2,
    "done": 0,
    "unjudged": 0,
    "worse": 0,
    "better": 0,
    "before": {"levels": {}, "contraindicated": 0},
    "after": {"levels": {}, "contraindicated": 0},
    "moved": [],
}
MOVED = {
    "node": "compute-01",
    "before": 4,
    "after": 3,
    "contraindicated_before": False,
    "contraindicated_after": True,
    "worse": True,
    "check": "ima.known-files",
    "why": "/x is unknown",
}
ENDED = LINE | {"ended": True, "done": 2, "unjudged": 1, "worse": 1, "moved": [MOVED]}
ENDED |= {"before": {"levels": {"4": 1}, "contraindicated": 0}, "after": {"levels": {"3": 1}, "contraindicated": 1}}


def lines(*some: dict[str, Any]) -> httpx.Response:
    return httpx.Response(200, content="".join(json.dumps(one) + "\n" for one in some))


def test_the_command_says_who_would_fall_and_why(double: Double, tmp_path: Path) -> None:
    (tmp_path / "strict.toml").write_bytes(STRICT)
    double.on("POST /v1/policies/trial", lines(LINE, LINE | {"done": 1}, ENDED))

    shown = run("policy", "try", tmp_path / "strict.toml")
    documented = run("policy", "try", tmp_path / "strict.toml", "--json")

    assert (shown.code, documented.code) == (1, 1)
    for words in ("nothing was changed", "4 known code", "ima.known-files: /x is unknown", "1 node would fall"):
        assert words in shown.out
    assert "1 node not judged" in shown.out
    assert documented.document == ENDED
    assert double.asked[0].content == STRICT


def test_the_command_is_good_where_nobody_would_fall(double: Double) -> None:
    double.on("POST /v1/references/3/trial", lines(LINE | {"ended": True, "done": 2, "better": 2}))

    shown = run("reference", "service", "try", "3", "--as", "revoked")

    assert (shown.code, "0 nodes would fall, 2 would rise" in shown.out) == (0, True)
    assert double.bodies == [{"to": "revoked"}]


def test_a_trial_that_breaks_off_is_no_answer(double: Double, tmp_path: Path) -> None:
    (tmp_path / "strict.toml").write_bytes(STRICT)
    double.on("POST /v1/policies/trial", lines(LINE))

    ran = run("policy", "try", tmp_path / "strict.toml")

    assert (ran.code, "before the trial was through" in ran.err) == (3, True)
