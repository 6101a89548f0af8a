"""How nodes come in, over the JSON API: registered EKs, reviews."""

from pathlib import Path
from typing import Any

from bartizan.model.node import Role
from tests.simulator.attester import Attester
from tests.unit.api_side import Api, asked
from tests.unit.test_service_takeovers import swapped_ak

CSV = {"content-type": "text/csv"}
EKS = "/v1/endorsement-keys"
FIRST, SECOND = "000b" + "11" * 32, "000b" + "22" * 32


def lines(*rows: str) -> bytes:
    return "\r\n".join(rows).encode()


def test_eks_are_registered_from_csv(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        node = Attester(name="compute-01")
        raw = lines("name,role,ek_name", f"compute-01,compute,{node.ek.name.hex().upper()}", "", f"b,compute,{FIRST}")
        assert await api.post(EKS, content=raw, headers=CSV) == {"new": 2}
        assert await api.post(EKS, content=raw, headers=CSV) == {"new": 0}
        assert [row["name"] for row in (await api.get(EKS))["items"]] == ["b", "compute-01"]
        assert (await api.side.call("enrol", node.enrol()))[0] == 200
        assert ("operator", "endorsement-keys.register", "2 keys") in await api.audit()

    asked(play, tmp_path)


def test_bad_lines_are_named_and_nothing_is_registered(tmp_path: Path) -> None:
    rows = [
        f"good,compute,{FIRST}",
        f"bad name,compute,{SECOND}",
        "short,compute,000b11",
        f"sha1,compute,0004{'11' * 20}",
        "hex,compute,000bzz",
        f"columns,{FIRST}",
        f"again,compute,{FIRST}",
        f"good,compute,{SECOND}",
    ]

    async def play(api: Api) -> None:
        problem = await api.post(EKS, content=lines(*rows), headers=CSV, status=422)
        assert [error.partition(":")[0] for error in problem["errors"]] == [f"line {n}" for n in range(2, 9)]
        assert (await api.get(EKS))["items"] == []
        assert not await api.audit()

    asked(play, tmp_path)


def test_what_is_no_csv_is_refused(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        for raw in (b"\xff\xfe", b'a,"b', b"\0"):
            await api.post(EKS, content=raw, headers=CSV, status=422)
        await api.post(EKS, content=b"a", headers={"content-type": "application/json"}, status=415)

    asked(play, tmp_path)


def test_an_ek_registered_for_another_node_is_not_replaced(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        await api.account("stranger", Role.OPERATOR, project="another")
        await api.post(EKS, content=lines(f"a,compute,{FIRST}"), headers=CSV)
        more = lines(f"b,compute,{SECOND}", f"mine,compute,{FIRST}")
        for by, why in (("operator", "registered for a (compute)"), ("stranger", "another project's")):
            problem = await api.post(EKS, content=more, headers=CSV, status=422, by=by)
            assert problem["errors"] == [f"line 2: this EK is {why}"]
        assert [row["name"] for row in (await api.get(EKS))["items"]] == ["a"]
        assert (await api.get(EKS, by="stranger"))["items"] == []

    asked(play, tmp_path)


async def takeover(api: Api) -> Attester:
    """Another TPM asks to be a node that is enrolled."""
    await api.enrolled("compute-01")
    other = Attester(name="compute-01", keys="another TPM")
    await api.side.allow(other)
    assert (await api.side.call("enrol", other.enrol()))[0] == 202
    return other


def test_a_rejected_takeover_stays_out(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        other = await takeover(api)
        (review,) = (await api.get("/v1/reviews?state=open"))["items"]
        assert (review["kind"], review["name"], review["ak_name"]) == ("other-tpm", "compute-01", other.ak.name.hex())
        path = f"/v1/reviews/{review['id']}"
        await api.post(f"{path}/reject", {}, status=400)
        rejected = await api.post(f"{path}/reject", {"reason": "nobody swapped a board"}, status=200)
        assert (rejected["state"], rejected["decided_by"]) == ("rejected", "operator")
        status, answer = await api.side.call("enrol", other.enrol())
        assert (status, answer["error"]["why"]) == (403, "rejected by operator: nobody swapped a board")
        await api.post(f"{path}/approve", {"reason": "or did they?"}, status=409)
        assert (await api.get("/v1/nodes/compute-01"))["ak_name"] != other.ak.name.hex()
        assert [entry for entry in await api.audit() if entry[1].startswith("review")] == [
            ("operator", "review.rejected", "node:compute-01")
        ]

    asked(play, tmp_path)


def test_an_approved_swap_replaces_the_node(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        before = await takeover(api)
        path = f"/v1/reviews/{(await api.get('/v1/reviews'))['items'][0]['id']}"
        await api.post(f"{path}/approve", {"reason": "ticket 4711"}, status=200)
        await api.side.attest(before, await _enrolled(api, before))
        shown = await api.get("/v1/nodes/compute-01")
        assert (shown["ak_name"], shown["approved_by"]) == (before.ak.name.hex(), "operator")
        assert len((await api.get("/v1/nodes?retired=true"))["items"]) == 1

    asked(play, tmp_path)


async def _enrolled(api: Api, node: Attester, token: str | None = None) -> dict[str, object]:
    status, opened = await api.side.call("enrol", node.enrol(token))
    assert status == 200, opened
    status, answer = await api.side.call("activate", node.activate(opened))
    assert status == 200, answer
    node.uid = answer["node"]
    challenge: dict[str, object] = answer["challenge"]
    return challenge


def test_another_projects_reviews_are_not_there(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        await takeover(api)
        await api.account("stranger", Role.OPERATOR, project="another")
        assert (await api.get("/v1/reviews", by="stranger"))["items"] == []
        for verb in ("approve", "reject"):
            await api.post(f"/v1/reviews/1/{verb}", {"reason": "mine"}, by="stranger", status=404)

    asked(play, tmp_path)


def state_of(items: list[dict[str, Any]], number: int) -> tuple[str, str | None]:
    found = next(one for one in items if one["id"] == number)
    return found["state"], found["reason"]


def test_an_approval_that_was_not_used_lets_no_retired_node_in(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        swapped = swapped_ak(await api.enrolled("compute-01"))
        assert (await api.side.call("enrol", swapped.enrol()))[0] == 202
        await api.post("/v1/reviews/1/approve", {"reason": "state lost"}, status=200)
        await api.post("/v1/nodes/compute-01/retire", {"reason": "stolen"}, status=200)

        assert (await api.side.call("enrol", swapped.enrol()))[0] == 202
        assert state_of((await api.get("/v1/reviews"))["items"], 1) == ("closed", "compute-01 was retired: stolen")
        assert (await api.get("/v1/nodes"))["items"] == []

    asked(play, tmp_path)


async def retired(api: Api) -> tuple[Attester, int]:
    """A node that came in by its EK's registration and was retired; the registration's number."""
    node = Attester(name="compute-01")
    await api.post(EKS, content=line_of(node), headers=CSV)
    await _enrolled(api, node)
    api.clock.forward(1)
    await api.post("/v1/nodes/compute-01/retire", {"reason": "stolen"}, status=200)
    api.clock.forward(1)
    return node, (await api.get(EKS))["items"][0]["id"]


def line_of(node: Attester) -> bytes:
    return lines(f"{node.name},{node.role},{node.ek.name.hex()}")


def test_a_retired_node_does_not_come_back_by_its_registration(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        node, _ = await retired(api)
        assert await api.post(EKS, content=line_of(node), headers=CSV) == {"new": 0}

        assert (await api.side.call("enrol", node.enrol()))[0] == 202

        (review,) = (await api.get("/v1/reviews"))["items"]
        assert (review["kind"], review["state"]) == ("retired-node", "open")
        assert (await api.get("/v1/nodes"))["items"] == []
        await api.post(f"/v1/reviews/{review['id']}/approve", {"reason": "found again"}, status=200)
        await api.side.attest(node, await _enrolled(api, node))
        shown = await api.get("/v1/nodes/compute-01")
        assert (shown["registered"], shown["approved_by"]) == (True, "operator")

    asked(play, tmp_path)


def test_a_retired_node_comes_back_by_a_new_join_token(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        node, _ = await retired(api)
        token = (await api.post("/v1/join-tokens", {"name": "compute-01"}))["token"]

        await api.side.attest(node, await _enrolled(api, node, token))

        assert (await api.get("/v1/nodes/compute-01"))["registered"] is True

    asked(play, tmp_path)


def test_a_registration_made_anew_lets_a_retired_node_in(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        node, number = await retired(api)
        assert (await api.ask("DELETE", f"{EKS}/{number}", by="operator")).status_code == 204
        assert await api.post(EKS, content=line_of(node), headers=CSV) == {"new": 1}

        await api.side.attest(node, await _enrolled(api, node))

    asked(play, tmp_path)


def test_a_registration_is_taken_back(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        await api.account("stranger", Role.OPERATOR, project="another")
        node = Attester(name="compute-01")
        await api.post(EKS, content=line_of(node), headers=CSV)
        (row,) = (await api.get(EKS))["items"]
        path = f"{EKS}/{row['id']}"
        for by, status in (("stranger", 404), ("security-officer", 403), ("operator", 204), ("operator", 404)):
            assert (await api.ask("DELETE", path, by=by)).status_code == status
        assert (await api.get(EKS))["items"] == []
        assert (await api.side.call("enrol", node.enrol()))[0] == 422
        assert ("operator", "endorsement-key.withdraw", "node:compute-01") in await api.audit()

    asked(play, tmp_path)
