"""Evidence that does not hold is refused for the right reason, changes nothing, and the node goes on afterwards."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import pytest

from bartizan.app.service.keys import new_nonce_key
from bartizan.formats.posture import MAX_DOCUMENT
from tests.simulator.attester import Attester, Document
from tests.simulator.quotes import flipped
from tests.unit.attested_again import UNKNOWN
from tests.unit.continuing_side import let_go
from tests.unit.refusing_side import everything, quoted, said
from tests.unit.service_side import HandClock, Side, played, side

SHA256 = 0x000B
HELD, NOW = 100, 105
"""IMA entries that the Verifier holds, and those that there are now."""


@dataclass(kw_only=True)
class Scene:
    """A node that has attested once and is to attest again, and another one. challenge, other: theirs."""

    node: Attester
    challenge: Document
    stranger: Attester
    other: Document

    def evidence(self, *, full: bool | None = None, **changes: object) -> Document:
        return self.node.evidence(self.challenge, full=full, **changes)


async def set_up(here: Side) -> Scene:
    node, stranger = Attester(name="n1", entries=HELD), Attester(name="n2", entries=HELD)
    first = await here.attest(node, await here.enrol(node))
    other = await here.attest(stranger, await here.enrol(stranger))
    node.entries = NOW
    here.clock.forward(60)
    return Scene(node=node, challenge=first["challenge"], stranger=stranger, other=other["challenge"])


def posture_edited(scene: Scene) -> Document:
    scene.node.posture = b"{}"
    return scene.evidence(posture=b"{ }")


def posture_not_held(scene: Scene, *, full: bool | None = None) -> Document:
    """The quote binds a posture that is named, and was never sent."""
    scene.node.posture = b"{}"
    request = scene.evidence(full=full) | {"posture_digest": sha256(scene.node.posture).digest()}
    return {name: value for name, value in request.items() if name != "posture"}


def too_much_posture(scene: Scene) -> Document:
    scene.node.posture = bytes(MAX_DOCUMENT + 1)
    return scene.evidence()


def counters_back(scene: Scene, *, full: bool, **fields: int) -> Document:
    return scene.evidence(full=full) | quoted(scene.node, scene.challenge, **fields)


def as_the_other(scene: Scene) -> Document:
    """The node quotes what the other one was asked, under the other's id, with its own key."""
    uid, scene.node.uid = scene.node.uid, scene.stranger.uid
    try:
        return scene.node.evidence(scene.other)
    finally:
        scene.node.uid = uid


def fewer_pcrs(scene: Scene) -> Document:
    pcrs = scene.node.boot.pcrs(NOW)
    some = {bank: {pcr: value for pcr, value in values.items() if pcr != 10} for bank, values in pcrs.items()}
    return scene.evidence() | quoted(scene.node, scene.challenge, pcrs=some)


def fewer_banks(scene: Scene) -> Document:
    pcrs = {bank: values for bank, values in scene.node.boot.pcrs(NOW).items() if bank != SHA256}
    return scene.evidence() | quoted(scene.node, scene.challenge, pcrs=pcrs)


def pcrs_changed(scene: Scene) -> Document:
    request = scene.evidence()
    return request | {"pcrs": request["pcrs"] | {SHA256: flipped(request["pcrs"][SHA256], 0)}}


def pcrs_cut(scene: Scene) -> Document:
    request = scene.evidence()
    return request | {"pcrs": request["pcrs"] | {SHA256: request["pcrs"][SHA256][:-1]}}


def boot_log_cut(scene: Scene) -> Document:
    request = scene.evidence(full=True)
    return request | {"boot": {"boot_log": request["boot"]["boot_log"][:-1]}}


def ima(first: int, entries: bytes) -> Document:
    return {"ima": {"first": first, "entries": entries}}


def entries(scene: Scene, start: int, stop: int = NOW) -> bytes:
    return scene.node.boot.list_bytes(start, stop)


