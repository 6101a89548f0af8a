"""UEFI event data: bounds on every length and count, nothing left over."""

import struct

import pytest

from bartizan.errors import DecodeError
from bartizan.formats.device_security import decode_device_security
from bartizan.formats.uefi import (
    MAX_NAME,
    MAX_PARTITIONS,
    MAX_TABLES,
    SHIM_SLACK,
    decode_firmware_blob,
    decode_firmware_blob2,
    decode_handoff_tables,
    decode_handoff_tables2,
    decode_image_load,
    decode_partition_table,
    decode_separator,
    decode_variable,
)
from bartizan.model.event_data import ConfigurationTable, FirmwareBlob
from bartizan.model.uefi import EFI_GLOBAL, Guid, PathNode, guid_text
from tests.unit.uefi_bytes import END, OWNER, SHA256_LIST, image_load, node, partition, partition_table, utf16, variable

PCI = node(1, 1, b"\x00\x1f")
HUGE = 2**64 - 1


def lengths(name: int, data: int, rest: bytes = b"") -> bytes:
    return EFI_GLOBAL + struct.pack("<QQ", name, data) + rest


def test_a_variable_is_read() -> None:
    found = decode_variable(variable("SecureBoot", b"\1"))

    assert (found.vendor, found.name, found.data, found.trailing) == (EFI_GLOBAL, "SecureBoot", b"\1", b"")
    assert guid_text(found.vendor) == "8be4df61-93ca-11d2-aa0d-00e098032b8c"


def test_a_variable_without_data_is_legal() -> None:
    assert decode_variable(variable("dbx")).data == b""


def test_shims_trailing_bytes_are_kept_where_they_are_let_pass() -> None:
    raw = variable("Shim", b"data") + b"\0\0\0\0\0\xaf"

    assert decode_variable(raw, slack=SHIM_SLACK).trailing == b"\0\0\0\0\0\xaf"
    with pytest.raises(DecodeError, match="6 bytes left over"):
        decode_variable(raw)
    with pytest.raises(DecodeError, match="10 bytes left over"):
        decode_variable(raw + b"more", slack=SHIM_SLACK)


@pytest.mark.parametrize(
    ("raw", "what", "offset"),
    [
        (lengths(HUGE, 0), "UnicodeNameLength", 16),
        (lengths(MAX_NAME + 1, 0, bytes(2 * MAX_NAME + 2)), "UnicodeNameLength", 16),
        (lengths(0, HUGE), "VariableData", 32),
        (lengths(2**63, 2**63), "UnicodeNameLength", 16),
        (lengths(1, HUGE, b"a\0"), "VariableData", 34),
        (lengths(2, 0, b"a\0"), "UnicodeName", 32),
        (lengths(0, 1), "VariableData", 32),
        (EFI_GLOBAL, "UEFI_VARIABLE_DATA", 0),
    ],
)
def test_a_variable_with_impossible_lengths_is_refused(raw: bytes, what: str, offset: int) -> None:
    with pytest.raises(DecodeError) as refusal:
        decode_variable(raw)

    assert (refusal.value.what, refusal.value.offset) == (what, offset)


def test_an_image_load_is_read() -> None:
    found = decode_image_load(image_load(PCI + END))

    assert (found.location, found.length, found.link_address) == (0x1000, 0x2000, 0x3000)
    assert found.path.nodes == (PathNode(1, 1, b"\x00\x1f"),)


def test_an_image_load_may_lack_a_path_and_trail_shims_bytes() -> None:
    found = decode_image_load(image_load(b"", extra=b"\0\xd2\x08\0\0\xd6\x08\0\xaf"), slack=SHIM_SLACK)

    assert found.path.nodes == ()
    assert len(found.trailing) == SHIM_SLACK


@pytest.mark.parametrize(
    ("raw", "offset"),
    [
        (image_load(PCI), 32 + 6),
        (image_load(PCI + b"\x01\x01\x00\x00"), 32 + 6 + 2),
        (image_load(PCI + END, extra=b"x"), 32 + 10),
        (image_load(PCI + END)[:-1], 32),
        (struct.pack("<QQQQ", 0, 0, 0, HUGE), 32),
        (bytes(31), 0),
    ],
)
def test_a_malformed_image_load_is_refused_at_its_place(raw: bytes, offset: int) -> None:
    with pytest.raises(DecodeError) as refusal:
        decode_image_load(raw)

    assert refusal.value.offset == offset


def test_firmware_blobs_are_read() -> None:
    raw = struct.pack("<QQ", 0xFF000000, 0x1000)

    assert decode_firmware_blob(raw) == FirmwareBlob(base=0xFF000000, length=0x1000)
    assert decode_firmware_blob2(b"\3PEI" + raw) == FirmwareBlob(base=0xFF000000, length=0x1000, description=b"PEI")


