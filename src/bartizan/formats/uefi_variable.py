"""What a measured UEFI variable's bytes mean, by vendor and name; UEFI 2.10, 3.3 and 32. Nothing is judged.

The event's type takes no part in it: it is a mere label. A security database may come as a whole (signature lists)
or as the one entry that let an image run, and the bytes themselves tell which.
"""

import re
from collections.abc import Callable
from struct import Struct

from bartizan.errors import DecodeError
from bartizan.formats.device_path import read_device_path
from bartizan.formats.reader import LittleReader
from bartizan.formats.sbat import decode_sbat
from bartizan.formats.signature_list import decode_authority, decode_signature_lists
from bartizan.formats.texts import utf16_terminated
from bartizan.model.uefi import (
    EFI_GLOBAL,
    IMAGE_SECURITY,
    SHIM_LOCK,
    Absent,
    Authority,
    BootOrder,
    DevicePath,
    Flag,
    LoadOption,
    Opaque,
    SignatureDatabase,
    Variable,
    VariableValue,
)

MAX_DESCRIPTION = 4096
"""Bytes of a boot option's name; about 200 are the longest seen."""
MAX_PATHS = 64
"""Device paths of one boot option; two are the most seen."""
LOAD_OPTION = Struct("<IH")
LOAD_OPTION_NAME = re.compile(r"(?:Boot|Driver|SysPrep|OsRecovery|PlatformRecovery)[0-9A-Fa-f]{4}")
U16 = Struct("<H")


def decode_flag(raw: bytes) -> Flag:
    """A variable of one byte, such as SecureBoot or shim's MokListTrusted.

    Raises:
        DecodeError: not exactly one byte.
    """
    reader = LittleReader(raw)
    value = reader.u8("flag")
    reader.finish("flag")
    return Flag(value=value)


def decode_boot_order(raw: bytes) -> BootOrder:
    """BootOrder, DriverOrder or SysPrepOrder: 16-bit numbers.

    Raises:
        DecodeError: an odd number of bytes.
    """
    if len(raw) % U16.size:
        raise DecodeError("BootOrder", 0, f"pairs of bytes expected, found {len(raw)}")
    return BootOrder(order=tuple(number for (number,) in U16.iter_unpack(raw)))


def decode_load_option(raw: bytes) -> LoadOption:
    """EFI_LOAD_OPTION; UEFI 2.10, 3.1.3.

    Raises:
        DecodeError: a description without end, or device paths that do not fill their length exactly.
    """
    reader = LittleReader(raw)
    attributes, paths_length = reader.unpack(LOAD_OPTION, "EFI_LOAD_OPTION")
    description = utf16_terminated(reader, "Description", limit=MAX_DESCRIPTION)
    start = reader.offset
    reader.take(paths_length, "FilePathList")
    paths = _paths(LittleReader(raw, start=start, end=reader.offset))
    return LoadOption(attributes=attributes, description=description, paths=paths, optional_data=reader.rest())


def _paths(reader: LittleReader) -> tuple[DevicePath, ...]:
    paths: list[DevicePath] = []
    while reader.remaining:
        if len(paths) == MAX_PATHS:
            raise reader.refuse("FilePathList", f"more than {MAX_PATHS} device paths")
        paths.append(read_device_path(reader))
    return tuple(paths)


def decode_database(raw: bytes) -> SignatureDatabase | Authority:
    """A whole security database, or else the one entry of it that let an image run.

    Raises:
        DecodeError: neither; the reason is that for signature lists.
    """
    try:
        return SignatureDatabase(lists=decode_signature_lists(raw))
    except DecodeError as not_lists:
        try:
            return decode_authority(raw)
        except DecodeError:
            raise not_lists from None


def decode_shim_variable(raw: bytes) -> Flag | Authority:
    """Shim's one-byte switches (MokSBState, MokListTrusted, …) and the keys it accepted (MokListRT, Shim, …).

    Raises:
        DecodeError: neither one byte nor a certificate or digest.
    """
    return decode_flag(raw) if len(raw) == 1 else decode_authority(raw)


FLAGS = frozenset({"SecureBoot", "SetupMode", "AuditMode", "DeployedMode", "VendorKeys"})
ORDERS = frozenset({"BootOrder", "DriverOrder", "SysPrepOrder"})
DATABASES = frozenset({"PK", "KEK", "PKDefault", "KEKDefault", "dbDefault", "dbxDefault"})


def decode_variable_value(variable: Variable) -> VariableValue:
    """What the variable holds; `Opaque` for a variable without a decoder here.

    Raises:
        DecodeError: its bytes are not what a variable of that name holds.
    """
    decoder = _decoder(variable)
    if decoder is None:
        return Opaque(reason="no decoder for this variable", data=variable.data)
    if not variable.data and decoder is not decode_database:
        return Absent()
    return decoder(variable.data)


def _decoder(variable: Variable) -> Callable[[bytes], VariableValue] | None:
    if variable.vendor == EFI_GLOBAL:
        return _global_decoder(variable.name)
    if variable.vendor == IMAGE_SECURITY:
        return decode_database
    if variable.vendor == SHIM_LOCK:
        return decode_sbat if variable.name == "SbatLevel" else decode_shim_variable
    return None


def _global_decoder(name: str) -> Callable[[bytes], VariableValue] | None:
    if name in FLAGS:
        return decode_flag
    if name in ORDERS:
        return decode_boot_order
    if name in DATABASES:
        return decode_database
    return decode_load_option if LOAD_OPTION_NAME.fullmatch(name) else None
