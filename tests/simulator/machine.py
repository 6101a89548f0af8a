"""A machine in memory: the recorded boot `good` on a TPM of our own, changed one thing at a time and quoted anew.

What the TPM holds is computed here from what the machine measured. What is sent may be another story: each part of
the evidence can be replaced on its way, as an attacker would.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from struct import pack

from bartizan.app.attest_node import Outcome, Rules, attest_node
from bartizan.app.defaults import catalogue, default_policy, levels
from bartizan.appraise.context import ReferenceIndex, index_reference
from bartizan.formats.ima import decode_ima
from bartizan.formats.tcg_log import decode_boot_log
from bartizan.formats.tpm2 import decode_attest, decode_signature, encode_public
from bartizan.model.boot_log import BootLog, Event, EventType, LogFormat
from bartizan.model.digest import HashAlg, PcrBanks
from bartizan.model.evidence import Challenge, Enrolment, ReportedEvidence, ReportedQuote
from bartizan.model.ima import ImaEntry
from bartizan.model.policy import Policy
from bartizan.model.reference import ReferenceSet
from bartizan.model.result import AttestationResult
from bartizan.reference.propose import propose
from bartizan.verify.boot import verify_boot
from bartizan.verify.ima import verify_ima
from tests.simulator.quotes import ECDSA, SHA256, Quote, Signer, quote_of
from tests.simulator.tpm_ca import NOW, ca, ec_key, issue
from tests.simulator.tpm_identity import ANCHORS, CERTIFICATE, EK, REPORTED, ak_of, under
from tests.unit.ima_lists import Line, binary, d_ng, extended

GOOD = Path(__file__).parent.parent / "vectors" / "boots" / "good"
BANKS = (HashAlg.SHA1, HashAlg.SHA256, HashAlg.SHA384)
LAUNCH_PCRS = range(17, 23)
NONCE = bytes(range(32))
SIGNER = Signer(kind="p256", alg=ECDSA, hash_alg=SHA256)
AK = ak_of(SIGNER.private)
IDENTITY = replace(REPORTED, ak=AK)
ENROLMENT = Enrolment(anchors=ANCHORS)
AGGREGATE = b"boot_aggregate"


def digests(data: bytes) -> dict[int, bytes]:
    """Its digest in every bank."""
    return {alg: hashlib.new(alg.label, data, usedforsecurity=False).digest() for alg in BANKS}


def measured(pcr: int, kind: int, data: bytes, *, of: bytes | None = None) -> Event:
    """An event whose digests are of its data, or of something else."""
    return Event(index=0, offset=0, pcr=pcr, reported_type=kind, digests=digests(data if of is None else of), data=data)


def file_line(path: bytes, content: bytes, *, label: bytes = b"sha256") -> Line:
    """An ima-ng entry for a file of this content."""
    digest = hashlib.new(label.decode().rpartition(":")[2], content, usedforsecurity=False).digest()
    return Line("ima-ng", (d_ng(digest, label), path + b"\0"), b"")


def _line(entry: ImaEntry) -> Line:
    values = (d_ng(entry.digest, entry.digest_alg.encode()), entry.path + b"\0")
    return Line(entry.template, values, b"", pcr=entry.pcr, violation=entry.is_violation)


def numbered(events: Iterable[Event]) -> tuple[Event, ...]:
    return tuple(replace(event, index=index) for index, event in enumerate(events))


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What a machine measured since its start; `locality` is where its TPM was started from.

    lines: the IMA list after its boot_aggregate; starts: how many boot_aggregate entries precede them; padded: the
    banks that its kernel extends with padded SHA-1; launch: a dynamic launch's events, in a log of their own.
    """

    events: tuple[Event, ...]
    lines: tuple[Line, ...]
    launch: tuple[Event, ...] = ()
    launched: bool = False
    locality: int = 0
    starts: int = 1
    padded: frozenset[HashAlg] = frozenset({HashAlg.SHA384})

    def with_event(self, index: int, **changes: object) -> "Machine":
        """One event otherwise; new data brings its own digests unless those are given too."""
        if "data" in changes and "digests" not in changes:
            changes["digests"] = digests(changes["data"])  # type: ignore[arg-type]  # data is bytes
        event = replace(self.events[index], **changes)  # type: ignore[arg-type]  # fields by name
        return replace(self, events=numbered((*self.events[:index], event, *self.events[index + 1 :])))

    def without_event(self, *indices: int) -> "Machine":
        return replace(self, events=numbered(event for event in self.events if event.index not in indices))

    def inserted(self, at: int, *events: Event) -> "Machine":
        """Events before the one at this index."""
        return replace(self, events=numbered((*self.events[:at], *events, *self.events[at:])))

    def appended(self, *events: Event) -> "Machine":
        return self.inserted(len(self.events), *events)

    def running(self, *lines: Line) -> "Machine":
        """More files measured by IMA."""
        return replace(self, lines=(*self.lines, *lines))

    @property
    def log(self) -> BootLog:
        return agile(self.events)

    def pcrs(self) -> PcrBanks:
        """What its TPM holds."""
        static = {alg: self._boot_pcrs(alg) for alg in BANKS}
        lines = self._list
        return {
            alg: values | {pcr: extended(lines, alg, pcr=pcr, padded=alg in self.padded) for pcr in _pcrs_of(lines)}
            for alg, values in static.items()
        }

    def _boot_pcrs(self, alg: HashAlg) -> dict[int, bytes]:
        launched = self.launched or bool(self.launch) or any(event.pcr in LAUNCH_PCRS for event in self.events)
        reset = {pcr: bytes(alg.size) if launched else b"\xff" * alg.size for pcr in LAUNCH_PCRS}
        values = {pcr: bytes(alg.size) for pcr in range(24)} | reset
        values[0] = bytes(alg.size - 1) + bytes([self.locality])
        for event in (*self.events, *self.launch):
            if event.reported_type != EventType.NO_ACTION and alg in event.digests:
                values[event.pcr] = alg.digest(values[event.pcr] + event.digests[alg])
        return values

    @property
    def start(self) -> Line:
        """The boot_aggregate that each of its kernels measures first."""
        values = self._boot_pcrs(HashAlg.SHA256)
        digest = hashlib.sha256(b"".join(values[pcr] for pcr in range(10))).digest()
        return Line("ima-ng", (d_ng(digest), AGGREGATE + b"\0"), b"")

    @property
    def _list(self) -> list[Line]:
        return [self.start] * self.starts + list(self.lines)

    def list_bytes(self) -> bytes:
        """Its IMA list, in binary form."""
        return binary(self._list)

    def quote(self, *, nonce: bytes = NONCE) -> Quote:
        """What its TPM reports of all PCRs."""
        return quote_of(self.pcrs(), signer=under(EK, AK), extra=nonce)

    def evidence(self) -> ReportedEvidence:
        """All that it sends, decoded."""
        attest = self.quote().encode()
        return ReportedEvidence(
            identity=IDENTITY,
            quote=ReportedQuote(attest=decode_attest(attest), signature=decode_signature(SIGNER.sign(attest).encode())),
            untrusted_pcrs=self.pcrs(),
            boot_log=self.log,
            launch_log=agile(self.launch, LogFormat.TXT) if self.launch else None,
            ima=decode_ima(self.list_bytes()),
            posture=None,
        )

    def write(self, folder: Path) -> Path:
        """Its evidence as a folder, and the CA that vouches for its EK in the subfolder `roots`."""
        (folder / "roots").mkdir(parents=True)
        attest = self.quote().encode()
        values = {
            alg.label: {str(pcr): value.hex() for pcr, value in bank.items()} for alg, bank in self.pcrs().items()
        }
        files = {
            "quote.attest": attest,
            "quote.sig": SIGNER.sign(attest).encode(),
            "nonce.bin": NONCE,
            "ak.pub": encode_public(AK),
            "ek.pub": encode_public(EK),
            "ek_cert.der": CERTIFICATE.raw,
            "pcrs_at_quote.json": json.dumps(values).encode(),
            "bios_at_quote.bin": log_bytes(self.events),
            "ima_at_quote.bin": self.list_bytes(),
            "roots/root.der": issue(ca(), ec_key("Test TPM CA")),
        }
        for name, raw in files.items():
            (folder / name).write_bytes(raw)
        return folder


