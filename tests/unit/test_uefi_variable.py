"""What a variable's bytes mean follows from vendor and name; the wrong bytes for a name are refused."""

import struct

import pytest

from bartizan.errors import DecodeError
from bartizan.formats.uefi_variable import MAX_DESCRIPTION, MAX_PATHS, decode_load_option, decode_variable_value
from bartizan.model.uefi import (
    EFI_GLOBAL,
    IMAGE_SECURITY,
    SHIM_LOCK,
    Absent,
    Authority,
    BootOrder,
    Flag,
    Guid,
    LoadOption,
    Opaque,
    SbatLevel,
    SignatureDatabase,
    SignatureKind,
    Variable,
    VariableValue,
)
from tests.unit.uefi_bytes import END, OWNER, SHA256_LIST, certificate, load_option, node, signature_list, utf16

PCI = node(1, 1, b"\x00\x1f")
LISTS = signature_list(SHA256_LIST, [(OWNER, bytes(32))])


def value(vendor: Guid, name: str, data: bytes) -> VariableValue:
    return decode_variable_value(Variable(vendor=vendor, name=name, data=data))


@pytest.mark.parametrize("name", ["SecureBoot", "AuditMode", "DeployedMode", "SetupMode"])
@pytest.mark.parametrize("byte", [0, 1, 2])
def test_a_switch_is_one_byte(name: str, byte: int) -> None:
    assert value(EFI_GLOBAL, name, bytes([byte])) == Flag(value=byte)


@pytest.mark.parametrize(
    ("vendor", "name"), [(EFI_GLOBAL, "SecureBoot"), (EFI_GLOBAL, "BootOrder"), (SHIM_LOCK, "MokSBState")]
)
def test_a_variable_without_data_is_absent(vendor: Guid, name: str) -> None:
    assert value(vendor, name, b"") == Absent()


@pytest.mark.parametrize(
    ("vendor", "name"), [(EFI_GLOBAL, "PK"), (EFI_GLOBAL, "KEK"), (IMAGE_SECURITY, "db"), (IMAGE_SECURITY, "dbx")]
)
def test_a_database_is_lists_and_may_be_empty(vendor: Guid, name: str) -> None:
    assert value(vendor, name, b"") == SignatureDatabase(lists=())
    found = value(vendor, name, LISTS)

    assert isinstance(found, SignatureDatabase)
    assert len(found.lists[0].entries) == 1


def test_an_entry_of_a_database_is_an_authority() -> None:
    found = value(IMAGE_SECURITY, "db", OWNER + certificate())

    assert found == Authority(owner=OWNER, kind=SignatureKind.X509, data=certificate())


def test_a_database_that_is_neither_is_refused_for_its_lists() -> None:
    with pytest.raises(DecodeError, match="SignatureListSize"):
        value(IMAGE_SECURITY, "db", LISTS[:16] + bytes(100))


def test_boot_order_is_numbers() -> None:
    assert value(EFI_GLOBAL, "BootOrder", struct.pack("<HH", 1, 0x1A)) == BootOrder(order=(1, 0x1A))


@pytest.mark.parametrize("name", ["Boot0001", "Boot00aF", "Driver0000", "SysPrep0000", "PlatformRecovery0000"])
def test_a_boot_option_is_read(name: str) -> None:
    found = value(EFI_GLOBAL, name, load_option("debian", PCI + END + PCI + PCI + END, extra=b"quiet"))

    assert isinstance(found, LoadOption)
    assert (found.description, found.active, found.optional_data) == ("debian", True, b"quiet")
    assert [len(path.nodes) for path in found.paths] == [1, 2]


def test_a_boot_option_may_be_inactive_and_lead_nowhere() -> None:
    found = decode_load_option(load_option("", b"", attributes=8))

    assert (found.active, found.paths, found.description) == (False, (), "")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        load_option("debian", PCI + END)[:-1],
        load_option("debian", PCI),
        load_option("debian", PCI + END + b"x"),
        load_option("debian", END * (MAX_PATHS + 1)),
        struct.pack("<IH", 1, 0) + utf16("a" * MAX_DESCRIPTION),
        struct.pack("<IH", 1, 0xFFFF) + utf16("a\0"),
    ],
)
def test_a_malformed_boot_option_is_refused(raw: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_load_option(raw)


def test_the_sbat_level_is_read() -> None:
    assert isinstance(value(SHIM_LOCK, "SbatLevel", b"sbat,1,2021030218\n"), SbatLevel)


def test_shims_switches_and_keys_are_told_apart() -> None:
    assert value(SHIM_LOCK, "MokListTrusted", b"\1") == Flag(value=1)
    assert isinstance(value(SHIM_LOCK, "MokListRT", SHIM_LOCK + certificate()), Authority)
    assert isinstance(value(SHIM_LOCK, "Shim", certificate()), Authority)


@pytest.mark.parametrize(
    ("vendor", "name", "data"),
    [
        (EFI_GLOBAL, "SecureBoot", b"\1\0"),
        (EFI_GLOBAL, "BootOrder", b"\1"),
        (EFI_GLOBAL, "Boot0001", b"\1"),
        (SHIM_LOCK, "SbatLevel", b"shim,1"),
        (SHIM_LOCK, "MokListRT", b"junk"),
    ],
)
def test_the_wrong_bytes_for_a_name_are_refused(vendor: Guid, name: str, data: bytes) -> None:
    with pytest.raises(DecodeError):
        value(vendor, name, data)


@pytest.mark.parametrize(
    ("vendor", "name"),
    [(OWNER, "SecureBoot"), (EFI_GLOBAL, "Boot1"), (EFI_GLOBAL, "Boot00010"), (EFI_GLOBAL, "Lang"), (EFI_GLOBAL, "db")],
)
def test_a_variable_without_a_decoder_keeps_its_bytes(vendor: Guid, name: str) -> None:
    assert value(vendor, name, b"\1") == Opaque(reason="no decoder for this variable", data=b"\1")
