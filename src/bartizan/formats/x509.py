"""X.509 certificates (RFC 5280) in DER or PEM, also as real TPM vendors and NV indices deliver them.

Deviations from DER that lose nothing are read and listed in `Certificate.repairs`; `tbs` is always the exact signed
bytes. Nothing is verified here. Reading goes through `Der`: bounded, without recursion, total.
"""

import re
from dataclasses import asdict
from datetime import UTC, datetime

from bartizan.errors import DecodeError
from bartizan.formats.der import GENERALIZED_TIME, SEQUENCE, UTC_TIME, Der, context
from bartizan.formats.pem import pem_blocks
from bartizan.formats.stored import is_attribute_certificate, is_stored, stored_certificates
from bartizan.formats.x509_extensions import Extensions, decode_extensions
from bartizan.formats.x509_keys import SignatureAlgorithm, decode_key, decode_signature_algorithm
from bartizan.formats.x509_names import decode_name, tpm_model
from bartizan.model.certificate import Certificate, Repair

MAX_SERIAL = 64
"""Octets of a serial number that are read; RFC 5280, 4.1.2.2 allows 20."""
RFC_SERIAL_BITS = 8 * 20
VERSION_OCTETS = 1
V1, V3 = 0, 2
PEM_LABEL = "CERTIFICATE"

UTC_FORM = re.compile(rb"[0-9]{12}Z")
GENERALIZED_FORM = re.compile(rb"[0-9]{14}Z")
CENTURY_TURN = 50
"""Two-digit years from here on are of the twentieth century; RFC 5280, 4.1.2.5.1."""


def decode_certificate(raw: bytes) -> Certificate:
    """One certificate in DER, also after a TPM 1.2 storage header or before padding of one repeated byte.

    Raises:
        DecodeError: anything else.
    """
    found = stored_certificates(raw)
    if len(found) > 1:
        raise DecodeError("certificate", len(found[0].raw), f"one certificate expected, found {len(found)}")
    return _certificate(found[0])


def decode_certificates(raw: bytes) -> tuple[Certificate, ...]:
    """The certificates of a PEM file (other blocks are passed over), or of DER, several in a row as in an NV chain.

    Raises:
        DecodeError: none is there, or one of them cannot be read.
    """
    if is_stored(raw):
        return tuple(_certificate(window) for window in stored_certificates(raw))
    blocks = pem_blocks(raw)
    if all(block.label != PEM_LABEL for block in blocks):
        found = ", ".join(sorted({block.label for block in blocks})) or "none"
        raise DecodeError("certificate", 0, f"DER or a PEM block CERTIFICATE expected, found blocks: {found}")
    return tuple(decode_certificate(block.decode()) for block in blocks if block.label == PEM_LABEL)


def _certificate(outer: Der) -> Certificate:
    """Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm, signatureValue }; RFC 5280, 4.1.1."""
    if is_attribute_certificate(outer):
        raise outer.refuse("certificate", "a public-key certificate expected, found an attribute certificate")
    tbs = outer.enter(SEQUENCE, "tbsCertificate")
    signed = tbs.raw
    algorithm = decode_signature_algorithm(outer, "signatureAlgorithm")
    signature = outer.octet_bits("signatureValue").rest()
    outer.finish("certificate")
    return _signed_part(tbs, raw=outer.raw, signed=signed, algorithm=algorithm, signature=signature)


