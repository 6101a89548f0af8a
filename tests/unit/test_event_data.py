"""Any event yields typed data or opaque bytes with a reason, and one harmless line for people."""

import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import get_args

import pytest

from bartizan.errors import DecodeError
from bartizan.formats import event_text, variable_text
from bartizan.formats.device_path import decode_device_path
from bartizan.formats.event_data import decode_event_data, decode_identifier
from bartizan.formats.event_text import LINE, describe
from bartizan.formats.guid_names import NAMES, guid_name
from bartizan.model.boot_log import EventType
from bartizan.model.event_data import (
    ConfigurationTable,
    DeviceSecurity,
    EventData,
    FirmwareBlob,
    HandoffTables,
    ImageLoad,
    LabelledBlob,
    Locator,
    PartitionTable,
    PlatformReference,
    Separator,
    StartupLocality,
    TaggedEvents,
    Text,
)
from bartizan.model.uefi import (
    EFI_GLOBAL,
    IMAGE_SECURITY,
    SHIM_LOCK,
    Absent,
    BootOrder,
    DevicePath,
    Flag,
    Opaque,
    SbatLevel,
    SignatureDatabase,
    VariableEvent,
    VariableValue,
    guid,
)
from tests.unit.uefi_bytes import (
    END,
    OWNER,
    SHA256_LIST,
    X509_LIST,
    certificate,
    event,
    file_node,
    image_load,
    load_option,
    node,
    partition,
    partition_table,
    signature_list,
    tag,
    utf16,
    variable,
)

UPDATE = Path(__file__).parents[1] / "vectors" / "secure_boot" / "google_go-tpm-tools"
PCI = node(1, 1, b"\x00\x1f")
ROM = PCI + node(4, 8, struct.pack("<IQQ", 0, 0xF250, 0x201FF)) + END
BLOB = struct.pack("<QQ", 0xFF000000, 4096)
TABLES = struct.pack("<Q", 1) + guid("eb9d2d31-2d88-11d3-9a16-0090273fc14d") + struct.pack("<Q", 0x1000)
UNKNOWN_LIST = guid("00112233-4455-6677-8899-aabbccddeeff")