def quoting(evidence: ReportedEvidence, pcrs: PcrBanks) -> ReportedEvidence:
    """The same evidence with a quote of other PCR values, which the TPM did sign."""
    attest = quote_of(pcrs, signer=under(EK, AK), extra=NONCE).encode()
    signed = ReportedQuote(attest=decode_attest(attest), signature=decode_signature(SIGNER.sign(attest).encode()))
    return replace(evidence, quote=signed, untrusted_pcrs=pcrs)


def agile(events: Iterable[Event], kind: LogFormat = LogFormat.CRYPTO_AGILE) -> BootLog:
    return BootLog(format=kind, algorithms=BANKS, events=numbered(events))


def log_bytes(events: Iterable[Event], banks: tuple[HashAlg, ...] = BANKS) -> bytes:
    """A crypto-agile log; PFP 1.06, 10.2.2 and 10.4.5.1."""
    sizes = b"".join(pack("<HH", alg, alg.size) for alg in banks)
    spec = b"Spec ID Event03\0" + pack("<IBBBBI", 0, 0, 2, 0, 2, len(banks)) + sizes + b"\0"
    raw = pack("<II20sI", 0, EventType.NO_ACTION, bytes(20), len(spec)) + spec
    for event in events:
        held = b"".join(pack("<H", alg) + digest for alg, digest in event.digests.items())
        raw += pack("<III", event.pcr, event.reported_type, len(event.digests)) + held
        raw += pack("<I", len(event.data)) + event.data
    return raw