def _signed_part(
    tbs: Der, *, raw: bytes, signed: bytes, algorithm: SignatureAlgorithm, signature: bytes
) -> Certificate:
    """TBSCertificate; RFC 5280, 4.1.2."""
    version = _version(tbs)
    serial = decode_serial(tbs)
    check_same_algorithm(tbs, algorithm)
    issuer, issuer_text = decode_name(tbs, "issuer")
    not_before, not_after = _validity(tbs.enter(SEQUENCE, "validity"))
    subject, subject_text = decode_name(tbs, "subject")
    key = decode_key(tbs)
    extensions = _tail(tbs, version)
    return Certificate(
        raw=raw,
        tbs=signed,
        signature=signature,
        signature_oid=algorithm.oid,
        signature_hash=algorithm.hash,
        pss_salt=algorithm.salt,
        serial=serial,
        subject=subject,
        subject_text=subject_text,
        issuer=issuer,
        issuer_text=issuer_text,
        not_before=not_before,
        not_after=not_after,
        key=key,
        tpm=tpm_model(extensions.alternative),
        repairs=tuple(tbs.repairs),
        **asdict(extensions),
    )


def _version(tbs: Der) -> int:
    field = tbs.optional(context(0), "version")
    if field is None:
        return V1
    version = field.integer("version", limit=VERSION_OCTETS)
    field.finish("version")
    if not V1 <= version <= V3:
        raise field.refuse("version", f"version 1 to 3 expected, found {version + 1}")
    if version == V1:
        tbs.note(Repair.SPELLED_DEFAULT)
    return version


def decode_serial(tbs: Der) -> int:
    """The next CertificateSerialNumber, whatever its sign; RFC 5280, 4.1.2.2.

    Raises:
        DecodeError: it has no octet, or more than `MAX_SERIAL`.
    """
    serial = tbs.integer("serialNumber", limit=MAX_SERIAL)
    if serial <= 0:
        tbs.note(Repair.SERIAL_SIGN)
    if serial.bit_length() >= RFC_SERIAL_BITS:
        tbs.note(Repair.LONG_SERIAL)
    return serial


def check_same_algorithm(tbs: Der, outer: SignatureAlgorithm) -> None:
    """The next AlgorithmIdentifier is the one that stands beside the signature; RFC 5280, 4.1.1.2.

    Raises:
        DecodeError: it is another.
    """
    start = tbs.offset
    inner = decode_signature_algorithm(tbs, "signature")
    if (inner.oid, inner.hash, inner.salt) != (outer.oid, outer.hash, outer.salt):
        raise DecodeError("signature", start, f"{outer.oid} as beside the signature expected, found {inner.oid}")
    if inner.raw != outer.raw:
        tbs.note(Repair.PARAMETERS)


def _validity(validity: Der) -> tuple[datetime, datetime]:
    times = decode_time(validity, "notBefore"), decode_time(validity, "notAfter")
    validity.finish("validity")
    return times


def decode_time(parent: Der, what: str) -> datetime:
    """The next UTCTime or GeneralizedTime, in UTC to the second; RFC 5280, 4.1.2.5.

    Raises:
        DecodeError: another form, or a date that does not exist.
    """
    field = parent.next(what)
    start, content = field.offset, field.peek_rest()
    if field.tag == UTC_TIME and UTC_FORM.fullmatch(content):
        digits = (b"19" if int(content[:2]) >= CENTURY_TURN else b"20") + content
    elif field.tag == GENERALIZED_TIME and GENERALIZED_FORM.fullmatch(content):
        digits = content
    else:
        raise DecodeError(what, start, f"a time to the second in UTC expected, found {content[:20]!a}")
    try:
        return datetime.strptime(digits.decode("ascii"), "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise DecodeError(what, start, f"no such date: {content[:20]!a}") from error


def _tail(tbs: Der, version: int) -> Extensions:
    """The unique identifiers, which nobody uses, and the extensions; RFC 5280, 4.1.2.8 and 4.1.2.9."""
    for number in (1, 2):
        tbs.optional(context(number, constructed=False), "uniqueIdentifier")
    field = tbs.optional(context(3), "extensions")
    tbs.finish("tbsCertificate")
    if field is None:
        return Extensions()
    if version != V3:
        raise field.refuse("extensions", f"only version 3 has extensions, found version {version + 1}")
    extensions = decode_extensions(field)
    field.finish("extensions")
    return extensions
