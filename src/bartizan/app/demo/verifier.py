"""The Verifier's side of the demonstration: it enrols machines, challenges them, judges their answers, keeps them."""

import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from bartizan.app.attest_node import Outcome, Rules, attest_node
from bartizan.app.demo.kept import Kept
from bartizan.app.demo.machine import ALL_PCRS, Machine
from bartizan.app.demo.one_bit import StoredHost, is_trusted, register
from bartizan.app.enrol_node import SECRET_BYTES, close_enrolment, open_enrolment
from bartizan.app.evidence_folder import decode_evidence
from bartizan.formats.tpm2 import decode_public
from bartizan.formats.x509 import decode_certificate
from bartizan.model.certificate import TrustAnchors
from bartizan.model.digest import HashAlg
from bartizan.model.evidence import Challenge, Enrolment, ReportedIdentity
from bartizan.verify.binding import NONCE_BYTES, bound_extra_data


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One attestation judged: the outcome, its time on the clock, and the one bit of 2016 beside it."""

    outcome: Outcome
    milliseconds: float
    one_bit: bool | None


@dataclass(slots=True, kw_only=True)
class Verifier:
    """What it remembers: accepted CAs, enrolled nodes, the rules, and (for comparison) what OpenAttestation stored."""

    anchors: TrustAnchors
    rules: Rules
    kept: Kept | None
    nodes: dict[str, Enrolment] = field(default_factory=dict)
    stored: dict[str, StoredHost] = field(default_factory=dict)

    def enrol(self, machine: Machine) -> None:
        """Credential activation: the machine is accepted once its TPM has opened the secret."""
        files = machine.files
        identity = ReportedIdentity(
            ak=decode_public(files["ak.pub"]),
            ek=decode_public(files["ek.pub"]),
            ek_certificate=decode_certificate(files["ek_cert.der"]),
        )
        secret, seed = os.urandom(SECRET_BYTES), os.urandom(SECRET_BYTES)
        answer = machine.activate(open_enrolment(identity, secret=secret, entropy=seed))
        self.nodes[machine.name] = close_enrolment(identity, secret=secret, answer=answer, anchors=self.anchors)

    def challenge(self, name: str) -> bytes:
        """The extra data that the next quote of this node must carry."""
        return bound_extra_data(name, os.urandom(NONCE_BYTES), b"")

    def attest(self, machine: Machine, *, step: str, banks: Mapping[int, Iterable[int]] = ALL_PCRS) -> Judged:
        """Challenge a machine, and judge what it answers."""
        asked = self.challenge(machine.name)
        return self.judge(machine.answer(asked, banks), asked=asked, node=machine.name, step=step)

    def judge(self, files: Mapping[str, bytes], *, asked: bytes, node: str, step: str | None = None) -> Judged:
        """Judge an answer to the challenge `asked`, sent under the name of `node`; kept as `step`, if it has one."""
        if self.kept is not None and step is not None:
            self.kept.evidence(step, files, asked=asked)
        begun = time.perf_counter()
        evidence = decode_evidence(files)
        challenge = Challenge(
            extra_data=asked,
            selection={alg: frozenset(pcrs) for alg, pcrs in ALL_PCRS.items()},
            pinned=HashAlg.SHA256,
            recorded=False,
            binds_posture=True,
        )
        now = datetime.now(UTC)
        outcome = attest_node(evidence, challenge=challenge, enrolment=self.nodes[node], rules=self.rules, now=now)
        milliseconds = (time.perf_counter() - begun) * 1000
        if self.kept is not None and step is not None:
            self.kept.expect(step, outcome.result)
        host = self.stored.setdefault(node, register(evidence))
        return Judged(outcome=outcome, milliseconds=milliseconds, one_bit=is_trusted(host, evidence, extra_data=asked))
