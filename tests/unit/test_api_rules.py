"""Policies and Reference Values over the JSON API: put in, in force, out of force; everybody is judged anew."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

from bartizan.app.service.settings import Trust
from bartizan.formats.reference_file import decode_reference, encode_reference
from bartizan.model.node import Role
from bartizan.model.reference import ReferenceFile, ReferenceSet
from tests.unit.api_side import Api, asked

TOML = {"content-type": "application/toml"}
JSON = {"content-type": "application/json"}
STRICT = b'name = "strict"\nunknown_file = "contraindicated"\n'
FILE = ReferenceFile(path=b"/usr/bin/true", alg="sha256", digest=bytes(32))
SET = ReferenceSet(name="release-1", source="tests", events=(), files=(FILE,), digest="")
BY = "security-officer"


async def judged(api: Api, policy: str) -> dict[str, Any]:
    """A node's result, once it was made by this policy."""
    for _ in range(500):
        found: dict[str, Any] = (await api.get("/v1/nodes/compute-01/result"))["result"]
        if found["policy"] == policy:
            return found
        await asyncio.sleep(0)
    raise AssertionError(found["policy"])


async def upload(api: Api, raw: bytes = STRICT, *, status: int = 201) -> Any:  # noqa: ANN401
    return await api.post("/v1/policies", content=raw, headers=TOML, by=BY, status=status)