FORMS: Mapping[str, tuple[int, bytes, type[EventData]]] = {
    "post code": (EventType.POST_CODE, b"ACPI DATA", Text),
    "post code blob": (EventType.POST_CODE, BLOB, FirmwareBlob),
    "post code 2": (EventType.POST_CODE2, b"\4BIOS" + BLOB, FirmwareBlob),
    "startup": (EventType.NO_ACTION, b"StartupLocality\0\3", StartupLocality),
    "trust point": (EventType.NO_ACTION, tag(0xC0010004, tag(0x80080001, b"q")), TaggedEvents),
    "separator": (EventType.SEPARATOR, bytes(4), Separator),
    "wordy separator": (EventType.SEPARATOR, b"Skiboot Boot", Text),
    "tag": (EventType.EVENT_TAG, tag(7, b"x"), TaggedEvents),
    "tag without a header": (EventType.EVENT_TAG, b"LOADED_IMAGE::LoadOptions\0", Text),
    "crtm contents": (EventType.S_CRTM_CONTENTS, b"Boot Guard Measured S-CRTM\0", Text),
    "crtm version": (EventType.S_CRTM_VERSION, utf16("N1UET78W \0"), Text),
    "crtm label": (EventType.S_CRTM_VERSION, b"M60" + bytes(8) + b"\1", LabelledBlob),
    "devices": (EventType.TABLE_OF_DEVICES, TABLES, HandoffTables),
    "non-host": (EventType.NONHOST_INFO, b"GCE NonHostInfo\0" + bytes(16), LabelledBlob),
    "loader": (EventType.IPL, b"FooBar\0\1\2", LabelledBlob),
    "omitted": (EventType.OMIT_BOOT_DEVICE_EVENTS, b"BOOT ATTEMPTS OMITTED", Text),
    "compact": (EventType.COMPACT_HASH, b"\x10\0\0\0", Opaque),
    "h-crtm": (EventType.EFI_HCRTM_EVENT, b"HCRTM", Text),
    "variable": (EventType.EFI_VARIABLE_DRIVER_CONFIG, variable("SecureBoot", b"\1"), VariableEvent),
    "boot variable": (EventType.EFI_VARIABLE_BOOT2, variable("BootOrder", b"\1\0"), VariableEvent),
    "authority": (EventType.EFI_VARIABLE_AUTHORITY, variable("Shim", certificate(), vendor=SHIM_LOCK), VariableEvent),
    "image": (EventType.EFI_BOOT_SERVICES_DRIVER, image_load(ROM), ImageLoad),
    "gpt": (EventType.EFI_GPT_EVENT2, partition_table([partition("ESP")]), PartitionTable),
    "blob": (EventType.EFI_PLATFORM_FIRMWARE_BLOB, BLOB, FirmwareBlob),
    "blob under the other label": (EventType.EFI_PLATFORM_FIRMWARE_BLOB, b"\3PEI" + BLOB, FirmwareBlob),
    "blob 2": (EventType.EFI_PLATFORM_FIRMWARE_BLOB2, b"\3PEI" + BLOB, FirmwareBlob),
    "tables": (EventType.EFI_HANDOFF_TABLES, TABLES, HandoffTables),
    "tables 2": (EventType.EFI_HANDOFF_TABLES2, b"\2HO" + TABLES, HandoffTables),
    "spdm": (EventType.EFI_SPDM_FIRMWARE_BLOB, b"SPDM Device Sec2" + bytes(28 + 8), DeviceSecurity),
    "no data": (EventType.TXT_MLE_HASH, b"", Text),
    "unknown": (0x10000000, b"DRTM", Text),
    "junk": (EventType.EFI_GPT_EVENT, b"junk", Opaque),
}


@pytest.mark.parametrize("name", FORMS)
def test_each_label_has_its_forms(name: str) -> None:
    kind, raw, expected = FORMS[name]

    found = decode_event_data(event(kind, raw))

    assert isinstance(found, expected)
    assert describe(found).isprintable()


def test_opaque_data_says_why_and_keeps_its_bytes() -> None:
    assert decode_event_data(event(EventType.EFI_GPT_EVENT, b"junk")) == Opaque(
        reason="EFI_PARTITION_TABLE_HEADER at byte 0: 92 bytes expected, 4 left", data=b"junk"
    )
    assert decode_event_data(event(EventType.COMPACT_HASH, b"\x10\0\0\0")) == Opaque(
        reason="neither text nor a form known for this type", data=b"\x10\0\0\0"
    )


def test_a_variable_with_a_value_its_name_does_not_allow_keeps_both() -> None:
    found = decode_event_data(event(EventType.EFI_VARIABLE_DRIVER_CONFIG, variable("SecureBoot", b"\1\1")))

    assert isinstance(found, VariableEvent)
    assert found.variable.name == "SecureBoot"
    assert found.value == Opaque(reason="flag at byte 1: 1 bytes left over", data=b"\1\1")


def test_the_label_does_not_change_what_a_variable_means() -> None:
    raw = variable("db", OWNER + certificate(), vendor=IMAGE_SECURITY)

    config = decode_event_data(event(EventType.EFI_VARIABLE_DRIVER_CONFIG, raw))
    authority = decode_event_data(event(EventType.EFI_VARIABLE_AUTHORITY, raw))

    assert config == authority


def test_a_guid_has_sixteen_bytes() -> None:
    assert describe(decode_identifier(OWNER)) == "77fa9abd-0359-4d32-bd60-28f4e78f784b"
    with pytest.raises(DecodeError, match="16 bytes expected, found 15"):
        decode_identifier(OWNER[1:])


def line(kind: int, data: bytes) -> str:
    return describe(decode_event_data(event(kind, data)))


