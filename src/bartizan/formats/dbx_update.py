"""Signed updates of PK, KEK, db and dbx as published: what they would add. Their signature is not verified here.

EFI_VARIABLE_AUTHENTICATION_2 and signature lists; UEFI 2.10, 8.2.2 and 32.4.1.
"""

from struct import Struct

from bartizan.errors import DecodeError
from bartizan.formats.reader import LittleReader
from bartizan.formats.signature_list import decode_signature_lists
from bartizan.model.uefi import EfiTime, SignedUpdate, guid

MAX_UPDATE = 1024 * 1024
"""Bytes; a firmware variable holds at most 64 KB as a rule, the largest dbx update published has 25."""
MAX_PKCS7 = 64 * 1024
"""Bytes of the signature; about 3,300 in Microsoft's updates."""
EFI_TIME = Struct("<HBBBBBxIhBx")
CERTIFICATE = Struct("<IHH16s")
WIN_CERT_REVISION = 0x0200
WIN_CERT_TYPE_EFI_GUID = 0x0EF1
CERT_TYPE_PKCS7 = guid("4aafd29d-68df-49ee-8aa9-347d375665a7")


def decode_signed_update(raw: bytes) -> SignedUpdate:
    """A signed update of a signature database.

    Raises:
        DecodeError: a header other than a PKCS #7 one, a size that does not fit, or malformed signature lists.
    """
    if len(raw) > MAX_UPDATE:
        raise DecodeError("EFI_VARIABLE_AUTHENTICATION_2", 0, f"{len(raw)} bytes are over the limit of {MAX_UPDATE}")
    reader = LittleReader(raw)
    timestamp = _time(reader)
    start = reader.offset
    length, revision, kind, cert_type = reader.unpack(CERTIFICATE, "WIN_CERTIFICATE_UEFI_GUID")
    if (revision, kind, cert_type) != (WIN_CERT_REVISION, WIN_CERT_TYPE_EFI_GUID, CERT_TYPE_PKCS7):
        why = f"PKCS #7 expected, found revision 0x{revision:04x}, type 0x{kind:04x}, {cert_type.hex()}"
        raise DecodeError("WIN_CERTIFICATE_UEFI_GUID", start + 4, why)
    size = length - CERTIFICATE.size
    if not 0 < size <= MAX_PKCS7:
        raise DecodeError("dwLength", start, f"up to {MAX_PKCS7} bytes of signature expected, found {size}")
    pkcs7 = reader.take(size, "CertData")
    return SignedUpdate(timestamp=timestamp, pkcs7=pkcs7, lists=decode_signature_lists(raw, start=reader.offset))


def _time(reader: LittleReader) -> EfiTime:
    start = reader.offset
    year, month, day, hour, minute, second, nanosecond, zone, daylight = reader.unpack(EFI_TIME, "TimeStamp")
    if nanosecond or zone or daylight:
        raise DecodeError("TimeStamp", start, "nanosecond, time zone and daylight must be 0; UEFI 2.10, 8.2.2")
    return EfiTime(year=year, month=month, day=day, hour=hour, minute=minute, second=second)