@pytest.mark.parametrize("raw", [b"", bytes(15), bytes(17)])
def test_a_firmware_blob_of_another_size_is_refused(raw: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_firmware_blob(raw)


@pytest.mark.parametrize("raw", [b"", b"\1", b"\3PE" + bytes(15), b"\0" + bytes(17), b"\xff" + bytes(20)])
def test_a_described_blob_of_another_size_is_refused(raw: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_firmware_blob2(raw)


def test_handoff_tables_are_read() -> None:
    raw = struct.pack("<Q", 2) + OWNER + struct.pack("<Q", 0x1000) + SHA256_LIST + struct.pack("<Q", 0x2000)
    tables = (ConfigurationTable(OWNER, 0x1000), ConfigurationTable(SHA256_LIST, 0x2000))

    assert decode_handoff_tables(raw).tables == tables
    assert decode_handoff_tables2(b"\3ABC" + raw).tables == tables
    assert decode_handoff_tables2(b"\3ABC" + raw).description == b"ABC"


@pytest.mark.parametrize("count", [2, MAX_TABLES + 1, HUGE, 0])
def test_a_count_of_tables_that_does_not_fit_is_refused(count: int) -> None:
    raw = struct.pack("<Q", count) + OWNER + struct.pack("<Q", 0x1000)

    with pytest.raises(DecodeError):
        decode_handoff_tables(raw)
    with pytest.raises(DecodeError):
        decode_handoff_tables2(b"\0" + raw)


@pytest.mark.parametrize("size", [128, 256, 4096])
def test_a_partition_table_is_read(size: int) -> None:
    raw = partition_table([partition("ESP", size=size), partition("", size=size)], entry_size=size)

    found = decode_partition_table(raw)

    assert (found.entry_size, found.first_usable, found.last_usable) == (size, 34, 999)
    assert [each.name for each in found.partitions] == ["ESP", ""]
    assert (found.partitions[0].first, found.partitions[0].last, found.partitions[0].attributes) == (34, 99, 1)


def test_a_partition_name_may_hold_anything() -> None:
    odd = partition("")[:56] + b"\x00\xd8" * 36

    assert decode_partition_table(partition_table([odd])).partitions[0].name == "\ud800" * 36


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        (partition_table([partition("a")], signature=b"EFI part"), "EFI_PARTITION_TABLE_HEADER"),
        (partition_table([], entry_size=0), "SizeOfPartitionEntry"),
        (partition_table([], entry_size=64), "SizeOfPartitionEntry"),
        (partition_table([], entry_size=192), "SizeOfPartitionEntry"),
        (partition_table([], entry_size=8192), "SizeOfPartitionEntry"),
        (partition_table([], count=MAX_PARTITIONS + 1), "NumberOfPartitions"),
        (partition_table([], count=HUGE), "NumberOfPartitions"),
        (partition_table([partition("a")], count=2), "EFI_PARTITION_ENTRY"),
        (partition_table([partition("a")], count=0), "UEFI_GPT_DATA"),
        (partition_table([partition("a")], entry_size=256), "EFI_PARTITION_ENTRY"),
        (bytes(91), "EFI_PARTITION_TABLE_HEADER"),
        (partition_table([])[:92], "NumberOfPartitions"),
    ],
)
def test_a_malformed_partition_table_is_refused(raw: bytes, what: str) -> None:
    with pytest.raises(DecodeError) as refusal:
        decode_partition_table(raw)

    assert refusal.value.what == what


def test_a_separator_is_a_number() -> None:
    assert decode_separator(b"\xff\xff\xff\xff").value == 0xFFFFFFFF


@pytest.mark.parametrize("raw", [b"", bytes(3), bytes(5), b"Skiboot Boot"])
def test_a_separator_of_another_size_is_refused(raw: bytes) -> None:
    with pytest.raises(DecodeError, match="EV_SEPARATOR"):
        decode_separator(raw)


def security(version: int, *, state: int = 0, path: bytes = PCI + END, path_length: int | None = None) -> bytes:
    size = struct.pack("<Q", len(path) if path_length is None else path_length)
    if version == 1:
        head = b"SPDM Device Sec\0" + struct.pack("<HHII", 1, 0, 2, 1) + struct.pack("<BBH", 1, 1, 3) + b"abc"
    else:
        head = b"SPDM Device Sec2" + struct.pack("<HBBIIIIQ", 2, state, 0, 0, 1, 0, 0, 7)
    return head + size + path + b"rest"


def test_a_device_that_measured_itself_is_read() -> None:
    first = decode_device_security(security(1))
    second = decode_device_security(security(2, state=3))

    assert (first.version, first.device_type, first.authentication, first.data) == (1, 1, None, b"\1\1\3\0abcrest")
    assert (second.version, second.device_type, second.authentication, second.data) == (2, 1, 3, b"rest")
    assert first.path == second.path
    assert first.path.nodes == (PathNode(1, 1, b"\x00\x1f"),)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"SPDM Device Sec3" + bytes(64),
        security(1)[:27],
        security(1, path_length=HUGE),
        security(2, path_length=HUGE),
        security(2, path=PCI),
        security(2)[:40],
    ],
)
def test_a_malformed_device_report_is_refused(raw: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_device_security(raw)


def test_a_guid_is_kept_in_wire_order() -> None:
    assert guid_text(Guid(utf16("abcdefgh"))) == "00620061-0063-0064-6500-660067006800"