def variable_line(name: str, data: bytes, vendor: bytes = EFI_GLOBAL) -> str:
    return line(EventType.EFI_VARIABLE_BOOT, variable(name, data, vendor=vendor))  # type: ignore[arg-type]  # a Guid


@pytest.mark.parametrize(
    ("kind", "data", "said"),
    [
        (EventType.SEPARATOR, bytes(4), "separator"),
        (EventType.SEPARATOR, b"\xff\xff\xff\xff", "separator"),
        (EventType.SEPARATOR, b"\1\0\0\0", "separator 1: the firmware met an error while it measured"),
        (EventType.SEPARATOR, b"WBCL", 'separator "WBCL"'),
        (EventType.SEPARATOR, b"\x80\0\0\0", "separator 4 bytes 80000000"),
        (EventType.NO_ACTION, b"StartupLocality\0\0", "TPM startup: no H-CRTM"),
        (EventType.NO_ACTION, b"StartupLocality\0\3", "TPM startup: started by the CPU (locality 3)"),
        (EventType.NO_ACTION, b"StartupLocality\0\7", "TPM startup: locality 7"),
        (EventType.NO_ACTION, b"NvIndexInstance\0" + bytes(8), "NvIndexInstance, 8 zero bytes"),
        (EventType.NO_ACTION, b"NvIndexInstance\0", "NvIndexInstance, no bytes"),
        (EventType.S_CRTM_VERSION, b"\0\0", "(empty)"),
        (EventType.S_CRTM_VERSION, utf16("N1UET78W \0"), "N1UET78W"),
        (EventType.COMPACT_HASH, b"HPE\0" + b"\1" * 20, f"HPE, 20 bytes {'01' * 16}…"),
        (EventType.IPL, b" ", "(empty)"),
        (EventType.IPL, b"IPL code", "IPL code"),
        (EventType.IPL, b"grub_cmd: boot\0", "grub command: boot"),
        (EventType.IPL, b"kernel_cmdline: /vmlinuz a\nb\0", r"kernel command line: /vmlinuz a\nb"),
        (EventType.EVENT_TAG, tag(0x8F3B22EC, b"Linux initrd\0"), 'initial RAM disk: "Linux initrd"'),
        (EventType.EVENT_TAG, tag(7, b"\1"), "0x00000007: 1 bytes 01"),
        (
            EventType.EVENT_TAG,
            tag(0x40010001, tag(0x40010003, b"") * 2 + tag(0x00050001, b"\0")),
            "trust boundary (2 × loaded module, kernel debugging)",
        ),
        (EventType.EFI_PLATFORM_FIRMWARE_BLOB, BLOB, "firmware at 0xff000000, 4096 bytes"),
        (EventType.EFI_PLATFORM_FIRMWARE_BLOB2, b"\4PEI\0" + BLOB, "firmware PEI at 0xff000000, 4096 bytes"),
        (EventType.EFI_HANDOFF_TABLES, TABLES, "tables SMBIOS at 0x1000"),
        (EventType.EFI_HANDOFF_TABLES2, b"\2HO" + TABLES, "tables HO: SMBIOS at 0x1000"),
        (EventType.EFI_HANDOFF_TABLES, bytes(8), "tables none"),
        (EventType.EFI_BOOT_SERVICES_DRIVER, image_load(b""), "image without a device path, 8192 bytes in memory"),
        (
            EventType.EFI_BOOT_SERVICES_DRIVER,
            image_load(ROM),
            "option ROM Pci(0x1F,0x0)/Offset(0xF250,0x201FF), 8192 bytes in memory",
        ),
        (
            EventType.EFI_BOOT_SERVICES_APPLICATION,
            image_load(file_node(r"\EFI\BOOT\grubx64.efi") + END),
            r"\EFI\BOOT\grubx64.efi, 8192 bytes in memory",
        ),
        (
            EventType.EFI_BOOT_SERVICES_APPLICATION,
            image_load(PCI + file_node(r"\grub.efi") + END),
            r"\grub.efi from Pci(0x1F,0x0)/\grub.efi, 8192 bytes in memory",
        ),
        (
            EventType.EFI_GPT_EVENT,
            partition_table([partition("ESP"), partition("")]),
            "disk 00000000-0000-0000-0000-000000000000: ESP (EFI system partition), EFI system partition",
        ),
        (EventType.EFI_GPT_EVENT, b"", "(no data)"),
        (EventType.COMPACT_HASH, b"\x10\0\0\0", "4 bytes 10000000 (neither text nor a form known for this type)"),
    ],
)
def test_an_event_is_described(kind: int, data: bytes, said: str) -> None:
    assert line(kind, data) == said