def _pcrs_of(lines: list[Line]) -> set[int]:
    return {10} | {line.pcr for line in lines}


@cache
def good() -> Machine:
    """The machine as it was recorded."""
    log = decode_boot_log((GOOD / "bios_at_quote.bin").read_bytes())
    ima = decode_ima((GOOD / "ima_at_quote.bin").read_bytes())
    return Machine(events=log.events, lines=tuple(_line(entry) for entry in ima.entries[1:]))


def reference_set(machine: Machine) -> ReferenceSet:
    """Reference Values proposed from a machine."""
    boot = verify_boot(machine.log, machine.pcrs(), pinned=HashAlg.SHA256, launch_log=machine.evidence().launch_log)
    ima = verify_ima(decode_ima(machine.list_bytes()), machine.pcrs(), pinned=HashAlg.SHA256)
    return propose(boot, ima, name="good", source="a test")


@cache
def reference() -> ReferenceIndex:
    """Reference Values of the good machine."""
    return index_reference(reference_set(good()))


CHALLENGE = Challenge(
    extra_data=NONCE, selection={alg: frozenset(range(24)) for alg in BANKS}, pinned=HashAlg.SHA256, recorded=False
)
NO_REFERENCE = index_reference(ReferenceSet(name="", source="", events=(), files=(), digest=""))
"""Stands for: judge without Reference Values."""


def attested(
    evidence: ReportedEvidence,
    *,
    policy: Policy | None = None,
    known: ReferenceIndex | None = None,
    challenge: Challenge = CHALLENGE,
    enrolment: Enrolment = ENROLMENT,
) -> Outcome:
    """What the Verifier makes of evidence; without `known`, the good machine's Reference Values count."""
    chosen = None if known is NO_REFERENCE else known or reference()
    rules = Rules(catalogue=catalogue(), levels=levels(), policy=policy or default_policy(), reference=chosen)
    return attest_node(evidence, challenge=challenge, enrolment=enrolment, rules=rules, now=NOW)


def judged(machine: Machine, *, policy: Policy | None = None, known: ReferenceIndex | None = None) -> AttestationResult:
    """The verdict on a machine that sends what it has."""
    return attested(machine.evidence(), policy=policy, known=known).result
