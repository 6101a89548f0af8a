"""The posture of a machine as its agent reported it, and the rules that judge it. Nothing here judges.

Everything reported is the node's word: a hostile root can lie in it. What failed to be read says so and passes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from bartizan.model.result import Anchor, Claim, Finding, Tier


class ReadError(Enum):
    """Why there is no value."""

    ABSENT = "absent"
    DENIED = "denied"
    TOO_LONG = "too long"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What one path held: a file's text, a folder's names or a node's mode, as text; or why it could not be read."""

    path: str
    value: str | None
    error: ReadError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A folder's names, or why there are none."""

    path: str
    names: tuple[str, ...] | None
    error: ReadError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """What stands at a path; `kind` is file, folder, socket or other, `mode` its permission bits."""

    path: str
    kind: str
    mode: int
    uid: int
    gid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """One process that stands for a virtual machine, a container or a packet switch; None where nobody told.

    seccomp: 0 none, 1 strict, 2 filter; cap_eff: hexadecimal; private: kinds of namespaces of its own.
    """

    pid: int
    kind: str
    comm: str
    name: str | None
    uuid: str | None
    uid: int | None
    label: str | None
    seccomp: int | None
    no_new_privs: int | None
    cap_eff: str | None
    private: tuple[str, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedPosture:
    """One posture document; `privileged`: the collector ran as root."""

    privileged: bool
    files: Mapping[str, Reading]
    folders: Mapping[str, Listing]
    nodes: Mapping[str, Node]
    workloads: tuple[Workload, ...]


class Profile(Enum):
    """What a pool of machines is for; it sets parameters of rules."""

    BASELINE = "baseline"
    HIGH_PERFORMANCE = "high-performance"
    CONFIDENTIAL = "confidential"


class Severity(Enum):
    """How much a broken rule matters, the worst first."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"

    @property
    def order(self) -> int:
        """Rank, the worst first."""
        return list(Severity).index(self)


class Missing(Enum):
    """What it means when the file that a rule reads is not there."""

    UNKNOWN = "unknown"
    INAPPLICABLE = "inapplicable"


class Mend(Enum):
    """Where a rule is mended; a plan of fixes is grouped by it."""

    SYSCTL = "sysctl"
    CMDLINE = "cmdline"
    LIBVIRT = "qemu.conf"
    FIRMWARE = "firmware"
    SOFTWARE = "software"
    HAND = "hand"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How a rule counts in one profile.

    applies: it is judged at all; broken: the tier of a finding when it does not hold; accepts: the values it accepts.
    """

    applies: bool
    broken: Tier
    accepts: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule of the catalogue: what people are told, and its terms in each profile.

    reads: the paths it looks at; add: the line to write where `mend` says, for a plan of fixes; missing: see `Missing`.
    """

    id: str
    area: str
    title: str
    reads: tuple[str, ...]
    secure: str
    why: str
    impact: str
    fix: str
    mend: Mend
    add: str
    references: tuple[str, ...]
    claim: Claim
    anchor: Anchor
    severity: Severity
    missing: Missing
    terms: Mapping[Profile, Terms]


@dataclass(frozen=True, slots=True, kw_only=True)
class PostureFinding:
    """One rule's outcome with the readings that decided it; tier *none* means that it is not known."""

    rule: Rule
    finding: Finding
    read: tuple[Reading, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PostureResult:
    """The verdict on one posture document; `inapplicable` maps the rules that have no subject here to the reason."""

    profile: Profile
    findings: tuple[PostureFinding, ...]
    inapplicable: Mapping[str, str]
