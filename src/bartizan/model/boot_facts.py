"""What a boot log proves about a boot, once its PCRs are explained: each fact rests on a digest computed again."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from bartizan.model.boot_log import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """A Secure Boot authority that verified something in this boot.

    vouched: the digest is the hash of the data, so that the data may be believed; fingerprint: SHA-256 of its
    certificate, None for an authority that is a hash or whose data is not vouched for.
    """

    event: int
    variable: str
    vouched: bool
    fingerprint: bytes | None


class MeasuredText(NamedTuple):
    """A text that a digest covers: a boot loader's command or the kernel's command line."""

    event: int
    pcr: int
    kind: str
    text: str


class BootWay(Enum):
    """How firmware fetched the first loader."""

    DISK = "a disk"
    PXE = "the network by PXE (TFTP)"
    HTTP = "the network by plain HTTP"
    HTTPS = "the network by HTTPS"
    FIRMWARE = "the firmware"


@dataclass(frozen=True, slots=True, kw_only=True)
class BootSource:
    """Where the first loader came from. untrusted_path: as the log says.

    option: its description; None where no measured option names the path.
    """

    event: int
    way: BootWay
    untrusted_path: str
    option: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BootFacts:
    """What explained events say.

    secure_boot: the variable's value, None when no verified event holds it; shim_validation_off: an authority named
    MokSBState says so; dbx_read: a verified event holds the machine's own revocations and they can be read;
    dbx_images and dbx_certificates: SHA-256 of what they revoke; sbat: component to generation from SbatLevel, None
    when not measured; images: events that stand for an executed image; first_step: texts about who measured the first
    code; source: where the first loader came from, None where the log does not say.
    """

    secure_boot: bool | None
    secure_boot_event: int | None
    authorities: tuple[Authority, ...]
    shim_validation_off: bool
    dbx_read: bool
    dbx_images: frozenset[bytes]
    dbx_certificates: frozenset[bytes]
    sbat: Mapping[str, int] | None
    images: tuple[Event, ...]
    texts: tuple[MeasuredText, ...]
    startup_locality: int
    first_step: tuple[str, ...]
    source: BootSource | None = None

    @property
    def command_lines(self) -> tuple[MeasuredText, ...]:
        """The kernel command lines, as measured."""
        return tuple(text for text in self.texts if text.kind == "kernel_cmdline")
