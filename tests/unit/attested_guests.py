"""Guests that attested themselves: their own agent's messages, judged by the service's own functions. Not a test.

Recorded by `scripts/posture_guests/boot.py`: each TPM's key was activated by the Verifier there, and each quote answers
a nonce that it had given out.
"""

import zlib
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache

from bartizan.app.attest_node import Rules
from bartizan.app.defaults import catalogue, default_policy, levels
from bartizan.app.node_state import NodeState
from bartizan.app.roots import load_roots
from bartizan.app.service.identity import reported_identity
from bartizan.app.service.judging import Attempt, Judged, enrolment_of, judge
from bartizan.appraise.context import ReferenceIndex, index_reference
from bartizan.formats.agent_message import decode_enrol, decode_evidence
from bartizan.model.digest import HashAlg
from bartizan.model.node import NodeRecord
from bartizan.model.policy import Policy
from bartizan.model.protocol import EvidenceRequest
from bartizan.reference.propose import propose
from tests.unit.posture_hosts import VECTORS

ATTESTED = VECTORS / "attested"
NODE = "n-guest"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
"""When the guests were recorded: their certificates were good then."""


def record_of(boot: str) -> NodeRecord:
    """The guest as the service keeps an enrolled node."""
    raw = (ATTESTED / boot / "enrol.cbor").read_bytes()
    identity = reported_identity(decode_enrol(raw))
    assert identity.ek is not None
    return NodeRecord(
        id=1,
        uid=NODE,
        name="guest",
        role="compute",
        project=1,
        ek_name=identity.ek.name,
        ak_name=identity.ak.name,
        identity=raw,
        registered=False,
        banks=(HashAlg.SHA256,),
        pinned=HashAlg.SHA256,
    )


def request_of(boot: str, name: str) -> EvidenceRequest:
    """What the guest's agent sent."""
    return decode_evidence(zlib.decompress((ATTESTED / boot / f"{name}.cbor.z").read_bytes()))


def judged(
    boot: str,
    name: str,
    *,
    policy: Policy | None = None,
    known: ReferenceIndex | None = None,
    posture: bytes | None = None,
) -> NodeState:
    """One attestation of a guest, judged as the service judges it; posture: another one than the guest sent."""
    request, record = request_of(boot, name), record_of(boot)
    if posture is not None:
        request = replace(request, posture=posture)
    rules = Rules(catalogue=catalogue(), levels=levels(), policy=policy or default_policy(), reference=known)
    attempt = Attempt(
        record=record,
        enrolment=enrolment_of(record, load_roots(ATTESTED)),
        state=None,
        request=request,
    )
    found = judge(attempt, rules=rules, now=NOW)
    assert isinstance(found, Judged)
    return found.state


@cache
def declared_good(boot: str, name: str) -> ReferenceIndex:
    """Reference Values of a boot of a guest that a person declared good: all that it measured up to this quote."""
    evidence = judged(boot, name).complete()
    return index_reference(propose(evidence.boot, evidence.ima, name=boot, source=f"the guest's boot {boot}"))
