"""The posture of a machine as its agent reported it, and the rules that judge it. Nothing here judges.

Everything reported is the node's word: a hostile root can lie in it. What failed to be read says so and passes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
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
class Told:
    """Which guest a process is, as a file says that root can write."""

    name: str
    uuid: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """A file that a process maps shared and writable; mode and owner are None where it cannot be opened by its path."""

    path: str
    bytes: int
    mode: int | None
    uid: int | None
    gid: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """One process that stands for a virtual machine, a container or a packet switch; None where nobody told.

    untrusted_name, untrusted_uuid: what its own command line says (a container's name is its cgroup's); libvirt: what
    libvirt's files say; label: empty where no security module answers; permissive: of its SELinux domain; threads: how
    many were looked at; seccomp (0 none, 1 strict, 2 filter) and no_new_privs: the least of all threads; cap_…:
    hexadecimal, of all threads together; uid_map: rows of inside, outside, count; private: kinds of namespaces of its
    own; images: files that it holds open, or what its root is; control: sockets of container runtimes or libvirt that
    it can reach; core_cookies: of all its threads, zeros for one that shares cores with anybody.
    """

    pid: int
    kind: str
    comm: str
    untrusted_name: str | None
    untrusted_uuid: str | None
    libvirt: Told | None
    options: tuple[str, ...] | None
    exe: str | None
    uids: tuple[int, ...] | None
    uid_map: tuple[tuple[int, ...], ...] | None
    label: str | None
    permissive: bool | None
    threads: int | None
    seccomp: int | None
    filters: int | None
    no_new_privs: int | None
    cap_eff: str | None
    cap_permitted: str | None
    cap_bounding: str | None
    private: tuple[str, ...] | None
    cgroup: str | None
    devices: tuple[str, ...] | None
    iommu_groups: tuple[str, ...] | None
    images: tuple[str, ...] | None
    control: tuple[str, ...] | None
    shared: tuple[Shared, ...] | None
    ksm: str | None
    core_cookies: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedPosture:
    """One posture document; `privileged`: the collector ran as root."""

    privileged: bool
    files: Mapping[str, Reading]
    folders: Mapping[str, Listing]
    nodes: Mapping[str, Node]
    workloads: tuple[Workload, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MalformedPosture:
    """What came as a posture document and is none; `why` says what is wrong with it."""

    why: str


class Part(Enum):
    """The seven parts of a workload's fence."""

    IDENTITY = "identity"
    MAC = "mac"
    SECCOMP = "seccomp"
    PRIVILEGES = "privileges"
    NAMESPACES = "namespaces"
    MEMORY = "memory"
    DMA = "dma"


class Measured(Enum):
    """What a PCR can vouch for besides the node's word."""

    COMMAND_LINE = "command line"
    SECURE_BOOT = "Secure Boot"
    SELINUX_STATE = "SELinux's state"
    SELINUX_POLICY = "SELinux's policy"
    QUOTE = "the quote"


class Framework(Enum):
    """Whose requirements a rule looks at."""

    CIS = "cis"
    STIG = "stig"
    ANSSI = "anssi"
    ANUKET = "anuket"
    HSI = "hsi"
    VECTOR = "vector"


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """One requirement of a framework, in our words; empty where only its source has them. must: or only should."""

    id: str
    text: str
    must: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameworkText:
    """A framework with its requirements, and where they were read."""

    framework: Framework
    name: str
    source: str
    requirements: tuple[Requirement, ...]


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

    reads: the paths it looks at; add: the line to write where `mend` says, for a plan of fixes; missing: see `Missing`;
    part, kinds: the part of the fence that it is about, and of which kinds of workloads; None for the host's own rules;
    vouched_by: what a PCR can say of the same; frameworks: requirements of others that it looks at, by framework.
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
    part: Part | None = None
    kinds: frozenset[str] = frozenset()
    vouched_by: Measured | None = None
    frameworks: Mapping[Framework, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PostureFinding:
    """One rule's outcome with the readings that decided it; tier *none* means that it is not known.

    workload: the one it is about, None for the host; witness: what shows it, such as a path or system calls.
    """

    rule: Rule
    finding: Finding
    read: tuple[Reading, ...]
    workload: Workload | None = None
    witness: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who a workload is: what the kernel holds counts before what text says; `kernel` tells where the name is from.

    name, uuid: empty when nobody tells.
    """

    name: str
    uuid: str
    kernel: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartVerdict:
    """One part of a workload's fence: its tier, and of the findings that gave it the rules, reasons and witnesses."""

    tier: Tier
    rules: tuple[str, ...]
    why: tuple[str, ...]
    witness: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadVerdict:
    """A workload, who it is, and its vector of seven."""

    workload: Workload
    identity: Identity
    vector: Mapping[Part, PartVerdict]


@dataclass(frozen=True, slots=True, kw_only=True)
class PostureResult:
    """The verdict on one posture document; `inapplicable` maps the rules that have no subject here to the reason."""

    profile: Profile
    findings: tuple[PostureFinding, ...]
    inapplicable: Mapping[str, str]
    workloads: tuple[WorkloadVerdict, ...]
