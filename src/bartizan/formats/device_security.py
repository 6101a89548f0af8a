"""EV_EFI_SPDM_FIRMWARE_BLOB and _CONFIG: what a device measured of itself over SPDM; TCG PFP 1.06, 10.2.7.

The device, its path and whether it was authenticated; SPDM's own structures are kept as bytes.
"""

from struct import Struct

from bartizan.errors import DecodeError
from bartizan.formats.device_path import decode_device_path
from bartizan.formats.reader import LittleReader
from bartizan.model.event_data import DeviceSecurity

SIGNATURE_1 = b"SPDM Device Sec\0"
SIGNATURE_2 = b"SPDM Device Sec2"
HEADER_1 = Struct("<HHII")
MEASUREMENT = Struct("<BBH")
HEADER_2 = Struct("<HBBIIIIQ")


def decode_device_security(raw: bytes) -> DeviceSecurity:
    """DEVICE_SECURITY_EVENT_DATA or DEVICE_SECURITY_EVENT_DATA2; `data` is all but header and path.

    Raises:
        DecodeError: another signature, a size beyond what is there, or a malformed device path.
    """
    reader = LittleReader(raw)
    signature = reader.take(len(SIGNATURE_1), "signature")
    if signature not in (SIGNATURE_1, SIGNATURE_2):
        raise DecodeError("DEVICE_SECURITY_EVENT_DATA", 0, f"{SIGNATURE_1!r} or {SIGNATURE_2!r} expected")
    version = 1 if signature == SIGNATURE_1 else 2
    device_type, authentication, block = _header_1(reader) if version == 1 else _header_2(reader)
    size = reader.u64("DevicePathLength")
    start = reader.offset
    reader.take(size, "DevicePath")
    path = decode_device_path(raw, start=start, end=reader.offset)
    return DeviceSecurity(
        version=version,
        device_type=device_type,
        authentication=authentication,
        path=path,
        data=block + reader.rest(),
    )


def _header_1(reader: LittleReader) -> tuple[int, int | None, bytes]:
    _, _, _, device_type = reader.unpack(HEADER_1, "DEVICE_SECURITY_EVENT_DATA_HEADER")
    head = reader.peek(MEASUREMENT.size)
    _, _, size = reader.unpack(MEASUREMENT, "SPDM_MEASUREMENT_BLOCK")
    return device_type, None, head + reader.take(size, "SPDM_MEASUREMENT_BLOCK")


def _header_2(reader: LittleReader) -> tuple[int, int | None, bytes]:
    fields = reader.unpack(HEADER_2, "DEVICE_SECURITY_EVENT_DATA_HEADER2")
    _, authentication, _, _, device_type, _, _, _ = fields
    return device_type, authentication, b""
