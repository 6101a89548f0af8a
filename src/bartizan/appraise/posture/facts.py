"""What one rule sees of a posture document, and how it says what it found. It keeps count of what was looked at.

A file that is absent is told apart from one whose whole file system is not mounted: only the first means anything.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeVar

from bartizan.formats.kernel_cmdline import parse_cmdline
from bartizan.model.posture import Node, ReadError, Reading, ReportedPosture, Rule, Terms, Workload

CMDLINE = "/proc/cmdline"
SECURITYFS = "/sys/kernel/security"
SELINUX = "/sys/fs/selinux"
WITNESSES = (
    (f"{SECURITYFS}/", SECURITYFS),
    ("/sys/fs/", "/sys/fs"),
    ("/sys/firmware/", "/sys/firmware"),
    ("/sys/class/", "/sys/class"),
    ("/sys/", "/sys/module"),
    ("/proc/", "/proc/sys/kernel"),
)
"""Where a path begins, and the folder that is never empty where such paths can be seen at all."""


class Verdict(Enum):
    """How a rule came out."""

    HOLDS = "holds"
    BROKEN = "broken"
    UNKNOWN = "unknown"
    INAPPLICABLE = "inapplicable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A rule's verdict with its reason, one sentence without a full stop."""

    verdict: Verdict
    why: str
    witness: tuple[str, ...] = ()


def holds(why: str, *witness: str) -> Outcome:
    """The rule is kept; witness: what shows it."""
    return Outcome(verdict=Verdict.HOLDS, why=why, witness=witness)


def broken(why: str, *witness: str) -> Outcome:
    """The rule is not kept; witness: what shows it."""
    return Outcome(verdict=Verdict.BROKEN, why=why, witness=witness)


def unknown(why: str) -> Outcome:
    """Nobody can tell; this is never a pass."""
    return Outcome(verdict=Verdict.UNKNOWN, why=why)


def inapplicable(why: str) -> Outcome:
    """The rule has no subject on this machine."""
    return Outcome(verdict=Verdict.INAPPLICABLE, why=why)


Value = TypeVar("Value")


class UnreadError(Exception):
    """A rule needs what could not be read; the engine turns it into *unknown* and it goes no further."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """A posture document as one rule sees it; `read` collects what it looked at, in its order.

    workload: the one that it is about; bearers: how many workloads have each set of SELinux categories.
    """

    posture: ReportedPosture
    rule: Rule
    terms: Terms
    workload: Workload | None = None
    bearers: Mapping[frozenset[str], int] = field(default_factory=dict)
    read: dict[str, Reading] = field(default_factory=dict)

    def text(self, path: str) -> str:
        """A file's text without white space around it.

        Raises:
            UnreadError: there is none.
        """
        value = self.maybe(path)
        if value is None:
            raise UnreadError(f"{path} is not there: this kernel does not tell")
        return value

    def maybe(self, path: str) -> str | None:
        """A file's text without white space around it, None when it is surely absent.

        Raises:
            UnreadError: it could not be read, or nothing shows that its file system is there at all.
        """
        reading = self.posture.files.get(path, Reading(path=path, value=None, error=ReadError.FAILED))
        self.read[path] = reading
        if reading.value is not None:
            return reading.value.strip()
        self._absent_for_sure(path, reading.error)
        return None

    def names(self, path: str) -> tuple[str, ...]:
        """A folder's names, none when it is surely absent.

        Raises:
            UnreadError: it could not be read, or nothing shows that its file system is there at all.
        """
        return self.maybe_names(path) or ()

    def maybe_names(self, path: str) -> tuple[str, ...] | None:
        """A folder's names, None when it is surely absent; raises as `names`."""
        listing = self.posture.folders.get(path)
        names = listing.names if listing else None
        error = listing.error if listing else ReadError.FAILED
        self.read[path] = Reading(path=path, value=None if names is None else " ".join(names), error=error)
        if names is None:
            self._absent_for_sure(path, error)
        return names

    def node(self, path: str) -> Node | None:
        """What stands at a path, with its mode; None when nothing is known of it."""
        node = self.posture.nodes.get(path)
        if node is not None:
            shown = f"{node.kind}, mode {node.mode:04o}, owner {node.uid}:{node.gid}"
            self.read[path] = Reading(path=path, value=shown)
        return node

    def users(self, comm: str) -> list[int | None]:
        """The users of the running workloads whose program's name begins so, the lowest of each; None: not seen."""
        running = [workload for workload in self.posture.workloads if workload.comm.startswith(comm)]
        for one in running:
            path = f"/proc/{one.pid}/status"
            uid = None if one.uids is None else f"Uid {one.uids[0]} ({one.comm})"
            self.read[path] = Reading(path=path, value=uid, error=ReadError.FAILED if uid is None else None)
        return [workload.uids[0] if workload.uids else None for workload in running]

    @property
    def subject(self) -> Workload:
        """The workload that the rule is about."""
        if self.workload is None:
            raise ValueError(f"{self.rule.id} is about workloads")
        return self.workload

    def told(self, what: str, value: Value | None, shown: str) -> Value:
        """What the kernel told of the workload at `/proc/PID/what`, noted as read.

        Raises:
            UnreadError: it told nothing.
        """
        path = f"/proc/{self.subject.pid}/{what}"
        self.read[path] = Reading(
            path=path, value=None if value is None else shown, error=ReadError.FAILED if value is None else None
        )
        if value is None:
            advice = "even as root" if self.posture.privileged else "run as root to know"
            raise UnreadError(f"{path} does not tell, or may not be read: {advice}")
        return value

    def first(self, *paths: str) -> None:
        """Move what decided to the front of what was read."""
        self.read.update({path: self.read.pop(path) for path in list(self.read) if path not in paths})

    def cmdline(self) -> Mapping[str, tuple[str, ...]]:
        """The kernel's parameters; raises as `text`."""
        return parse_cmdline(self.text(CMDLINE))

    def _absent_for_sure(self, path: str, error: ReadError | None) -> None:
        if error is ReadError.DENIED:
            advice = "even as root" if self.posture.privileged else "run as root to know"
            raise UnreadError(f"{path} may not be read: {advice}")
        if error is not ReadError.ABSENT:
            raise UnreadError(f"{path} could not be read")
        for beginning, witness in WITNESSES:
            if path.startswith(beginning):
                self._must_be_mounted(path, witness)
                return

    def _must_be_mounted(self, path: str, witness: str) -> None:
        listing = self.posture.folders.get(witness)
        if path != witness and not (listing and listing.names):
            raise UnreadError(f"{path} is not there, and {witness} is empty or hidden: is {_mounted(witness)} mounted?")
        if path.startswith(f"{SELINUX}/"):
            listing = self.posture.folders.get(SELINUX)
            if listing and listing.names == ():
                raise UnreadError(f"{path} is not there, and {SELINUX} is empty: is selinuxfs mounted?")


Evaluator = Callable[[Facts], Outcome]
"""A rule's function."""


def _mounted(witness: str) -> str:
    return "securityfs" if witness == SECURITYFS else "it"
