"""A node with a real boot log and a list of 5,000 files, attested in full and again: what grows, and what must not.

Measured is the service's side, from the bytes of quote, signature and list on; PCR values come decoded.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from struct import pack

from cryptography.hazmat.primitives.asymmetric import ec

from bartizan.app.attest_again import Again, ReportedAgain, attest_again, begin
from bartizan.app.attest_node import Outcome, Rules, attest_node
from bartizan.app.defaults import catalogue, default_policy, levels
from bartizan.appraise.context import index_reference
from bartizan.formats.ima import decode_ima
from bartizan.formats.tcg_log import decode_boot_log
from bartizan.formats.tpm2 import decode_attest, decode_public, decode_signature, encode_public
from bartizan.model.certificate import TrustAnchors
from bartizan.model.digest import PCR_COUNT, HashAlg
from bartizan.model.evidence import Activation, Challenge, Enrolment, ReportedEvidence, ReportedIdentity, ReportedQuote
from bartizan.model.ima import IMA_PCR
from bartizan.model.reference import ReferenceFile, ReferenceSet
from bartizan.model.tpm import Alg, Attribute, PublicArea, Symmetric
from bartizan.reference.propose import propose
from bartizan.verify.boot import reset_values, verify_boot
from bartizan.verify.identity import TPM_RH_ENDORSEMENT, qualified_name
from bartizan.verify.ima import verify_ima
from bartizan.verify.replay import replay
from bench.lists import FOLDERS, TEMPLATE, sized
from bench.quotes import NONCE, attest, public_area, sign

Work = Callable[[], str]
BANK = HashAlg.SHA256
HELD, MOST_NEW = 5_000, 200
"""Entries of the first attestation, its boot_aggregate included, and the most that come after it."""
NEW = {"0-new": 0, "20-new": 20, "200-new": 200}
REFERENCE_SIZES = {"1k": 1_000, "10k": 10_000, "100k": 100_000}
NOW = datetime(2026, 1, 1, tzinfo=UTC)
EK_ATTRIBUTES = (
    Attribute.FIXED_TPM
    | Attribute.FIXED_PARENT
    | Attribute.SENSITIVE_DATA_ORIGIN
    | Attribute.ADMIN_WITH_POLICY
    | Attribute.RESTRICTED
    | Attribute.DECRYPT
)
CHALLENGE = Challenge(extra_data=NONCE, selection={BANK: frozenset(range(PCR_COUNT))}, pinned=BANK, recorded=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A machine in memory: its boot log, the PCRs that follow from it, its list's entries, its keys."""

    log: bytes
    boot_pcrs: Mapping[int, bytes]
    entries: tuple[tuple[bytes, bytes], ...]
    key: ec.EllipticCurvePrivateKey
    ek: PublicArea

    @property
    def ak(self) -> PublicArea:
        """As the node sends it."""
        return decode_public(encode_public(public_area(self.key)))

    def pcrs(self, count: int) -> dict[int, bytes]:
        """What its TPM holds after so many entries."""
        value = bytes(BANK.size)
        for _, data in self.entries[:count]:
            value = BANK.digest(value + BANK.digest(data))
        return {**self.boot_pcrs, IMA_PCR: value}

    def quote(self, count: int) -> tuple[bytes, bytes, dict[int, bytes]]:
        """Quote, signature and PCR values after so many entries."""
        pcrs = self.pcrs(count)
        signer = qualified_name(TPM_RH_ENDORSEMENT, self.ak)
        message = attest(tuple(pcrs[pcr] for pcr in range(PCR_COUNT)), signer=signer)
        return message, sign(self.key, message)[1], pcrs

    def list_bytes(self, start: int, stop: int) -> bytes:
        """Entries as the kernel writes them."""
        return b"".join(raw for raw, _ in self.entries[start:stop])


def make_node(log: bytes) -> Node:
    """A node that booted as this log says and has run some thousand programs since."""
    chance = random.Random(HELD)
    replayed = replay(decode_boot_log(log), BANK)
    pcrs = {pcr: replayed.get(pcr, reset_values(pcr, BANK, launched=False)[0]) for pcr in range(PCR_COUNT)}
    aggregate = BANK.digest(b"".join(pcrs[pcr] for pcr in range(10)))
    files = [
        (f"{chance.choice(FOLDERS)}/part{index % 97}/file-{index}.so".encode(), chance.randbytes(BANK.size))
        for index in range(1, HELD + MOST_NEW)
    ]
    ek = public_area(ec.generate_private_key(ec.SECP256R1()))
    ek = replace(
        ek, attributes=EK_ATTRIBUTES, scheme=None, symmetric=Symmetric(alg=Alg.AES, key_bits=128, mode=Alg.CFB)
    )
    return Node(
        log=log,
        boot_pcrs=pcrs,
        entries=tuple(entry(path, digest) for path, digest in [(b"boot_aggregate", aggregate), *files]),
        key=ec.generate_private_key(ec.SECP256R1()),
        ek=decode_public(encode_public(ek)),
    )


