"""Event data of UEFI firmware: variables, image loads, firmware blobs, handoff tables, partition tables.

TCG PC Client Platform Firmware Profile 1.06, 10.2. Structure only: what a variable's bytes mean is in `uefi_variable`.
"""

from struct import Struct

from bartizan.errors import DecodeError
from bartizan.formats.device_path import decode_device_path
from bartizan.formats.reader import LittleReader
from bartizan.formats.texts import utf16, utf16_padded
from bartizan.model.event_data import (
    ConfigurationTable,
    FirmwareBlob,
    GptPartition,
    HandoffTables,
    ImageLoad,
    PartitionTable,
    Separator,
)
from bartizan.model.uefi import Guid, Variable

MAX_NAME = 1024
"""Characters of a variable's name; about 30 are the longest seen."""
MAX_TABLES = 1024
"""Configuration tables in one event; firmware lists about 20."""
MAX_PARTITIONS = 1024
"""Partitions in use; a GPT has room for 128 as a rule."""
MAX_PARTITION_ENTRY = 4096
"""Bytes of one partition entry: 128 times a power of two; UEFI 2.10, 5.3.2."""
SHIM_SLACK = 9
"""Bytes that shim before 15.3 logged past a variable or a device path: array members counted twice, and padding."""
VARIABLE = Struct("<16sQQ")
IMAGE = Struct("<QQQQ")
BLOB = Struct("<QQ")
TABLE = Struct("<16sQ")
GPT_HEADER = Struct("<8sIIII4Q16sQIII")
GPT_SIGNATURE = b"EFI PART"
PARTITION = Struct("<16s16sQQQ72s")


def decode_variable(raw: bytes, *, slack: int = 0) -> Variable:
    """UEFI_VARIABLE_DATA; PFP 1.06, 10.2.6. `slack`: how many trailing bytes are let pass and kept.

    Raises:
        DecodeError: a length beyond what is there or over its limit, or more trailing bytes than `slack`.
    """
    reader = LittleReader(raw)
    vendor, name_length, data_length = reader.unpack(VARIABLE, "UEFI_VARIABLE_DATA")
    if name_length > MAX_NAME:
        raise DecodeError("UnicodeNameLength", 16, f"{name_length} is over the limit of {MAX_NAME}")
    name = utf16(reader.take(2 * name_length, "UnicodeName"), "UnicodeName")
    data = reader.take(data_length, "VariableData")
    trailing = _trailing(reader, slack, "UEFI_VARIABLE_DATA")
    return Variable(vendor=Guid(vendor), name=name, data=data, trailing=trailing)


def _trailing(reader: LittleReader, slack: int, what: str) -> bytes:
    if reader.remaining > slack:
        reader.finish(what)
    return reader.rest()


def decode_image_load(raw: bytes, *, slack: int = 0) -> ImageLoad:
    """UEFI_IMAGE_LOAD_EVENT; PFP 1.06, 10.2.3. `slack`: how many trailing bytes are let pass and kept.

    Raises:
        DecodeError: a malformed device path, a length beyond what is there, or more trailing bytes than `slack`.
    """
    reader = LittleReader(raw)
    location, length, link_address, path_length = reader.unpack(IMAGE, "UEFI_IMAGE_LOAD_EVENT")
    reader.take(path_length, "DevicePath")
    path = decode_device_path(raw, start=IMAGE.size, end=reader.offset)
    trailing = _trailing(reader, slack, "UEFI_IMAGE_LOAD_EVENT")
    return ImageLoad(location=location, length=length, link_address=link_address, path=path, trailing=trailing)


def decode_firmware_blob(raw: bytes) -> FirmwareBlob:
    """UEFI_PLATFORM_FIRMWARE_BLOB; PFP 1.06, 10.2.5.

    Raises:
        DecodeError: not exactly 16 bytes.
    """
    reader = LittleReader(raw)
    base, length = reader.unpack(BLOB, "UEFI_PLATFORM_FIRMWARE_BLOB")
    reader.finish("UEFI_PLATFORM_FIRMWARE_BLOB")
    return FirmwareBlob(base=base, length=length)


