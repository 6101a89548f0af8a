"""Evidence of another TPM under a node's id is refused, and the refusal says what may have happened to the machine."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.simulator.attester import Attester, Document
from tests.simulator.quotes import flipped
from tests.unit.refusing_side import quoted, said
from tests.unit.service_side import Side, played

LATE = 60 + 60


async def enrolled(here: Side) -> Attester:
    node = Attester(name="n1", entries=20)
    await here.attest(node, await here.enrol(node))
    here.clock.forward(60)
    return node


async def by_another_tpm(here: Side, node: Attester) -> Document:
    """What the service answers to evidence of the node that another TPM signed."""
    stranger = Attester(name="another board", uid=node.uid)
    challenge = (await here.call("challenge", node.ask()))[1]["challenge"]
    evidence = node.evidence(challenge) | quoted(stranger, challenge)
    status, answer = await here.call("evidence", evidence)
    assert status == 422
    error: Document = answer["error"]
    assert error["what"] in {"quote.signature", "identity.ak-residency"}
    return error


async def seen_once(here: Side, node: Attester) -> str:
    return str((await by_another_tpm(here, node))["why"])


async def both_run(here: Side, node: Attester) -> str:
    await by_another_tpm(here, node)
    await here.attest(node)
    return await seen_once(here, node)


async def own_silent(here: Side, node: Attester) -> str:
    await by_another_tpm(here, node)
    here.clock.forward(LATE)
    return await seen_once(here, node)


@pytest.mark.parametrize(
    ("scene", "says"),
    [
        (seen_once, "another TPM answers as n1: its TPM was swapped or cleared, or its disk was cloned"),
        (both_run, "whose own goes on attesting: its disk was cloned into another machine"),
        (own_silent, "whose own is silent: its TPM was swapped or cleared, or its disk was moved"),
    ],
)
def test_a_refusal_names_what_happened(
    tmp_path: Path, scene: Callable[[Side, Attester], Awaitable[str]], says: str
) -> None:
    async def play(here: Side) -> None:
        node = await enrolled(here)

        why = await scene(here, node)

        assert says in why
        assert says in (await said(here, node) or "")

    played(play, tmp_path)


def test_the_nodes_own_tpm_goes_on_unharmed(tmp_path: Path) -> None:
    async def play(here: Side) -> None:
        node = await enrolled(here)
        await by_another_tpm(here, node)

        answer = await here.attest(node)

        assert answer["result"]["contraindicated"] is False

    played(play, tmp_path)


def test_a_broken_signature_of_the_nodes_own_key_is_no_other_tpm(tmp_path: Path) -> None:
    async def play(here: Side) -> None:
        node = await enrolled(here)
        challenge = (await here.call("challenge", node.ask()))[1]["challenge"]
        evidence = node.evidence(challenge)

        status, answer = await here.call("evidence", evidence | {"attest": flipped(evidence["attest"])})

        assert status == 422
        assert "another TPM" not in answer["error"]["why"]

    played(play, tmp_path)
