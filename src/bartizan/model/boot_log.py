"""A boot log as decoded: events in order, nothing believed. Event types are labels the log's writer chose."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import Enum, IntEnum

NO_PCR = 0xFFFFFFFF
"""The PCR index of informative Windows events; legal only on EV_NO_ACTION."""
OPTION_ROM_PCR, IMAGE_PCR, POLICY_PCR = 2, 4, 7
"""Where firmware measures option ROMs, boot images and the Secure Boot policy; PFP 1.06, 3.3.4."""
COMMAND_PCR, FILE_PCR, UKI_PCR = 8, 9, 11
"""Where GRUB measures its commands and the files it reads, and systemd-stub the sections of a unified kernel image."""
LAUNCH_PCRS = frozenset(range(17, 23))
"""The PCRs of a dynamic launch."""
GOOD_SEPARATORS = (b"\x00\x00\x00\x00", b"\xff\xff\xff\xff")
"""What a separator measures when nothing went wrong; PFP 1.06, 10.4.1."""


class LogFormat(Enum):
    """How a log is laid out."""

    SHA1 = "sha1"
    CRYPTO_AGILE = "crypto-agile"
    CCEL = "ccel"
    TXT = "txt"


class EventType(IntEnum):
    """Event types; TCG PC Client Platform Firmware Profile 1.06, 10.4.1; TXT types from Intel's TXT guide, H.2."""

    PREBOOT_CERT = 0x0
    POST_CODE = 0x1
    UNUSED = 0x2
    NO_ACTION = 0x3
    SEPARATOR = 0x4
    ACTION = 0x5
    EVENT_TAG = 0x6
    S_CRTM_CONTENTS = 0x7
    S_CRTM_VERSION = 0x8
    CPU_MICROCODE = 0x9
    PLATFORM_CONFIG_FLAGS = 0xA
    TABLE_OF_DEVICES = 0xB
    COMPACT_HASH = 0xC
    IPL = 0xD
    IPL_PARTITION_DATA = 0xE
    NONHOST_CODE = 0xF
    NONHOST_CONFIG = 0x10
    NONHOST_INFO = 0x11
    OMIT_BOOT_DEVICE_EVENTS = 0x12
    POST_CODE2 = 0x13
    TXT_PCR_MAPPING = 0x401
    TXT_HASH_START = 0x402
    TXT_COMBINED_HASH = 0x403
    TXT_MLE_HASH = 0x404
    TXT_BIOSAC_REG_DATA = 0x40A
    TXT_CPU_SCRTM_STAT = 0x40B
    TXT_LCP_CONTROL_HASH = 0x40C
    TXT_ELEMENTS_HASH = 0x40D
    TXT_STM_HASH = 0x40E
    TXT_OSSINITDATA_CAP_HASH = 0x40F
    TXT_SINIT_PUBKEY_HASH = 0x410
    TXT_LCP_HASH = 0x411
    TXT_LCP_DETAILS_HASH = 0x412
    TXT_LCP_AUTHORITIES_HASH = 0x413
    TXT_NV_INFO_HASH = 0x414
    TXT_COLD_BOOT_BIOS_HASH = 0x415
    TXT_KM_HASH = 0x416
    TXT_BPM_HASH = 0x417
    TXT_KM_INFO_HASH = 0x418
    TXT_BPM_INFO_HASH = 0x419
    TXT_BOOT_POL_HASH = 0x41A
    TXT_RANDOM_VALUE = 0x4FE
    TXT_CAP_VALUE = 0x4FF
    TBOOT_MODULE = 0x501
    EFI_EVENT_BASE = 0x80000000
    EFI_VARIABLE_DRIVER_CONFIG = 0x80000001
    EFI_VARIABLE_BOOT = 0x80000002
    EFI_BOOT_SERVICES_APPLICATION = 0x80000003
    EFI_BOOT_SERVICES_DRIVER = 0x80000004
    EFI_RUNTIME_SERVICES_DRIVER = 0x80000005
    EFI_GPT_EVENT = 0x80000006
    EFI_ACTION = 0x80000007
    EFI_PLATFORM_FIRMWARE_BLOB = 0x80000008
    EFI_HANDOFF_TABLES = 0x80000009
    EFI_PLATFORM_FIRMWARE_BLOB2 = 0x8000000A
    EFI_HANDOFF_TABLES2 = 0x8000000B
    EFI_VARIABLE_BOOT2 = 0x8000000C
    EFI_GPT_EVENT2 = 0x8000000D
    EFI_HCRTM_EVENT = 0x80000010
    EFI_VARIABLE_AUTHORITY = 0x800000E0
    EFI_SPDM_FIRMWARE_BLOB = 0x800000E1
    EFI_SPDM_FIRMWARE_CONFIG = 0x800000E2
    EFI_SPDM_DEVICE_POLICY = 0x800000E3
    EFI_SPDM_DEVICE_AUTHORITY = 0x800000E4


NO_ACTION, SEPARATOR, IPL = EventType.NO_ACTION, EventType.SEPARATOR, EventType.IPL
GPT_EVENT, EFI_ACTION = EventType.EFI_GPT_EVENT, EventType.EFI_ACTION
"""The types that every event of a log is asked for: a member's look-up in its class costs five times a name's."""


def type_label(number: int) -> str:
    """The specification's name of an event type, or its number where it has none."""
    try:
        return f"EV_{EventType(number).name}"
    except ValueError:
        return f"0x{number:08x}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One log entry; `index` counts from 0 after the Spec ID header, `offset` is in bytes from the log's start."""

    index: int
    offset: int
    pcr: int
    reported_type: int
    digests: Mapping[int, bytes]
    data: bytes


_SET_INDEX, _SET_OFFSET, _SET_PCR, _SET_TYPE, _SET_DIGESTS, _SET_DATA = (
    getattr(Event, field.name).__set__ for field in fields(Event)
)


def make_event(head: tuple[int, int, int, int], digests: Mapping[int, bytes], data: bytes) -> Event:
    """An event as its constructor makes it, in a fifth of the time; `head`: index, offset, PCR and reported type.

    A frozen class's constructor sets each field by its name; that was a fifth of the time to judge a boot log.
    """
    made = object.__new__(Event)
    index, offset, pcr, reported_type = head
    _SET_INDEX(made, index)
    _SET_OFFSET(made, offset)
    _SET_PCR(made, pcr)
    _SET_TYPE(made, reported_type)
    _SET_DIGESTS(made, digests)
    _SET_DATA(made, data)
    return made


@dataclass(frozen=True, slots=True, kw_only=True)
class BootLog:
    """A whole log; `algorithms` are the banks that its header declares, in order.

    padding: bytes after its last event; start: where it begins, for a log inside a dump of memory.
    """

    format: LogFormat
    algorithms: tuple[int, ...]
    events: tuple[Event, ...]
    padding: int = 0
    start: int = 0
