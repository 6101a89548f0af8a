"""What the kernel measured that is no file: keys, kexec command lines, SELinux's state. As decoded, nothing proved."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyring:
    """A key added to a keyring; `certificate` are the bytes the kernel was given, DER for an X.509 key."""

    name: str
    certificate: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class KexecCommandLine:
    """The command line of a kernel that was loaded to be started from the running one."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SelinuxState:
    """SELinux's switches and policy capabilities by name, each 0 or 1."""

    flags: Mapping[str, int]

    @property
    def enforcing(self) -> bool:
        """It has a policy and refuses what the policy does not allow."""
        return self.flags.get("initialized") == 1 and self.flags.get("enforcing") == 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SelinuxPolicy:
    """The hash of SELinux's loaded policy, in the algorithm that its size tells."""

    digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownBuffer:
    """Another buffer, or one whose bytes are not what its name says; `why` says which."""

    name: str
    payload: bytes
    why: str


Buffer = Keyring | KexecCommandLine | SelinuxState | SelinuxPolicy | UnknownBuffer


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredBuffer:
    """A buffer and the index of its entry in the list."""

    entry: int
    buffer: Buffer


@dataclass(frozen=True, slots=True, kw_only=True)
class KexecStart:
    """A kernel started from the running one.

    since: the boot_aggregate of the kernel that started it; boot_aggregate: its own; loads: the command lines that were
    measured in between. Any of them may be the one it was started with: IMA measures a text once, however often and in
    whatever order it is loaded.
    """

    since: int
    boot_aggregate: int
    loads: tuple[MeasuredBuffer, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BufferFacts:
    """What the vouched part of a list holds beside files, in the list's order; the last of a state is the present one.

    kexec_loads: every command line that was measured, started or not; kexec_starts: one for each later boot_aggregate.
    """

    keys: tuple[MeasuredBuffer, ...]
    kexec_loads: tuple[MeasuredBuffer, ...]
    kexec_starts: tuple[KexecStart, ...]
    selinux_states: tuple[MeasuredBuffer, ...]
    selinux_policies: tuple[MeasuredBuffer, ...]
    others: tuple[MeasuredBuffer, ...]
