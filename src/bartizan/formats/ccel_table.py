"""The ACPI table CCEL: where a confidential machine's firmware left its event log. The log itself is another file.

UEFI 2.10, 38.2.1; the header is ACPI 6.5, 5.2.6 (System Description Table Header).
"""

from struct import Struct

from bartizan.errors import DecodeError
from bartizan.formats.reader import LittleReader
from bartizan.model.tdx import CcelTable

SIGNATURE = b"CCEL"
TABLE_SIZE = 56
"""36 bytes of header and 20 of its own; UEFI 2.10, 38.2.1."""
REVISION = 1
HEADER = Struct("<4sIBB6s8sI4sI")
"""Signature, length, revision, checksum, OEM id, OEM table id, OEM revision, creator id, creator revision."""
BODY = Struct("<BBHQQ")
"""CC type, CC subtype, reserved, log area minimum length (bytes), log area start address."""


def decode_ccel_table(raw: bytes) -> CcelTable:
    """One CCEL table as the firmware hands it to the system.

    Raises:
        DecodeError: another signature, length or revision, a checksum that does not fit, or no place for a log.
    """
    reader = LittleReader(raw)
    signature, length, revision, _, oem_id, _, _, _, _ = reader.unpack(HEADER, "ACPI table header")
    if signature != SIGNATURE:
        raise DecodeError("ACPI table signature", 0, f"{SIGNATURE!r} expected, found {signature!r}")
    if length != TABLE_SIZE:
        raise DecodeError("ACPI table length", 4, f"{TABLE_SIZE} bytes expected, found {length}")
    if revision != REVISION:
        raise DecodeError("ACPI table revision", 8, f"{REVISION} expected, found {revision}")
    cc_type, cc_subtype, _, size, address = reader.unpack(BODY, "CCEL table")
    reader.finish("CCEL table")
    if sum(raw) % 256:
        raise DecodeError("ACPI table checksum", 9, f"all bytes must add up to 0 modulo 256, found {sum(raw) % 256}")
    if not size or not address:
        raise DecodeError("CCEL table", HEADER.size, f"no log: {size} bytes at address 0x{address:x}")
    return CcelTable(
        revision=revision,
        oem_id=oem_id,
        cc_type=cc_type,
        cc_subtype=cc_subtype,
        log_size=size,
        log_address=address,
    )
