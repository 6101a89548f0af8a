"""What the service knows of a node besides its evidence."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from bartizan.model.digest import HashAlg


class Role(StrEnum):
    """What a person or program may do with the service."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    SECURITY_OFFICER = "security-officer"
    AUDITOR = "auditor"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Which nodes something is said of: `node:NAME`, `role:ROLE` or `all`. project: None for every one."""

    words: str
    project: int | None

    def covers(self, name: str, role: str, project: int) -> bool:
        """A node of this name, role and project is among them."""
        here = self.project is None or self.project == project
        return here and self.words in {"all", f"node:{name}", f"role:{role}"}


class Silence(IntEnum):
    """How far a node is behind its time, as the watch last saw it."""

    NONE = 0
    LATE = 1
    EXPIRED = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRecord:
    """An enrolled node. id: the database's; uid: its name in the protocol, which its quotes are bound to.

    identity: the enrolment request as sent; registered: the EK was accepted by itself, not by its certificate.
    """

    id: int
    uid: str
    name: str
    role: str
    project: int
    ek_name: bytes
    ak_name: bytes
    identity: bytes
    registered: bool
    banks: tuple[HashAlg, ...]
    pinned: HashAlg


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeProgress:
    """What changed with the last attestations of a node. Times in milliseconds since 1970 UTC.

    accepted: how many; nonce_issued: when the challenge of the last accepted one was made, in microseconds; due: when
    the next one is expected; version: of the database's row, which goes up with each change of what is kept.
    """

    accepted: int = 0
    accepted_at: int | None = None
    nonce_issued: int = 0
    due: int = 0
    silence: Silence = Silence.NONE
    level: int = 0
    contraindicated: bool = False
    boot: int | None = None
    result: int | None = None
    attempted_at: int | None = None
    refusal: str | None = None
    version: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptBoot:
    """Everything kept of a node's boot, as bytes, with the quote accepted last: enough to judge it all anew.

    pcrs: bank number to values as sent; ima: the list in the kernel's binary form, None where the node has none;
    ima_start: where in it the list that the node shows begins; other_logs: of other resumes; stuck: contraindicated
    findings as JSON.
    """

    attest: bytes
    signature: bytes
    pcrs: Mapping[int, bytes]
    nonce: bytes
    accepted_at: int
    posture: bytes | None
    boot_log: bytes | None
    launch_log: bytes | None
    command_line: bytes | None
    other_logs: tuple[bytes, ...]
    ima: bytes | None
    ima_start: int
    stuck: bytes
