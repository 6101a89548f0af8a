"""What boot log events carry, as decoded: images, tables, partitions, texts, tags. Nothing here is proved.

An event's digest covers its data only where the specification says so; an image's path, for one, is the log's word.
"""

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from bartizan.model.uefi import DevicePath, Guid, Opaque, VariableEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageLoad:
    """UEFI_IMAGE_LOAD_EVENT, addresses and length in bytes. The event's digest is the image's, not of this data."""

    location: int
    length: int
    link_address: int
    path: DevicePath
    trailing: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class FirmwareBlob:
    """UEFI_PLATFORM_FIRMWARE_BLOB or BLOB2: a piece of firmware by address and length in bytes; PFP 1.06, 10.2.5."""

    base: int
    length: int
    description: bytes = b""


class ConfigurationTable(NamedTuple):
    """EFI_CONFIGURATION_TABLE: which table, and where it lies in memory."""

    vendor: Guid
    address: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HandoffTables:
    """UEFI_HANDOFF_TABLE_POINTERS or 2: tables such as SMBIOS that the firmware hands to the system."""

    tables: tuple[ConfigurationTable, ...]
    description: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class GptPartition:
    """EFI_PARTITION_ENTRY; addresses in blocks, the last one included; UEFI 2.10, 5.3.3."""

    kind: Guid
    unique: Guid
    first: int
    last: int
    attributes: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionTable:
    """UEFI_GPT_DATA: the boot disk's header and its partitions in use; PFP 1.06, 10.2.4."""

    disk: Guid
    revision: int
    first_usable: int
    last_usable: int
    entry_size: int
    partitions: tuple[GptPartition, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Separator:
    """EV_SEPARATOR's four bytes as a number: 0 or 2³²−1 as it should be, 1 when the firmware reports an error."""

    value: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StartupLocality:
    """Where TPM2_Startup came from: 0, 3, or 4 after an H-CRTM; PCR 0 starts at this value; PFP 1.06, 10.4.5.3."""

    locality: int


class Locator(NamedTuple):
    """Where a RIM or platform certificate lies: 0 inline, 1 URI, 2 device path, 3 UEFI variable."""

    type: int
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformReference:
    """An SP800-155 event (1 to 3): which manifest the platform's maker points to; PFP 1.06, 10.4.5.2."""

    version: int
    vendor_id: int
    manifest: Guid
    manufacturer: str = ""
    model: str = ""
    platform_version: str = ""
    firmware_manufacturer: str = ""
    firmware_vendor_id: int = 0
    firmware_version: str = ""
    manifest_locator: Locator | None = None
    certificate_locator: Locator | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NoAction:
    """Any other EV_NO_ACTION event: its signature and what follows."""

    signature: str
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    """TCG_PCClientTaggedEvent; `tags` are those nested inside, for the ids that Windows nests."""

    id: int
    data: bytes
    tags: tuple["Tag", ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TaggedEvents:
    """EV_EVENT_TAG's contents: one tag or several in a row."""

    tags: tuple[Tag, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSecurity:
    """DEVICE_SECURITY_EVENT_DATA (1 or 2): what an SPDM device said; `authentication` is 0 when it was proved.

    It is None in version 1, which has no such field.
    """

    version: int
    device_type: int
    authentication: int | None
    path: DevicePath
    data: bytes


class Encoding(Enum):
    """How a text was written."""

    UTF8 = "utf-8"
    UTF16 = "utf-16-le"


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A text without its terminator; hostile until shown through `inert`."""

    text: str
    encoding: Encoding = Encoding.UTF8


class BootTextKind(Enum):
    """What a boot loader says it measured, by the form of its text."""

    GRUB_COMMAND = "grub command"
    KERNEL_COMMAND_LINE = "kernel command line"
    MODULE_COMMAND_LINE = "module command line"
    FILE = "file"
    SHIM_VARIABLE = "shim variable"
    UKI_SECTION = "section of a unified kernel image"
    OTHER = "text"

    __hash__ = object.__hash__
    """Members are alone of their kind; Enum would hash the name, in Python, at each look-up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BootText:
    """EV_IPL's text without its prefix and terminator.

    payload: the same as bytes. For GRUB's commands and command lines the event's digest is H(payload), or
    H(payload ‖ 00) for the older form without a colon; for all other kinds the text is a mere label.
    """

    kind: BootTextKind
    text: str
    payload: bytes
    encoding: Encoding = Encoding.UTF8


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledBlob:
    """A readable label, its terminator, then bytes without a structure known to us."""

    label: str
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Identifier:
    """A bare GUID, as some firmware gives for its version."""

    value: Guid


EventData = (
    VariableEvent
    | ImageLoad
    | FirmwareBlob
    | HandoffTables
    | PartitionTable
    | Separator
    | StartupLocality
    | PlatformReference
    | NoAction
    | TaggedEvents
    | DeviceSecurity
    | Text
    | BootText
    | LabelledBlob
    | Identifier
    | Opaque
)
"""What one event's data can be decoded to."""
