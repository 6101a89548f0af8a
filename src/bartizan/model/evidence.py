"""Evidence before and after verification. Only `bartizan.verify` makes the `Verified…` types."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from bartizan.model.boot_facts import BootFacts
from bartizan.model.boot_log import BootLog, Event
from bartizan.model.certificate import Certificate, RootKind, TrustAnchors
from bartizan.model.digest import HashAlg, PcrBanks
from bartizan.model.ima import ImaList
from bartizan.model.posture import MalformedPosture, ReportedPosture
from bartizan.model.result import Finding
from bartizan.model.tpm import Attest, PublicArea, Signature


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedQuote:
    """A quote as sent: decoded, its signature not yet checked."""

    attest: Attest
    signature: Signature


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """What the Verifier asked for.

    extra_data: the value that must come back; selection: bank to PCRs; pinned: the bank that decides;
    recorded: the evidence was read from files, so that neither request nor freshness can be shown; binds_posture:
    the extra data covers the posture bytes that came with the evidence.
    """

    extra_data: bytes | None
    selection: Mapping[int, frozenset[int]]
    pinned: HashAlg
    recorded: bool
    binds_posture: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedIdentity:
    """Who the Attester says it is."""

    ak: PublicArea
    ek: PublicArea | None
    ek_certificate: Certificate | None
    chain: tuple[Certificate, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedEvidence:
    """One attestation as sent: everything decoded, nothing proved.

    other_boot_logs: those of other resumes that came along; the one that explains most counts;
    untrusted_command_line: the kernel's, as the node says; believed only where a measured digest is that of this text.
    """

    identity: ReportedIdentity
    quote: ReportedQuote
    untrusted_pcrs: PcrBanks
    boot_log: BootLog | None
    launch_log: BootLog | None
    ima: ImaList | None
    posture: bytes | None
    untrusted_command_line: str | None = None
    other_boot_logs: tuple[BootLog, ...] = ()


class Activation(Enum):
    """How it was shown that AK and EK live in one TPM."""

    SHOWN = "credential activation"
    NAME_ONLY = "qualified name"


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    """What the Verifier remembers of an Attester: its AK's Name, and an EK accepted beforehand."""

    anchors: TrustAnchors
    ak_name: bytes | None = None
    registered_ek: bytes | None = None
    activation: Activation = Activation.NAME_ONLY


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedIdentity:
    """An AK proved to live beside this EK; `root_kind` is None for an EK registered beforehand."""

    ak: PublicArea
    ek: PublicArea
    root_kind: RootKind | None
    path: tuple[Certificate, ...]
    activation: Activation
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedQuote:
    """A quote whose signature, type, extra data, selection and digest all hold; `pcrs` are vouched for by the TPM."""

    attest: Attest
    pcrs: PcrBanks
    pinned: HashAlg
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PcrExplanation:
    """Whether one PCR of one bank is explained, and by which events (indices in its log)."""

    pcr: int
    bank: HashAlg
    explained: bool
    events: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedBoot:
    """A boot log held against quoted PCRs.

    events: those of PCRs which the pinned bank explains; everything else in the log is hearsay and left out;
    facts: what these events prove.
    launched: a dynamic launch happened (PCR 17 is not at its reset value).
    """

    log: BootLog | None
    launch_log: BootLog | None
    explanations: tuple[PcrExplanation, ...]
    events: tuple[Event, ...]
    facts: BootFacts
    launched: bool
    findings: tuple[Finding, ...]

    def explains(self, pcr: int, bank: HashAlg) -> bool:
        """The log explains this PCR's quoted value in this bank."""
        return any(e.explained for e in self.explanations if e.pcr == pcr and e.bank == bank)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedIma:
    """An IMA list held against the quoted PCR 10.

    matched: how many entries the quote covers (a prefix); pending: entries read after the quote;
    zero_padded: this bank holds SHA-1 template hashes padded with zeros, so its strength is SHA-1's;
    agreeing: the banks in which these entries, and no others, lead to PCR 10, each with whether it is zero-padded.
    """

    list: ImaList
    matched: int | None
    pending: int
    zero_padded: bool
    agreeing: Mapping[HashAlg, bool]
    aggregate_matches: bool | None
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedEvidence:
    """One attestation that verification let pass; what it could not explain is said in the parts' findings.

    reported_posture: the posture, decoded; the node's word, however well it is bound.
    """

    identity: VerifiedIdentity
    quote: VerifiedQuote
    boot: VerifiedBoot
    ima: VerifiedIma | None
    posture: bytes | None
    posture_bound: bool
    reported_posture: ReportedPosture | MalformedPosture | None = None
