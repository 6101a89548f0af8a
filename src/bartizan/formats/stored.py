"""Certificates as NV indices store them: after a TPM 1.2 header, before padding, several in a row. It opens none."""

from bartizan.errors import DecodeError
from bartizan.formats.der import INTEGER, LONG_FORM, SEQUENCE, Der, context
from bartizan.model.certificate import Repair

MAX_STORED = 1 << 16
"""Bytes of one certificate or NV chain; the largest known EK certificate has 2,100, one with ML-DSA-87 about 8,000."""
MAX_IN_A_ROW = 16
"""Certificates of one NV chain; on-die chains have four or five."""

STORED_CERT, FULL_CERT = 0x1001, 0x1002
"""TCG_TAG_PCCLIENT_STORED_CERT and …_FULL_CERT; TCG PC Client Implementation Specification 1.21, 7.4.4 and 7.4.5."""
FULL_CERT_TYPE = 0
HOLDER_FIELDS = frozenset(bytes([context(number)]) for number in range(3))
HEADER_TAG = STORED_CERT.to_bytes(2, "big")


def stored_certificates(raw: bytes) -> tuple[Der, ...]:
    """Each certificate as a window over its outer sequence; what stood around them is in the window's repairs.

    Raises:
        DecodeError: no sequence, more than one repeated byte after the last one, or a size over its limit.
    """
    if len(raw) > MAX_STORED:
        raise DecodeError("certificate", 0, f"{len(raw)} bytes are over the limit of {MAX_STORED}")
    reader = Der(raw)
    if reader.peek(2) == HEADER_TAG:
        _pass_header(reader)
    found = [reader.enter(SEQUENCE, "certificate")]
    while _another(reader):
        if len(found) == MAX_IN_A_ROW:
            raise reader.refuse("certificate", f"more than {MAX_IN_A_ROW} in a row")
        found.append(reader.enter(SEQUENCE, "certificate"))
    _pass_padding(reader)
    for certificate in found:
        certificate.repairs = list(reader.repairs)
    return tuple(found)


def is_stored(raw: bytes) -> bool:
    """The bytes begin as a stored certificate does, so that they are no PEM text."""
    return raw.startswith(HEADER_TAG) or _another(Der(raw[:2]))


def is_attribute_certificate(outer: Der) -> bool:
    """The signed part begins as AttributeCertificateInfo: a version, then a holder of tagged fields; RFC 5755, 4.1.

    Raises:
        DecodeError: there is no signed part.
    """
    ahead = Der(outer.peek_rest()).enter(SEQUENCE, "certificate")
    if ahead.peek(1) != bytes([INTEGER]):
        return False
    ahead.next("version")
    return ahead.more and ahead.next("holder").peek(1) in HOLDER_FIELDS


def _another(reader: Der) -> bool:
    """A sequence with a long length follows: no certificate is under 128 bytes, and no padding looks like it."""
    ahead = reader.peek(2)
    return ahead[:1] == bytes([SEQUENCE]) and ahead[1:] >= bytes([LONG_FORM])


def _pass_header(reader: Der) -> None:
    start = reader.offset
    reader.u16("TCG_PCCLIENT_STORED_CERT.tag")
    kind, size = reader.u8("certType"), reader.u16("certSize")
    tag = reader.u16("TCG_FULL_CERT.tag")
    if kind != FULL_CERT_TYPE or tag != FULL_CERT:
        raise DecodeError("TCG_PCCLIENT_STORED_CERT", start, f"a full certificate expected, found {kind}, 0x{tag:04x}")
    reader.note(Repair.STORED_HEADER)
    ahead = Der(reader.peek_rest())
    if size != 2 + len(ahead.next("certificate").raw):
        reader.note(Repair.STORED_SIZE)


def _pass_padding(reader: Der) -> None:
    start = reader.offset
    padding = reader.rest()
    if len(set(padding)) > 1:
        raise DecodeError("certificate", start, f"{len(padding)} bytes left over that are no padding")
    if padding:
        reader.note(Repair.PADDING)