def test_a_long_list_is_cut_and_counted() -> None:
    assert line(EventType.EVENT_TAG, tag(7, b"\1") * 10).endswith(", 0x00000007: 1 bytes 01 and 2 more")


def test_every_kind_of_data_has_a_description() -> None:
    assert set(get_args(EventData)) <= set(event_text._line.registry)
    assert set(get_args(VariableValue)) <= set(variable_text._value.registry)


@pytest.mark.parametrize("shown", [event_text._line, variable_text._value])
def test_what_is_no_event_data_is_a_bug_and_not_described(shown: Callable[[object], str]) -> None:
    with pytest.raises(TypeError):
        shown(object())


@pytest.mark.parametrize(
    ("name", "data", "vendor", "said"),
    [
        ("SecureBoot", b"\1", EFI_GLOBAL, "SecureBoot: on"),
        ("SecureBoot", b"\0", EFI_GLOBAL, "SecureBoot: off"),
        ("SecureBoot", b"\2", EFI_GLOBAL, "SecureBoot: neither on nor off, 2"),
        ("SecureBoot", b"", EFI_GLOBAL, "SecureBoot: absent"),
        ("SecureBoot", b"\1\1", EFI_GLOBAL, "SecureBoot: 2 bytes (flag at byte 1: 1 bytes left over)"),
        (
            "Setup",
            b"\1",
            OWNER,
            "Setup of 77fa9abd-0359-4d32-bd60-28f4e78f784b: 1 bytes (no decoder for this variable)",
        ),
        ("BootOrder", b"\1\0\x1a\0", EFI_GLOBAL, "BootOrder: 0001, 001A"),
        ("BootOrder", bytes(34), EFI_GLOBAL, "BootOrder: " + ", ".join(["0000"] * 16) + " …"),
        ("Boot0001", load_option("debian", PCI + END), EFI_GLOBAL, "Boot0001: debian → Pci(0x1F,0x0)"),
        ("Boot0001", load_option("gone", b"", attributes=0), EFI_GLOBAL, "Boot0001: gone → nothing (inactive)"),
        ("dbx", b"", IMAGE_SECURITY, "dbx: empty"),
        ("SbatLevel", b"sbat,1,2025021800\nshim,4\n", SHIM_LOCK, "SbatLevel: SBAT level of 2025021800: shim 4"),
        ("SbatLevel", b"sbat,1\n", SHIM_LOCK, "SbatLevel: SBAT level: no component"),
        (
            "Shim",
            certificate(),
            SHIM_LOCK,
            "Shim: allowed by certificate (cannot be read)",
        ),
        (
            "db",
            OWNER + b"\xd1" * 32,
            IMAGE_SECURITY,
            f"db: allowed by sha256 digest {'d1' * 32}, owner Microsoft",
        ),
    ],
)
def test_a_variable_is_described(name: str, data: bytes, vendor: bytes, said: str) -> None:
    assert variable_line(name, data, vendor) == said