def entry(path: bytes, digest: bytes) -> tuple[bytes, bytes]:
    """An ima-ng entry: its bytes in the list, and what the kernel hashed."""
    data = sized(b"sha256:\0" + digest) + sized(path + b"\0")
    return pack("<I", IMA_PCR) + HashAlg.SHA1.digest(data) + sized(TEMPLATE) + sized(data), data


def rules_for(node: Node, files: int) -> Rules:
    """Rules that know this boot and its files, among so many files in all."""
    pcrs = {BANK: node.pcrs(len(node.entries))}
    ima = verify_ima(decode_ima(node.list_bytes(0, len(node.entries))), pcrs, pinned=BANK)
    known = propose(verify_boot(decode_boot_log(node.log), pcrs, pinned=BANK), ima, name="bench", source="bench")
    chance = random.Random(files)
    others = tuple(
        ReferenceFile(path=b"/opt/%d" % index, alg=BANK.label, digest=chance.randbytes(BANK.size))
        for index in range(files - len(known.files))
    )
    everything: ReferenceSet = replace(known, files=(*known.files, *others))
    return Rules(catalogue=catalogue(), levels=levels(), policy=default_policy(), reference=index_reference(everything))


def enrolment_of(node: Node) -> Enrolment:
    """An EK registered beforehand, and activation shown."""
    anchors = TrustAnchors(anchors=(), intermediates=())
    return Enrolment(anchors=anchors, ak_name=node.ak.name, registered_ek=node.ek.name, activation=Activation.SHOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What a node sends, as bytes but for its PCR values."""

    attest: bytes
    signature: bytes
    pcrs: Mapping[int, bytes]
    entries: bytes
    ak: bytes
    ek: bytes
    log: bytes

    def quote(self) -> ReportedQuote:
        """The quote, decoded."""
        return ReportedQuote(attest=decode_attest(self.attest), signature=decode_signature(self.signature))


def sent_by(node: Node, start: int, stop: int) -> Sent:
    """A quote after `stop` entries, and the list from `start` on."""
    message, signature, pcrs = node.quote(stop)
    return Sent(
        attest=message,
        signature=signature,
        pcrs=pcrs,
        entries=node.list_bytes(start, stop),
        ak=encode_public(node.ak),
        ek=encode_public(node.ek),
        log=node.log,
    )


def attested(sent: Sent, enrolment: Enrolment, rules: Rules) -> Outcome:
    """A full attestation, from the bytes on."""
    evidence = ReportedEvidence(
        identity=ReportedIdentity(ak=decode_public(sent.ak), ek=decode_public(sent.ek), ek_certificate=None),
        quote=sent.quote(),
        untrusted_pcrs={BANK: sent.pcrs},
        boot_log=decode_boot_log(sent.log),
        launch_log=None,
        ima=decode_ima(sent.entries),
        posture=None,
    )
    return attest_node(evidence, challenge=CHALLENGE, enrolment=enrolment, rules=rules, now=NOW)


def said(outcome: Outcome | Again) -> str:
    """Level and length of the list, so that nothing is measured but the whole way to the verdict."""
    present = next(finding.why for finding in outcome.result.findings if finding.id == "ima.list-present")
    return f"level {outcome.result.level}, {present}"


def full(folder: Path) -> Work:
    """A first attestation: quote, boot log of 34 KB and 5,000 IMA entries, all decoded, verified and appraised."""
    node = make_node((folder / "boot.bin").read_bytes())
    rules, enrolment, sent = rules_for(node, HELD), enrolment_of(node), sent_by(node, 0, HELD)
    return lambda: said(attested(sent, enrolment, rules))


def again(folder: Path, new: int, files: int) -> Work:
    """One more attestation of a known boot, with so many new entries, among so many Reference Values."""
    node = make_node((folder / "boot.bin").read_bytes())
    rules, enrolment = rules_for(node, files), enrolment_of(node)
    outcome = attested(sent_by(node, 0, HELD), enrolment, rules)
    state = begin(outcome, enrolment=enrolment, rules=rules, now=NOW)
    sent = sent_by(node, HELD, HELD + new)

    def work() -> str:
        reported = ReportedAgain(
            quote=sent.quote(), untrusted_pcrs={BANK: sent.pcrs}, new_entries=sent.entries, first_entry=HELD
        )
        found = attest_again(state, reported, challenge=CHALLENGE, rules=rules, now=NOW)
        return said(found) if isinstance(found, Again) else found.reason

    return work


NODE: dict[str, Callable[[Path], Work]] = {
    "node-full-5000": full,
    **{f"node-again-{name}": partial(again, new=new, files=HELD) for name, new in NEW.items()},
    **{f"node-again-{name}-files": partial(again, new=0, files=files) for name, files in REFERENCE_SIZES.items()},
}
"""A first attestation, further ones by what is new, and one with nothing new by the number of Reference Values."""
