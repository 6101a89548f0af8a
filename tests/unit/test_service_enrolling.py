"""Who may join: tokens, registrations and certificates that let in, and every way in which they do not."""

import asyncio
from pathlib import Path

import pytest

from bartizan.app.service.settings import Attestation
from bartizan.formats.tpm2 import encode_public
from bartizan.model.tpm import Attribute
from tests.simulator.attester import Attester
from tests.simulator.tpm_ca import ec_key
from tests.simulator.tpm_identity import AK_ATTRIBUTES, ak_of
from tests.simulator.tpm_side import ActivationError
from tests.unit.enrolling_side import (
    EK_INDEX,
    all_reviews,
    asking,
    certificate,
    enrolled,
    fleet,
    joined,
    opened,
    played_with_ca,
    refusal,
)
from tests.unit.service_side import Side

SHA1, SHA256, SHA384 = 0x0004, 0x000B, 0x000C


# Tokens.


def test_a_node_with_a_token_for_its_name_and_role_is_enrolled(tmp_path: Path) -> None:
    async def scene(here: Side) -> None:
        node = Attester(name="n1", entries=20)
        await here.token("secret", "n1")

        answer = await here.attest(node, await joined(here, node, asking(node, "secret")))

        (row,) = await fleet(here)
        assert (row.name, row.role, row.created_by, row.registered) == ("n1", "compute", "token 1 of tester", False)
        assert answer["result"]["level"] == 2

    played_with_ca(scene, tmp_path)


def test_an_unknown_token_is_refused(tmp_path: Path) -> None:
    async def scene(here: Side) -> None:
        await here.token("secret", "n1")

        assert await refusal(here, asking(Attester(name="n1"), "another")) == (
            403,
            "enrolment",
            "the join token is unknown here",
        )
        assert await fleet(here) == []

    played_with_ca(scene, tmp_path)


def test_a_token_enrols_one_node_once(tmp_path: Path) -> None:
    async def scene(here: Side) -> None:
        first = Attester(name="n1")
        await here.token("secret", "n1")
        await joined(here, first, asking(first, "secret"))

        status, kind, why = await refusal(here, asking(Attester(name="n1", keys="another"), "secret"))

        assert (status, kind) == (403, "enrolment")
        assert "used already" in why
        assert await enrolled(here) == {"n1": first.uid}

    played_with_ca(scene, tmp_path)


def test_a_token_is_worth_nothing_from_the_millisecond_on_at_which_it_expires(tmp_path: Path) -> None:
    async def scene(here: Side) -> None:
        node = Attester(name="n1")
        await here.token("secret", "n1", seconds=100)
        here.clock.forward(99)
        status, _ = await here.call("enrol", asking(node, "secret"))
        here.clock.forward(1)

        refused = await refusal(here, asking(node, "secret"))

        assert status == 200
        assert refused[:2] == (403, "enrolment")
        assert "has expired" in refused[2]

    played_with_ca(scene, tmp_path)


@pytest.mark.parametrize(("name", "role"), [("n2", "compute"), ("n1", "controller")])
def test_a_token_for_another_name_or_role_is_refused(tmp_path: Path, name: str, role: str) -> None:
    async def scene(here: Side) -> None:
        await here.token("secret", "n1", "compute")

        status, kind, why = await refusal(here, asking(Attester(name=name, role=role), "secret"))

        assert (status, kind) == (403, "enrolment")
        assert why == f"the join token is for n1 (compute), found {name} ({role})"
        assert await here.service.read(all_reviews) == []

    played_with_ca(scene, tmp_path)


def test_of_two_nodes_that_use_one_token_at_the_same_time_one_comes_in(tmp_path: Path) -> None:
    async def scene(here: Side) -> None:
        await here.token("secret", "n1")
        both = [Attester(name="n1", keys=keys) for keys in ("one", "other")]
        answers = [await opened(here, node, asking(node, "secret")) for node in both]

        done = await asyncio.gather(*(here.call("activate", answer) for answer in answers))

        assert sorted(status for status, _ in done) == [200, 403]
        (node,) = [answer["node"] for status, answer in done if status == 200]
        (error,) = [answer["error"] for status, answer in done if status == 403]
        assert "used already" in error["why"]
        assert await enrolled(here) == {"n1": node}

    played_with_ca(scene, tmp_path)