def test_a_database_is_described_by_its_certificates_and_counts() -> None:
    raw = (UPDATE / "server__secure-boot__dbxupdate_x64-2020-10-12.bin").read_bytes()[16 + 3329 :]
    svn = signature_list(SHA256_LIST, [(guid("9d132b6c-59d5-4388-ab1c-185cfcb2eb92"), bytes(32))])
    odd = signature_list(UNKNOWN_LIST, [(OWNER, b"x")], size=17)
    sha1 = signature_list(guid("826ca512-cf10-4ac9-b187-be01496631bd"), [(OWNER, bytes(20))], size=36)

    said = variable_line("dbx", raw + svn + odd + sha1, IMAGE_SECURITY)

    assert said == (
        "dbx: 3 × certificate, 183 × SHA-256 image digest, 1 × security version, "
        "1 × entry of type 00112233-4455-6677-8899-aabbccddeeff, 1 × sha1 entry "
        "(Canonical Ltd. Secure Boot Signing; Virtual UEFI SubCA; Debian Secure Boot Signer)"
    )


def test_only_the_first_certificates_are_named() -> None:
    raw = signature_list(X509_LIST, [(OWNER, certificate())] * 5, size=316)

    assert variable_line("db", raw, IMAGE_SECURITY).endswith("(cannot be read); …)")


@pytest.mark.parametrize(
    ("locator", "said"),
    [
        (None, ""),
        (Locator(0, b""), ""),
        (Locator(0, b"x"), ", inline"),
        (Locator(1, b"https://example.org/rim\0"), ", at https://example.org/rim"),
        (Locator(3, b"x"), ", in a UEFI variable"),
        (Locator(9, b"x"), ", in a place of type 9"),
    ],
)
def test_a_platform_reference_is_described(locator: Locator | None, said: str) -> None:
    found = PlatformReference(version=3, vendor_id=1, manifest=OWNER, model="Box", manifest_locator=locator)

    assert describe(found) == f"reference manifest 77fa9abd-0359-4d32-bd60-28f4e78f784b, platform Box{said}"


@pytest.mark.parametrize(("state", "said"), [(None, ""), (0, ", authenticated"), (1, ", not authenticated")])
def test_a_device_is_described(state: int | None, said: str) -> None:
    path = decode_device_path(PCI + END)
    found = DeviceSecurity(version=2, device_type=1, authentication=state, path=path, data=b"")

    assert describe(found) == f"device Pci(0x1F,0x0){said}"


def test_a_device_without_a_path_is_described() -> None:
    found = DeviceSecurity(version=2, device_type=1, authentication=0, path=DevicePath(nodes=()), data=b"")

    assert describe(found) == "device without a path, authenticated"


@pytest.mark.parametrize(
    "data",
    [
        Text(text="\x1b[2J\n\u202e" * 500),
        FirmwareBlob(base=0, length=0, description=b"\xff\x1b\n"),
        HandoffTables(tables=(ConfigurationTable(OWNER, 1),) * 20, description=b"\x9b"),
        LabelledBlob(label="\u202e", data=b"\x1b"),
    ],
)
def test_a_description_is_inert(data: EventData) -> None:
    said = describe(data)

    assert said.isprintable()
    assert said.isascii() or said.endswith("…")
    assert len(said) <= LINE + 1


def test_well_known_guids_have_names() -> None:
    assert guid_name(OWNER) == "Microsoft"
    assert guid_name(UNKNOWN_LIST) == "00112233-4455-6677-8899-aabbccddeeff"
    assert all(len(each) == 16 for each in NAMES)


@pytest.mark.parametrize(
    ("name", "data", "value"),
    [
        ("SecureBoot", b"\1", Flag(value=1)),
        ("SecureBoot", b"", Absent()),
        ("BootOrder", b"\1\0", BootOrder(order=(1,))),
        ("PK", b"", SignatureDatabase(lists=())),
    ],
)
def test_a_variable_event_carries_its_value(name: str, data: bytes, value: object) -> None:
    found = decode_event_data(event(EventType.EFI_VARIABLE_BOOT, variable(name, data)))

    assert isinstance(found, VariableEvent)
    assert found.value == value
    assert not isinstance(found.value, SbatLevel)
