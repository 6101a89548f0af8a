"""Nobody is replaced silently: what looks like a takeover waits for a person, who decides about it once."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bartizan.formats.tpm2 import encode_public
from bartizan.store.joining import APPROVED, CLOSED, OPEN, REJECTED
from bartizan.store.nodes import retire_node
from tests.simulator.attester import Attester, Document
from tests.unit.enrolling_side import (
    all_reviews,
    asking,
    decide,
    enrolled,
    fleet,
    in_review,
    joined,
    opened,
    played_with_ca,
    refusal,
)
from tests.unit.service_side import Side


def swapped_ak(node: Attester) -> Attester:
    """The same TPM with another attestation key."""
    other = Attester(name=node.name, role=node.role, keys=node.keys or node.name)
    fresh = Attester(name="another AK of " + node.name)
    other.ak_signer, other.ak = fresh.ak_signer, fresh.ak
    return other


CASES: dict[str, tuple[Callable[[], Attester], str]] = {
    "another TPM under an enrolled name": (lambda: Attester(name="n1", keys="board 2"), "other-tpm"),
    "an enrolled TPM under another name": (lambda: Attester(name="n2", keys="n1"), "other-name"),
    "an enrolled TPM with another AK": (lambda: swapped_ak(Attester(name="n1")), "other-ak"),
    "an enrolled node in another role": (lambda: Attester(name="n1", role="controller"), "other-role"),
}


async def old_node(here: Side) -> Attester:
    """A node that is enrolled and has attested."""
    node = Attester(name="n1", entries=20)
    await here.token("first", "n1")
    await here.attest(node, await joined(here, node, asking(node, "first")))
    here.clock.forward(60)
    return node


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("with_token", [False, True], ids=["without a token", "with a token"])
def test_a_takeover_goes_to_review_and_changes_nothing(tmp_path: Path, case: str, with_token: bool) -> None:
    async def scene(here: Side) -> None:
        old, (make, kind) = await old_node(here), CASES[case]
        new = make()
        await here.token("second", new.name, new.role)

        review = await in_review(here, asking(new, "second" if with_token else None))
        again = await in_review(here, asking(new, "second" if with_token else None))

        assert (review.kind, review.state, again.id) == (kind, OPEN, review.id)
        assert await enrolled(here) == {"n1": old.uid}
        await here.attest(old)

    played_with_ca(scene, tmp_path)


@pytest.mark.parametrize("case", CASES)
def test_after_approval_the_old_node_is_retired_and_its_id_refused(tmp_path: Path, case: str) -> None:
    async def scene(here: Side) -> None:
        old, (make, _) = await old_node(here), CASES[case]
        new = make()
        new.entries = 20
        await decide(here, await in_review(here, asking(new)), APPROVED)

        answer = await here.attest(new, await joined(here, new, asking(new)))

        status, refused = await here.call("challenge", old.ask())
        assert (status, refused["error"]["kind"]) == (404, "node")
        assert new.uid != old.uid
        assert await enrolled(here) == {new.name: new.uid}
        assert answer["result"]["level"] == 2
        (row,) = [row for row in await fleet(here) if row.retired_at is None]
        assert (row.approver, row.created_by) == ("boss", "review 1")

    played_with_ca(scene, tmp_path)


def test_evidence_of_a_node_that_is_retired_meanwhile_is_refused(tmp_path: Path) -> None:
    async def scene(here: Side) -> None:
        old = await old_node(here)
        _, answer = await here.call("challenge", old.ask())
        evidence = old.evidence(answer["challenge"])
        new = Attester(name="n1", keys="board 2")
        await decide(here, await in_review(here, asking(new)), APPROVED)
        await joined(here, new, asking(new))

        status, refused = await here.call("evidence", evidence)

        assert (status, refused["error"]["kind"]) == (404, "node")

    played_with_ca(scene, tmp_path)


def test_a_node_that_was_being_read_while_it_was_retired_does_not_come_back_to_memory(tmp_path: Path) -> None:
    async def scene(here: Side) -> None:
        old = await old_node(here)
        known = await here.service.attesting.node(old.uid)

        here.service.memory.forget(old.uid)

        assert here.service.memory.put(known) is None
        here.service.memory.used(known)
        assert (here.service.memory.nodes, here.service.memory.states) == (0, 0)

    played_with_ca(scene, tmp_path)


def test_an_unknown_node_waits_for_a_person_and_comes_in_when_approved(tmp_path: Path) -> None:
    async def scene(here: Side) -> None:
        node = Attester(name="n1", entries=20)
        review = await in_review(here, asking(node))
        assert (await in_review(here, asking(node))).id == review.id
        await decide(here, review, APPROVED)

        await here.attest(node, await joined(here, node, asking(node)))

        assert review.kind == "unknown-node"
        assert await enrolled(here) == {"n1": node.uid}

    played_with_ca(scene, tmp_path)


def test_a_rejected_node_is_told_by_whom_and_why(tmp_path: Path) -> None:
    async def scene(here: Side) -> None:
        node = Attester(name="n1")
        await decide(here, await in_review(here, asking(node)), REJECTED, "not ours")

        assert await refusal(here, asking(node)) == (403, "enrolment", "rejected by boss: not ours")
        assert await fleet(here) == []

    played_with_ca(scene, tmp_path)


def test_a_decision_between_credential_and_answer_counts(tmp_path: Path) -> None:
    async def scene(here: Side) -> None:
        node, other = Attester(name="n1"), Attester(name="n1", keys="other")
        await here.token("secret", "n1")
        answer = await opened(here, node, asking(node, "secret"))
        await here.token("faster", "n1")
        await joined(here, other, asking(other, "faster"))

        status, _ = await here.call("activate", answer)

        assert status == 202
        assert await enrolled(here) == {"n1": other.uid}

    played_with_ca(scene, tmp_path)


# An approval is for one enrolment, of what the approver saw.


def test_a_replaced_board_does_not_come_back_by_its_old_approval(tmp_path: Path) -> None:
    async def scene(here: Side) -> None:
        await old_node(here)
        second, third = (Attester(name="n1", keys=keys) for keys in ("board 2", "board 3"))
        for board in (second, third):
            await decide(here, await in_review(here, asking(board)), APPROVED)
            await joined(here, board, asking(board))

        review = await in_review(here, asking(second))

        assert review.kind == "other-tpm"
        assert await enrolled(here) == {"n1": third.uid}

    played_with_ca(scene, tmp_path)


def test_a_node_that_an_operator_retired_does_not_come_back_by_its_old_approval(tmp_path: Path) -> None:
    async def scene(here: Side) -> None:
        node = Attester(name="n1")
        await decide(here, await in_review(here, asking(node)), APPROVED)
        await joined(here, node, asking(node))
        (row,) = await fleet(here)
        await here.service.write(lambda connection: retire_node(connection, row.id, at=here.clock().milliseconds))

        await in_review(here, asking(node))

        assert [review.state for review in await here.service.read(all_reviews)] == [OPEN, CLOSED]

    played_with_ca(scene, tmp_path)


def test_a_review_ends_when_its_name_comes_in_by_a_token(tmp_path: Path) -> None:
    async def scene(here: Side) -> None:
        stranger, honest = Attester(name="n1", keys="stranger"), Attester(name="n1")
        review = await in_review(here, asking(stranger))
        here.clock.forward(1)
        await here.token("secret", "n1")
        await joined(here, honest, asking(honest, "secret"))

        (closed,) = await here.service.read(all_reviews)
        assert (closed.state, closed.reason) == (CLOSED, "n1 was enrolled by token 1 of tester")
        again = await in_review(here, asking(stranger))

        assert (review.kind, again.kind) == ("unknown-node", "other-tpm")
        assert await enrolled(here) == {"n1": honest.uid}

    played_with_ca(scene, tmp_path)


def test_an_approval_does_not_cover_a_node_that_came_after_it_was_given(tmp_path: Path) -> None:
    async def scene(here: Side) -> None:
        stranger, honest = Attester(name="n1", keys="stranger"), Attester(name="n1")
        await decide(here, await in_review(here, asking(stranger)), APPROVED)
        here.clock.forward(1)
        await here.token("secret", "n1")
        await joined(here, honest, asking(honest, "secret"))

        again = await in_review(here, asking(stranger))

        assert again.kind == "other-tpm"
        assert await enrolled(here) == {"n1": honest.uid}

    played_with_ca(scene, tmp_path)


def test_an_approval_holds_although_the_token_expired_while_the_person_slept(tmp_path: Path) -> None:
    async def scene(here: Side) -> None:
        await old_node(here)
        new = Attester(name="n1", keys="board 2")
        await here.token("second", "n1", seconds=30)
        request = asking(new, "second")
        review = await in_review(here, request)
        here.clock.forward(3600)
        assert (await in_review(here, request)).id == review.id
        await decide(here, review, APPROVED)

        await joined(here, new, request)

        assert await enrolled(here) == {"n1": new.uid}

    played_with_ca(scene, tmp_path)


def test_an_approval_does_not_let_another_role_or_ak_in(tmp_path: Path) -> None:
    async def scene(here: Side) -> None:
        node = Attester(name="n1")
        await decide(here, await in_review(here, asking(node)), APPROVED)
        requests: list[Document] = [
            asking(node, role="controller"),
            asking(node, name="n2"),
            asking(node, ak=encode_public(Attester(name="thief").ak)),
        ]

        for request in requests:
            assert (await in_review(here, request)).kind == "unknown-node"

        assert await fleet(here) == []

    played_with_ca(scene, tmp_path)


# Nobody drowns the person.


def test_one_tpm_asks_for_a_few_reviews_and_leaves_room_for_others(tmp_path: Path) -> None:
    async def scene(here: Side) -> None:
        for number in range(4):
            await in_review(here, asking(Attester(name=f"n{number}", keys="busy")))

        status, kind, why = await refusal(here, asking(Attester(name="n5", keys="busy")))

        assert (status, kind) == (403, "enrolment")
        assert why == "4 enrolments of this TPM wait for a review already"
        await in_review(here, asking(Attester(name="quiet")))

    played_with_ca(scene, tmp_path)


def test_too_many_open_reviews_are_refused_and_a_token_still_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bartizan.app.service.admission.MAX_OPEN_REVIEWS", 2)

    async def scene(here: Side) -> None:
        for name in ("a", "b"):
            await in_review(here, asking(Attester(name=name)))
        late = Attester(name="c")

        status, kind, why = await refusal(here, asking(late))

        assert (status, kind) == (403, "enrolment")
        assert "ask with a join token" in why
        await in_review(here, asking(Attester(name="a")))
        await here.token("secret", "c")
        await joined(here, late, asking(late, "secret"))
        assert await enrolled(here) == {"c": late.uid}

    played_with_ca(scene, tmp_path)