def test_refused_enrolments_share_the_transaction_of_everybody_and_forget_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(here: Side) -> None:
        forgotten: list[object] = []
        monkeypatch.setattr(here.service.writer, "_rolled_back", lambda: forgotten.append(None))
        node = Attester(name="n1", entries=20)
        answer = await here.attest(node, await here.enrol(node))
        await here.token("used", "n2")
        both = [Attester(name="n2", keys=keys) for keys in ("one", "other")]
        late = [await opened(here, one, asking(one, "used")) for one in both]
        unknown = asking(Attester(name="n3"), "unknown")
        status, _ = await here.call("activate", late[0])
        assert status == 200

        async with here.together(11) as commits:
            calls = [asyncio.ensure_future(here.call("enrol", unknown)) for _ in range(10)]
            calls.append(asyncio.ensure_future(here.call("evidence", node.evidence(answer["challenge"]))))
        *refused, attested = await asyncio.gather(*calls)
        again, _ = await here.call("activate", late[1])

        assert [status for status, _ in refused] == [403] * 10
        assert (attested[0], again) == (200, 403)
        assert len(commits) <= 4
        assert forgotten == []

    played_with_ca(scene, tmp_path)


def test_a_token_that_expires_while_its_credential_is_out_lets_nobody_in(tmp_path: Path) -> None:
    async def scene(here: Side) -> None:
        node = Attester(name="n1")
        await here.token("secret", "n1", seconds=10)
        answer = await opened(here, node, asking(node, "secret"))
        here.clock.forward(10)

        status, _ = await here.call("activate", answer)

        assert status == 403
        assert await fleet(here) == []

    played_with_ca(scene, tmp_path)


# Registrations.


def test_a_registered_ek_needs_no_certificate_and_no_token(tmp_path: Path) -> None:
    async def scene(here: Side) -> None:
        node = Attester(name="n1", entries=20)
        await here.allow(node)

        await here.attest(node, await joined(here, node, node.enrol()))

        (row,) = await fleet(here)
        assert (row.created_by, row.registered) == ("registration", True)

    played_with_ca(scene, tmp_path)


@pytest.mark.parametrize(("name", "role"), [("n2", "compute"), ("n1", "controller")])
def test_an_ek_registered_for_another_name_or_role_is_refused_even_with_a_token(
    tmp_path: Path, name: str, role: str
) -> None:
    async def scene(here: Side) -> None:
        await here.allow(Attester(name="n1"))
        await here.token("secret", name, role)

        refused = await refusal(here, asking(Attester(name=name, role=role, keys="n1"), "secret"))

        assert refused[:2] == (403, "enrolment")
        assert refused[2] == f"this EK is registered for n1 (compute), found {name} ({role})"

    played_with_ca(scene, tmp_path)


# The same node again.


def test_a_node_that_lost_its_id_gets_it_back_without_a_token(tmp_path: Path) -> None:
    async def scene(here: Side) -> None:
        node = Attester(name="n1", entries=20)
        await here.token("secret", "n1")
        await here.attest(node, await joined(here, node, asking(node, "secret")))
        uid, node.uid = node.uid, ""
        before = await fleet(here)

        challenge = await joined(here, node, asking(node))

        assert node.uid == uid
        assert challenge["held"]["ima_entries"] == 20
        assert await fleet(here) == before
        await here.attest(node, challenge)

    played_with_ca(scene, tmp_path)


# Activation.


def test_a_wrong_secret_enrols_nobody_and_ends_the_enrolment(tmp_path: Path) -> None:
    async def scene(here: Side) -> None:
        node = Attester(name="n1")
        await here.token("secret", "n1")
        answer = await opened(here, node, asking(node, "secret"))

        wrong = await here.call("activate", answer | {"secret": bytes(32)})
        right = await here.call("activate", answer)

        assert (wrong[0], wrong[1]["error"]["kind"], wrong[1]["error"]["what"]) == (
            422,
            "verify",
            "identity.ak-residency",
        )
        assert (right[0], right[1]["error"]["kind"]) == (403, "enrolment")
        assert await fleet(here) == []

    played_with_ca(scene, tmp_path)


def test_the_same_answer_again_gives_the_same_node_for_its_reply_may_have_been_lost(tmp_path: Path) -> None:
    async def scene(here: Side) -> None:
        node = Attester(name="n1")
        await here.token("secret", "n1")
        answer = await opened(here, node, asking(node, "secret"))

        first, second = [await here.call("activate", answer) for _ in range(2)]

        assert (first[0], second[0]) == (200, 200)
        assert first[1]["node"] == second[1]["node"]

    played_with_ca(scene, tmp_path)


