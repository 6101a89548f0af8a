"""A node's state from what was sealed of it, without judging its boot again. Pure.

The last quote is verified once more, and has to be of the same start and hold the same PCRs as the one that was judged.
Whatever does not agree, and rules that are others by now, mean that all of it is judged again (`judging.resumed`).
"""

import hashlib
from datetime import UTC, datetime

from bartizan.app.node_state import HeldList, NodeState, in_force, waivers_in_force
from bartizan.app.service.alike import Alike
from bartizan.app.service.identity import reported_identity
from bartizan.app.service.judging import challenge_for, reported_quote, split_pcrs
from bartizan.app.service.rulebook import InForce
from bartizan.errors import DecodeError, SenderError
from bartizan.formats.agent_message import decode_enrol
from bartizan.formats.result_json import decode_findings
from bartizan.model.evidence import Enrolment, VerifiedIdentity, VerifiedQuote
from bartizan.model.ima import IMA_PCR
from bartizan.model.node import NodeRecord
from bartizan.model.sealed import KeptState, SealedState
from bartizan.verify.boot import BOOT_PCRS
from bartizan.verify.identity import verify_identity
from bartizan.verify.quote import verify_quote


def recalled(
    record: NodeRecord, kept: KeptState, sealed: SealedState, *, enrolment: Enrolment, rules: InForce, alike: Alike
) -> NodeState | None:
    """The state without its evidence; None if that has to be judged again.

    Raises:
        DecodeError: the result, the findings that stick or the posture are not those that were sealed with this boot.
    """
    if kept.boot != sealed.boot:
        return None
    _check("result", _sha256(kept.document), sealed.document)
    _check("findings that stick", _sha256(kept.stuck), sealed.stuck)
    _check("posture", kept.posture_digest, sealed.posture)
    if rules.digest != sealed.rules:
        return None
    judged_at = datetime.fromtimestamp(sealed.judged_at / 1000, UTC)
    try:
        identity, quote = _verified(record, kept, sealed, enrolment=enrolment, now=judged_at)
        result, stuck = alike.kept(kept.document), decode_findings(kept.stuck)
    except SenderError:
        return None
    clock = quote.attest.clock
    if (clock.reset_count, clock.restart_count, _pcrs_digest(quote)) != (
        sealed.reset_count,
        sealed.restart_count,
        sealed.pcrs,
    ):
        return None
    state = NodeState(
        enrolment=enrolment,
        identity=identity,
        quote=quote,
        ima=_held_list(sealed),
        posture=sealed.posture,
        posture_bound=True,
        rules=rules.rules,
        reference=in_force(rules.rules, judged_at),
        waivers=waivers_in_force(rules.rules, judged_at),
        result=result,
        stuck=stuck,
    )
    return alike.state(state)


def sealing(state: NodeState, *, boot: int, rules: bytes, document: bytes, stuck: bytes, judged_at: int) -> SealedState:
    """What is to be sealed of a state. rules: what names those it was judged by; document, stuck: as they are kept."""
    clock, ima = state.quote.attest.clock, state.ima
    return SealedState(
        boot=boot,
        reset_count=clock.reset_count,
        restart_count=clock.restart_count,
        pcrs=_pcrs_digest(state.quote),
        entries=None if ima is None else ima.entries,
        matched=None if ima is None else ima.matched,
        node_start=0 if ima is None else ima.node_start,
        posture=state.posture,
        rules=rules,
        judged_at=judged_at,
        document=_sha256(document),
        stuck=_sha256(stuck),
    )


def _verified(
    record: NodeRecord, kept: KeptState, sealed: SealedState, *, enrolment: Enrolment, now: datetime
) -> tuple[VerifiedIdentity, VerifiedQuote]:
    """Identity and last quote, verified once more.

    Raises:
        DecodeError, VerifyError: they are not what was accepted.
    """
    reported = reported_quote(kept.attest, kept.signature)
    who = reported_identity(decode_enrol(record.identity))
    signer = reported.attest.qualified_signer
    identity = verify_identity(who, qualified_signer=signer, enrolment=enrolment, now=now)
    challenge = challenge_for(record, kept.nonce, posture_sha256=sealed.posture)
    pcrs = split_pcrs(kept.pcrs, record.banks)
    return identity, verify_quote(reported, ak=identity.ak, untrusted_pcrs=pcrs, challenge=challenge)


def _check(what: str, found: bytes | None, sealed: bytes | None) -> None:
    """All of these are written together: one that is another is damaged, or somebody wrote it."""
    if found != sealed:
        raise DecodeError(f"kept {what}", 0, "not what was sealed with this boot")


def _held_list(sealed: SealedState) -> HeldList | None:
    if sealed.entries is None:
        return None
    return HeldList(entries=sealed.entries, matched=sealed.matched, node_start=sealed.node_start)


def _pcrs_digest(quote: VerifiedQuote) -> bytes:
    """What the PCRs are known by that change with a boot and what runs in it."""
    found = hashlib.sha256()
    for bank in sorted(quote.pcrs):
        values = quote.pcrs[bank]
        found.update(bank.to_bytes(2, "big"))
        found.update(b"".join(values.get(pcr, b"") for pcr in (*BOOT_PCRS, IMA_PCR)))
    return found.digest()


def _sha256(raw: bytes) -> bytes:
    return hashlib.sha256(raw).digest()