def decode_firmware_blob2(raw: bytes) -> FirmwareBlob:
    """UEFI_PLATFORM_FIRMWARE_BLOB2: the same after a description; PFP 1.06, 10.2.5.

    Raises:
        DecodeError: the sizes do not add up.
    """
    reader = LittleReader(raw)
    description = reader.take(reader.u8("BlobDescriptionSize"), "BlobDescription")
    base, length = reader.unpack(BLOB, "UEFI_PLATFORM_FIRMWARE_BLOB2")
    reader.finish("UEFI_PLATFORM_FIRMWARE_BLOB2")
    return FirmwareBlob(base=base, length=length, description=description)


def decode_handoff_tables(raw: bytes) -> HandoffTables:
    """UEFI_HANDOFF_TABLE_POINTERS; PFP 1.06, 10.2.2.

    Raises:
        DecodeError: the count does not fit what is there.
    """
    return _handoff_tables(LittleReader(raw), b"")


def decode_handoff_tables2(raw: bytes) -> HandoffTables:
    """UEFI_HANDOFF_TABLE_POINTERS2: the same after a description; PFP 1.06, 10.2.2.

    Raises:
        DecodeError: the sizes or the count do not fit what is there.
    """
    reader = LittleReader(raw)
    return _handoff_tables(reader, reader.take(reader.u8("TableDescriptionSize"), "TableDescription"))


def _handoff_tables(reader: LittleReader, description: bytes) -> HandoffTables:
    count = reader.u64("NumberOfTables")
    if count > MAX_TABLES:
        raise DecodeError("NumberOfTables", reader.offset - 8, f"{count} is over the limit of {MAX_TABLES}")
    body = reader.take(count * TABLE.size, "TableEntry")
    reader.finish("UEFI_HANDOFF_TABLE_POINTERS")
    tables = tuple(ConfigurationTable(Guid(vendor), address) for vendor, address in TABLE.iter_unpack(body))
    return HandoffTables(tables=tables, description=description)


def decode_partition_table(raw: bytes) -> PartitionTable:
    """UEFI_GPT_DATA: the GPT header, then the partitions in use; PFP 1.06, 10.2.4, UEFI 2.10, 5.3.

    Raises:
        DecodeError: no GPT signature, an entry size other than 128 times a power of two, or a count that does not fit.
    """
    reader = LittleReader(raw)
    fields = reader.unpack(GPT_HEADER, "EFI_PARTITION_TABLE_HEADER")
    signature, revision, _, _, _, _, _, first, last, disk, _, _, entry_size, _ = fields
    if signature != GPT_SIGNATURE:
        raise DecodeError("EFI_PARTITION_TABLE_HEADER", 0, f"{GPT_SIGNATURE!r} expected, found {signature!r}")
    if not PARTITION.size <= entry_size <= MAX_PARTITION_ENTRY or entry_size & (entry_size - 1):
        why = f"128 times a power of two expected, found {entry_size}"
        raise DecodeError("SizeOfPartitionEntry", reader.offset - 8, why)
    count = reader.u64("NumberOfPartitions")
    if count > MAX_PARTITIONS:
        raise DecodeError("NumberOfPartitions", reader.offset - 8, f"{count} is over the limit of {MAX_PARTITIONS}")
    partitions = tuple(_partition(reader, entry_size) for _ in range(count))
    reader.finish("UEFI_GPT_DATA")
    return PartitionTable(
        disk=Guid(disk),
        revision=revision,
        first_usable=first,
        last_usable=last,
        entry_size=entry_size,
        partitions=partitions,
    )


def _partition(reader: LittleReader, entry_size: int) -> GptPartition:
    kind, unique, first, last, attributes, name = reader.unpack(PARTITION, "EFI_PARTITION_ENTRY")
    reader.take(entry_size - PARTITION.size, "EFI_PARTITION_ENTRY")
    return GptPartition(
        kind=Guid(kind),
        unique=Guid(unique),
        first=first,
        last=last,
        attributes=attributes,
        name=utf16_padded(name),
    )


def decode_separator(raw: bytes) -> Separator:
    """EV_SEPARATOR: four bytes; PFP 1.06, 10.4.1.

    Raises:
        DecodeError: not exactly four bytes.
    """
    reader = LittleReader(raw)
    value = reader.u32("EV_SEPARATOR")
    reader.finish("EV_SEPARATOR")
    return Separator(value=value)