@pytest.mark.parametrize(("seconds", "status"), [(29, 200), (31, 403)])
def test_a_credential_is_answered_in_time(tmp_path: Path, seconds: int, status: int) -> None:
    async def scene(here: Side) -> None:
        node = Attester(name="n1")
        await here.token("secret", "n1")
        answer = await opened(here, node, asking(node, "secret"))
        here.clock.forward(seconds)

        assert (await here.call("activate", answer))[0] == status
        assert len(await fleet(here)) == (status == 200)

    played_with_ca(scene, tmp_path, attestation=Attestation(enrolment=30))


def test_an_enrolment_of_another_node_cannot_be_answered_with_ones_own_tpm(tmp_path: Path) -> None:
    async def scene(here: Side) -> None:
        victim, thief = Attester(name="n1"), Attester(name="n1", keys="thief")
        await here.token("secret", "n1")
        request = asking(victim, "secret", ak=encode_public(thief.ak))

        status, credential = await here.call("enrol", request)

        assert status == 200
        with pytest.raises(ActivationError):
            thief.activate(credential)
        assert await fleet(here) == []

    played_with_ca(scene, tmp_path)


# What the keys are.


def test_an_ek_whose_certificate_leads_nowhere_is_refused(tmp_path: Path) -> None:
    async def scene(here: Side) -> None:
        node = Attester(name="n1")
        await here.token("secret", "n1")

        request = asking(node, "secret", certificates=certificate(node.ek_private, of="Some other CA"))
        status, answer = await here.call("enrol", request)

        assert (status, answer["error"]["kind"], answer["error"]["what"]) == (422, "verify", "identity.ek-chain")

    played_with_ca(scene, tmp_path)


def test_an_ek_without_a_certificate_is_refused_unless_it_is_registered(tmp_path: Path) -> None:
    async def scene(here: Side) -> None:
        await here.token("secret", "n1")

        status, answer = await here.call("enrol", Attester(name="n1").enrol("secret"))

        assert (status, answer["error"]["what"]) == (422, "identity.ek-chain")

    played_with_ca(scene, tmp_path)


def test_the_certificate_of_another_ek_is_refused(tmp_path: Path) -> None:
    async def scene(here: Side) -> None:
        await here.token("secret", "n1")

        request = asking(Attester(name="n1"), "secret", certificates=certificate(ec_key("another TPM")))
        status, answer = await here.call("enrol", request)

        assert (status, answer["error"]["what"]) == (422, "identity.ek-key")

    played_with_ca(scene, tmp_path)


def test_a_certificate_that_is_none_is_said_to_be_none(tmp_path: Path) -> None:
    async def scene(here: Side) -> None:
        await here.token("secret", "n1")

        status, answer = await here.call("enrol", asking(Attester(name="n1"), "secret", certificates={EK_INDEX: b"?"}))

        assert (status, answer["error"]["kind"]) == (400, "decode")

    played_with_ca(scene, tmp_path)


@pytest.mark.parametrize("lacking", [Attribute.RESTRICTED, Attribute.FIXED_TPM, Attribute.SENSITIVE_DATA_ORIGIN])
def test_an_ak_that_could_sign_anything_or_leave_its_tpm_is_refused(tmp_path: Path, lacking: Attribute) -> None:
    async def scene(here: Side) -> None:
        node = Attester(name="n1")
        await here.token("secret", "n1")
        loose = ak_of(node.ak_signer.private, AK_ATTRIBUTES & ~lacking)

        status, answer = await here.call("enrol", asking(node, "secret", ak=encode_public(loose)))

        assert (status, answer["error"]["what"]) == (422, "identity.ak-attributes")

    played_with_ca(scene, tmp_path)


@pytest.mark.parametrize(
    "banks", [{}, {SHA1: True}, {SHA1: True, SHA256: False}, {SHA256: False, SHA384: False}, {0x9999: True}]
)
def test_a_node_whose_firmware_fills_no_strong_bank_is_refused(tmp_path: Path, banks: dict[int, bool]) -> None:
    async def scene(here: Side) -> None:
        await here.token("secret", "n1")

        status, kind, why = await refusal(here, asking(Attester(name="n1"), "secret", banks=banks))

        assert (status, kind) == (403, "enrolment")
        assert "sha256" in why

    played_with_ca(scene, tmp_path)


def test_the_first_strong_bank_that_firmware_filled_decides(tmp_path: Path) -> None:
    async def scene(here: Side) -> None:
        node = Attester(name="n1")
        await here.token("secret", "n1")

        await joined(here, node, asking(node, "secret", banks={SHA1: True, SHA256: False, SHA384: True}))

        (row,) = await fleet(here)
        assert row.pinned == SHA384
        assert row.banks == bytes.fromhex("0004000b000c")

    played_with_ca(scene, tmp_path)