ASCII = b"10 " + b"0" * 40 + b" ima-ng sha256:" + b"0" * 64 + b" boot_aggregate\n"
CASES: dict[str, tuple[Callable[[Scene], Document], int, str, str]] = {
    "a nonce of another node": (lambda s: s.node.evidence(s.other), 409, "nonce", "not made here for this node"),
    "a nonce cut short": (lambda s: s.evidence(nonce=s.challenge["nonce"][:-1]), 409, "nonce", "not made here"),
    "no nonce": (lambda s: s.evidence(nonce=b""), 409, "nonce", "not made here"),
    "evidence of one node sent as another": (
        lambda s: s.evidence() | {"node": s.stranger.uid},
        409,
        "nonce",
        "not made here for this node",
    ),
    "another node's challenge answered under its id": (as_the_other, 422, "verify", "quote.signature"),
    "a quote by another AK": (
        lambda s: s.evidence() | quoted(s.node, s.challenge, signer=s.stranger.ak_signer),
        422,
        "verify",
        "quote.signature",
    ),
    "a quote changed after it was signed": (
        lambda s: s.evidence() | {"attest": flipped(s.evidence()["attest"])},
        422,
        "verify",
        "quote.signature",
    ),
    "a clock that went back": (lambda s: counters_back(s, full=False, clock=1), 422, "verify", "quote.clock"),
    "a clock that went back, full logs": (lambda s: counters_back(s, full=True, clock=1), 422, "verify", "quote.clock"),
    "a resetCount that went back": (
        lambda s: counters_back(s, full=False, reset_count=6),
        422,
        "verify",
        "quote.clock",
    ),
    "a resetCount that went back, full logs": (
        lambda s: counters_back(s, full=True, reset_count=6),
        422,
        "verify",
        "quote.clock",
    ),
    "another PCR selection": (fewer_pcrs, 422, "verify", "quote.selection"),
    "another choice of banks": (fewer_banks, 422, "verify", "quote.selection"),
    "PCR values changed": (pcrs_changed, 422, "verify", "quote.pcr-digest"),
    "PCR values cut": (pcrs_cut, 400, "decode", "evidence.pcrs.sha256"),
    "PCR values of no bank": (lambda s: s.evidence(pcrs={}), 400, "decode", "evidence.pcrs"),
    "a posture edited after the quote": (posture_edited, 422, "verify", "quote.extra-data"),
    "a posture added after the quote": (lambda s: s.evidence(posture=b"{}"), 422, "verify", "quote.extra-data"),
    "a posture named that is not the quote's": (
        lambda s: s.evidence(posture_digest=bytes(32)),
        422,
        "verify",
        "quote.extra-data",
    ),
    "a posture that is not held": (posture_not_held, 409, "logs", "not held"),
    "a posture that is not held, with full logs": (
        lambda s: posture_not_held(s, full=True),
        409,
        "logs",
        "not held",
    ),
    "a posture larger than any that could be read": (too_much_posture, 400, "decode", "evidence.posture"),
    "a posture and a digest": (
        lambda s: s.evidence(posture=b"", posture_digest=bytes(32)),
        400,
        "decode",
        "evidence",
    ),
    "IMA entries that begin too early": (lambda s: s.evidence(**ima(99, entries(s, 99))), 409, "logs", "from 100 on"),
    "IMA entries that begin too late": (lambda s: s.evidence(**ima(101, entries(s, 101))), 409, "logs", "from 100 on"),
    "IMA entries withheld": (lambda s: s.evidence(**ima(HELD, b"")), 409, "logs", "no IMA entries came"),
    "an IMA entry cut short": (lambda s: s.evidence(**ima(HELD, entries(s, HELD)[:-1])), 400, "decode", "IMA"),
    "new IMA entries as text": (lambda s: s.evidence(**ima(HELD, ASCII)), 400, "decode", "IMA"),
    "a whole IMA list as text": (
        lambda s: s.evidence(full=True, **ima(0, ASCII)),
        400,
        "decode",
        "evidence.ima.entries",
    ),
    "full logs with a list that begins later": (
        lambda s: s.evidence(full=True, **ima(1, entries(s, 1))),
        400,
        "decode",
        "evidence.ima.first",
    ),
    "a boot log cut short": (boot_log_cut, 400, "decode", "event"),
    "another boot without its logs": (
        lambda s: s.evidence() | quoted(s.node, s.challenge, reset_count=8),
        409,
        "logs",
        "started, resumed",
    ),
    "a member that nobody knows": (lambda s: s.evidence(surprise=1), 400, "decode", "evidence"),
    "a version not spoken": (lambda s: s.evidence(version=2), 400, "version", "evidence.version"),
}


@pytest.mark.parametrize("held", [True, False], ids=["", "evidence not in memory"])
@pytest.mark.parametrize("case", CASES)
def test_evidence_that_does_not_hold_is_refused_and_changes_nothing(tmp_path: Path, case: str, held: bool) -> None:
    async def play(here: Side) -> None:
        scene = await set_up(here)
        if not held:
            await let_go(here, scene.node)
        make, status, kind, said_of = CASES[case]
        request = make(scene)
        before = await everything(here)

        found, answer = await here.call("evidence", request)

        error = answer["error"]
        assert (found, error["kind"]) == (status, kind)
        assert said_of in f"{error['what']}: {error['why']}"
        assert await everything(here) == before
        scene.node.posture = None
        await here.attest(scene.node)
        await here.attest(scene.stranger)

    played(play, tmp_path)


@pytest.mark.parametrize(("case", "at_once"), [("IMA entries withheld", True), ("PCR values changed", False)])
def test_a_refusal_carries_the_next_challenge_and_when_to_use_it(tmp_path: Path, case: str, at_once: bool) -> None:
    async def play(here: Side) -> None:
        scene = await set_up(here)

        _, answer = await here.call("evidence", CASES[case][0](scene))

        assert answer["due_in"] == (0 if at_once else 60)
        assert answer["challenge"]["nonce"] != scene.challenge["nonce"]
        await here.attest(scene.node, answer["challenge"])

    played(play, tmp_path)


