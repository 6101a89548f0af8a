"""What an appraisal says: findings, the AR4SI trust vector, the level and the state."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class Tier(Enum):
    """AR4SI trust tiers (draft-ietf-rats-ar4si, 2.3.2). `order` is for a meet: the lowest wins."""

    NONE = "none"
    AFFIRMING = "affirming"
    WARNING = "warning"
    CONTRAINDICATED = "contraindicated"

    @property
    def order(self) -> int:
        """Rank for a meet: contraindicated < none < warning < affirming."""
        return (Tier.CONTRAINDICATED, Tier.NONE, Tier.WARNING, Tier.AFFIRMING).index(self)

    @property
    def ear_value(self) -> int:
        """Its number in an EAR (draft-ietf-rats-ear, 3.2)."""
        return {Tier.NONE: 0, Tier.AFFIRMING: 2, Tier.WARNING: 32, Tier.CONTRAINDICATED: 96}[self]

    @classmethod
    def of_claim(cls, value: int) -> "Tier":
        """The tier that a claim's number falls in; draft-ietf-rats-ar4si, 2.3.2. value: -128 to 127."""
        if -1 <= value <= 1:
            return cls.NONE
        if value <= -97 or value >= 96:  # noqa: PLR2004  # the draft's own limits
            return cls.CONTRAINDICATED
        return cls.WARNING if value <= -33 or value >= 32 else cls.AFFIRMING  # noqa: PLR2004  # the same


def worst(tiers: "list[Tier]") -> Tier:
    """The meet of some tiers; affirming when there are none."""
    return min(tiers, key=lambda tier: tier.order, default=Tier.AFFIRMING)


class Claim(Enum):
    """The eight claims of an AR4SI trustworthiness vector (draft-ietf-rats-ar4si, 2.3.4)."""

    INSTANCE_IDENTITY = "instance-identity"
    CONFIGURATION = "configuration"
    EXECUTABLES = "executables"
    FILE_SYSTEM = "file-system"
    HARDWARE = "hardware"
    RUNTIME_OPAQUE = "runtime-opaque"
    STORAGE_OPAQUE = "storage-opaque"
    SOURCED_DATA = "sourced-data"


class Anchor(Enum):
    """What vouches for a finding: a PCR, a certificate, or only the node's own word."""

    TPM = "tpm"
    SIGNED = "signed"
    AGENT = "agent"


class State(Enum):
    """How current the result is; `recorded` for evidence that was read from files."""

    FRESH = "fresh"
    LATE = "late"
    EXPIRED = "expired"
    RECORDED = "recorded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointer:
    """Where in the evidence: PCR, event (index in its log), entry (index in the IMA list), path, bank, workload."""

    pcr: int | None = None
    event: int | None = None
    entry: int | None = None
    path: str | None = None
    bank: str | None = None
    workload: str | None = None


NOWHERE = Pointer()


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One check's outcome; `id` names the check in `data/checks`, `why` is one sentence for people.

    waiver: the reason of the named exception that lowered it, if one did.
    """

    id: str
    claim: Claim
    tier: Tier
    why: str
    anchor: Anchor
    at: Pointer = NOWHERE
    waiver: str = ""

    @property
    def passes(self) -> bool:
        """It keeps nothing from holding: affirming, or lowered by a named exception."""
        return self.tier is Tier.AFFIRMING or bool(self.waiver)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One level of the ladder: whether it holds, and if not, the check ids that keep it from holding."""

    number: int
    name: str
    question: str
    holds: bool
    assessed: bool
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Confinement:
    """What is known of how workloads are fenced: rules of the profile that hold by what vouches for them.

    open: the rules that do not hold or are not known; workloads: how many were looked at.
    """

    profile: str
    held: Mapping[Anchor, int]
    open: tuple[str, ...]
    workloads: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AttestationResult:
    """The verdict on one entity; `findings` are all of them, in the order of their checks.

    strength: for each PCR that a log explains, the strongest bank in which it does; confinement: None where no posture
    was judged.
    """

    level: int
    state: State
    contraindicated: bool
    vector: Mapping[Claim, Tier]
    findings: tuple[Finding, ...]
    ladder: tuple[Rung, ...]
    policy: str
    reference: str | None = None
    strength: Mapping[int, str] = field(default_factory=dict)
    confinement: Confinement | None = None