def test_a_policy_judges_once_it_is_put_in_force(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        await api.enrolled("compute-01")
        made = await upload(api)
        assert (made["name"], made["version"], made["active"]) == ("strict", 1, False)
        assert (await upload(api))["version"] == 2
        shown = await api.get(f"/v1/policies/{made['id']}")
        assert (shown["document"].encode(), shown["policy"]) == (STRICT, made)
        active = await api.post(f"/v1/policies/{made['id']}/activate", by=BY, status=200)
        assert (active["active"], active["approved_by"]) == (True, BY)
        await judged(api, "strict")
        assert (await api.get("/v1/reappraisal"))["done"] == 1
        await api.post(f"/v1/policies/{made['id']}/activate", by=BY, status=409)
        assert (await api.ask("DELETE", "/v1/policies/active", by=BY)).status_code == 204
        assert (await api.ask("DELETE", "/v1/policies/active", by=BY)).status_code == 409
        await judged(api, "default")
        assert [row["active"] for row in (await api.get("/v1/policies"))["items"]] == [False, False]
        assert [entry[1:] for entry in await api.audit()] == [
            ("policy.upload", "policy:strict"),
            ("policy.upload", "policy:strict"),
            ("policy.activate", "policy:strict"),
            ("policy.deactivate", "policy:strict"),
        ]

    asked(play, tmp_path)


def test_what_is_no_policy_is_refused(tmp_path: Path) -> None:
    bad = [
        b"",
        b"\xff",
        b"name = ",
        b"a = " + b"[" * 5000,
        STRICT + b"colour = 1\n",
        b'name = "no good name"\n',
        STRICT.replace(b"contraindicated", b"affirming"),
        STRICT + b'[[waiver]]\ncheck = "no.such"\nreason = "x"\n',
    ]

    async def play(api: Api) -> None:
        for raw in bad:
            await upload(api, raw, status=422)
        await upload(api, b"#" * (1024 * 1024 + 1), status=413)
        await api.get("/v1/policies/1", status=404)
        await api.post("/v1/policies/1/activate", by=BY, status=404)
        assert (await api.get("/v1/policies"))["items"] == []
        assert not await api.audit()

    asked(play, tmp_path)


async def propose(api: Api, some: ReferenceSet = SET, *, status: int = 201) -> Any:  # noqa: ANN401
    return await api.post("/v1/references", content=encode_reference(some), headers=JSON, by=BY, status=status)


async def step(api: Api, number: int, verb: str, *, status: int = 200, by: str = BY, **more: Any) -> Any:  # noqa: ANN401
    body = {"reason": "because"} | more.pop("body", {})
    return await api.post(f"/v1/references/{number}/{verb}", body, by=by, status=status, **more)


def test_reference_values_live_from_proposal_to_revocation(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        made = await propose(api)
        number = made["id"]
        assert (made["state"], made["version"], made["approved_by"]) == ("proposed", 1, None)
        assert api.service.rules.rules.reference is None
        window = {"valid_from": "2026-06-01T00:00:00Z", "valid_until": "2027-06-01T02:00:00+02:00"}
        approved = await step(api, number, "approve", body=window)
        assert (approved["state"], approved["approved_by"]) == ("approved", BY)
        assert api.service.rules.rules.reference is not None
        raw = (await api.ask("GET", f"/v1/references/{number}/document", by="viewer")).content
        document = decode_reference(raw)
        assert (document.digest, str(document.valid_until)) == (approved["digest"], "2027-06-01 00:00:00+00:00")
        assert document.files == SET.files
        assert (await step(api, number, "retire"))["state"] == "retired"
        assert (await step(api, number, "revoke"))["state"] == "revoked"
        assert [entry[1:] for entry in await api.audit()] == [
            (f"reference-set.{verb}", "reference:release-1") for verb in ("propose", "approved", "retired", "revoked")
        ]

    asked(play, tmp_path)


def test_steps_that_there_are_not_are_refused(tmp_path: Path) -> None:
    verbs = ("approve", "retire", "revoke")
    allowed = {
        "proposed": {"approve", "revoke"},
        "approved": {"retire", "revoke"},
        "retired": {"revoke"},
        "revoked": set(),
    }

    async def play(api: Api) -> None:
        for path in ((), ("approve",), ("approve", "retire"), ("revoke",)):
            number = (await propose(api))["id"]
            for verb in path:
                await step(api, number, verb)
            state = (await api.get(f"/v1/references/{number}"))["state"]
            for verb in set(verbs) - allowed[state]:
                await step(api, number, verb, status=409)
        await step(api, 99, "approve", status=404)
        backwards = {"valid_from": "2027-01-01T00:00:00Z", "valid_until": "2026-01-01T00:00:00Z"}
        await step(api, (await propose(api))["id"], "approve", body=backwards, status=422)

    asked(play, tmp_path)


def test_a_step_is_refused_to_who_saw_something_else(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        number = (await propose(api))["id"]
        seen = await api.ask("GET", f"/v1/references/{number}", by="viewer")
        tag = {"If-Match": seen.headers["etag"]}
        same = await api.ask("GET", f"/v1/references/{number}", by="viewer", headers={"If-None-Match": tag["If-Match"]})
        assert same.status_code == 304
        await step(api, number, "approve", headers=tag)
        await step(api, number, "retire", headers=tag, status=412)
        assert (await api.get(f"/v1/references/{number}"))["state"] == "approved"

    asked(play, tmp_path)


def test_a_proposal_in_whatever_state_its_document_says_is_a_proposal(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        made = await propose(api, replace(SET, name="approved-by-itself"))
        assert made["state"] == "proposed"
        raw = (await api.ask("GET", f"/v1/references/{made['id']}/document", by="viewer")).content
        assert decode_reference(raw).state == "proposed"

    asked(play, tmp_path)


def test_what_is_no_set_is_refused(tmp_path: Path) -> None:
    good = encode_reference(SET)

    async def play(api: Api) -> None:
        for raw in (b"", b"{}", good[:-1], good.replace(b"release-1", b"no good name"), b"[" * 100_000):
            await api.post("/v1/references", content=raw, headers=JSON, by=BY, status=422)
        assert (await api.get("/v1/references"))["items"] == []

    asked(play, tmp_path)


def test_two_sets_are_compared_in_words(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        one = await propose(api)
        other = await propose(api, replace(SET, files=(replace(FILE, digest=bytes([1]) * 32),)))
        assert other["version"] == 2
        found = await api.get(f"/v1/references/{one['id']}/diff/{other['id']}")
        assert found["total"] == 1
        assert (found["items"][0]["change"], found["items"][0]["pcr"]) == ("changed", 10)
        assert "/usr/bin/true" in found["items"][0]["what"]
        await api.get(f"/v1/references/{one['id']}/diff/99", status=404)
        assert [row["id"] for row in (await api.get("/v1/references?limit=1"))["items"]] == [other["id"]]

    asked(play, tmp_path)


def test_where_two_persons_are_asked_for_one_cannot_do_both(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        await api.account("second", Role.SECURITY_OFFICER)
        policy, reference = (await upload(api))["id"], (await propose(api))["id"]
        await api.post(f"/v1/policies/{policy}/activate", by=BY, status=403)
        await step(api, reference, "approve", status=403)
        await api.post(f"/v1/policies/{policy}/activate", by="second", status=200)
        assert (await step(api, reference, "approve", by="second"))["approved_by"] == "second"

    asked(play, tmp_path, trust=Trust(two_persons=True))


def test_where_two_persons_are_asked_for_nobody_goes_back_to_the_shipped_policy_alone(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        await api.account("second", Role.SECURITY_OFFICER)
        number = (await upload(api))["id"]
        assert (await api.ask("DELETE", "/v1/policies/active", by=BY)).status_code == 409
        await api.post(f"/v1/policies/{number}/activate", by="second", status=200)
        for by in (BY, "second"):
            assert (await api.ask("DELETE", "/v1/policies/active", by=by)).status_code == 403
        assert [row["active"] for row in (await api.get("/v1/policies"))["items"]] == [True]

    asked(play, tmp_path, trust=Trust(two_persons=True))


def test_where_two_persons_are_asked_for_one_makes_no_token_of_the_other(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        await api.account("second", Role.SECURITY_OFFICER)
        body = {"label": "mine", "role": BY, "account": "second"}
        await api.post("/v1/api-tokens", body, by=BY, status=403)
        await api.post("/v1/api-tokens", body, by="second")

    asked(play, tmp_path, trust=Trust(two_persons=True))


def test_a_projects_officer_does_not_rule_every_project(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        await api.account("stranger", Role.SECURITY_OFFICER, project="another")
        await api.post("/v1/policies", content=STRICT, headers=TOML, by="stranger", status=403)
        await api.post("/v1/references", content=encode_reference(SET), headers=JSON, by="stranger", status=403)
        await api.post("/v1/accounts", {"name": "x", "role": "operator"}, by="stranger", status=403)

    asked(play, tmp_path)