def test_what_was_refused_is_said_of_the_node_until_it_attests(tmp_path: Path) -> None:
    async def play(here: Side) -> None:
        scene = await set_up(here)
        await here.call("evidence", pcrs_changed(scene))
        known = await here.service.attesting.node(scene.node.uid)

        assert (await said(here, scene.node) or "").startswith("quote.pcr-digest: ")
        assert known.progress.attempted_at == here.clock.microseconds // 1000
        await here.attest(scene.node)
        assert await said(here, scene.node) is None

    played(play, tmp_path)


def test_a_refusal_that_is_written_after_a_later_acceptance_says_nothing(tmp_path: Path) -> None:
    async def play(here: Side) -> None:
        scene = await set_up(here)
        known = await here.service.attesting.node(scene.node.uid)
        early = known.progress
        await here.attest(scene.node)
        late, known.progress = known.progress, early

        here.service.keeper.refused(known, "too late to matter", here.clock())
        known.progress = late

        assert await said(here, scene.node) is None

    played(play, tmp_path)


@pytest.mark.parametrize(("seconds", "status"), [(195, 200), (196, 409)])
def test_a_nonce_expires(tmp_path: Path, seconds: int, status: int) -> None:
    async def play(here: Side) -> None:
        node = Attester(name="n1", entries=HELD)
        evidence = node.evidence(await here.enrol(node))
        evidence = node.evidence((await here.call("challenge", node.ask()))[1]["challenge"])
        here.clock.forward(seconds - 0.001)

        found, answer = await here.call("evidence", evidence)

        assert found == status
        if status == 409:
            assert answer["error"]["kind"] == "nonce"
            await here.attest(node, answer["challenge"])

    played(play, tmp_path)


def test_an_older_nonce_than_one_that_was_used_is_refused(tmp_path: Path) -> None:
    async def play(here: Side) -> None:
        node = Attester(name="n1", entries=HELD)
        older, newer = await here.enrol(node), (await here.call("challenge", node.ask()))[1]["challenge"]
        await here.attest(node, newer)

        status, answer = await here.call("evidence", node.evidence(older))

        assert (status, answer["error"]["kind"]) == (409, "nonce")

    played(play, tmp_path)


def test_of_two_answers_to_one_challenge_at_the_same_time_one_is_accepted(tmp_path: Path) -> None:
    async def play(here: Side) -> None:
        scene = await set_up(here)
        requests = [scene.evidence(), scene.evidence()]

        answers = await asyncio.gather(*(here.call("evidence", request) for request in requests))

        assert sorted(status for status, _ in answers) == [200, 409]
        known = await here.service.attesting.node(scene.node.uid)
        assert known.progress.accepted == 2

    played(play, tmp_path)


def test_a_restored_service_refuses_nonces_of_before_and_the_node_goes_on(tmp_path: Path) -> None:
    async def play() -> None:
        clock = HandClock()
        async with side(tmp_path, clock=clock) as here:
            scene = await set_up(here)
        new_nonce_key(tmp_path / "keys")
        async with side(tmp_path, clock=clock) as here:
            status, answer = await here.call("evidence", scene.evidence())

            assert (status, answer["error"]["kind"]) == (409, "nonce")
            assert "before the keys were changed" in answer["error"]["why"]
            await here.attest(scene.node, answer["challenge"])

    asyncio.run(play())


@pytest.mark.parametrize("call", ["evidence", "challenge"])
def test_a_node_that_nobody_enrolled_is_refused_without_a_challenge(tmp_path: Path, call: str) -> None:
    async def play(here: Side) -> None:
        scene = await set_up(here)
        request = scene.evidence() if call == "evidence" else scene.node.ask()
        before = await everything(here)

        status, answer = await here.call(call, request | {"node": "0" * 32})

        assert (status, answer["error"]["kind"]) == (404, "node")
        assert "challenge" not in answer
        assert await everything(here) == before

    played(play, tmp_path)


def test_an_entry_left_out_of_the_list_is_no_refusal_but_counts_against_the_node(tmp_path: Path) -> None:
    async def play(here: Side) -> None:
        node = Attester(name="n1", entries=HELD)
        first = await here.attest(node, await here.enrol(node))
        node.boot = replace(node.boot, entries=node.boot.entries[:HELD]).running(UNKNOWN)
        node.entries = None
        hidden = node.evidence(first["challenge"], full=True)
        hidden["ima"]["entries"] = node.boot.list_bytes(0, HELD)

        status, answer = await here.call("evidence", hidden)

        assert (status, answer["result"]["contraindicated"]) == (200, True)

    played(play, tmp_path)
