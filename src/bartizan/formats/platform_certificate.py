"""TCG platform certificates: attribute certificates (RFC 5755) and public-key certificates of the same purpose.

It reads who holds one, who made it and which machine it names (TCG Platform Certificate Profile 1.1 and 2.0). The list
of components and the security assertions are passed over; nothing is verified.
"""

from bartizan.errors import DecodeError
from bartizan.formats.der import BIT_STRING, SEQUENCE, SET, Der, context
from bartizan.formats.pem import pem_blocks
from bartizan.formats.stored import is_attribute_certificate, is_stored, stored_certificates
from bartizan.formats.x509 import check_same_algorithm, decode_certificate, decode_serial, decode_time
from bartizan.formats.x509_extensions import Extensions, decode_extensions
from bartizan.formats.x509_keys import SignatureAlgorithm, decode_signature_algorithm
from bartizan.formats.x509_names import Attributes, directory_names, name_text
from bartizan.model.certificate import Certificate
from bartizan.model.platform import Holder, PlatformCertificate, PlatformForm, PlatformKind

PEM_LABELS = frozenset({"ATTRIBUTE CERTIFICATE", "CERTIFICATE"})
VERSION_2 = 1
MAX_ATTRIBUTES = 64
"""Attributes of one attribute certificate; the profile defines seven."""

CREDENTIAL_TYPE = "2.23.133.2.25"
KINDS = {
    "2.23.133.8.2": PlatformKind.BASE,
    "2.23.133.8.4": PlatformKind.BASE,
    "2.23.133.8.5": PlatformKind.DELTA,
    "2.23.133.8.6": PlatformKind.DELTA,
    "2.23.133.8.7": PlatformKind.ADDITIONAL,
    "2.23.133.8.8": PlatformKind.ADDITIONAL,
}
"""Credential types and extended key purposes; TCG OID Registry, 2.23.133.8."""
TEXTS = {
    "manufacturer": ("2.23.133.5.1.1", "2.23.133.2.4"),
    "model": ("2.23.133.5.1.4", "2.23.133.2.5"),
    "version": ("2.23.133.5.1.5", "2.23.133.2.6"),
    "platform_serial": ("2.23.133.5.1.6",),
}
"""Attributes of the subjectAltName, the profile's own before those of the TPM 1.2 credential profile."""


def decode_platform_certificate(raw: bytes) -> PlatformCertificate:
    """One platform certificate, in DER (also with what an NV index puts around it) or as a PEM file of one block.

    Raises:
        DecodeError: anything else.
    """
    der = raw if is_stored(raw) else _only_block(raw)
    found = stored_certificates(der)
    if len(found) > 1:
        raise DecodeError("platform certificate", len(found[0].raw), f"one expected, found {len(found)}")
    if is_attribute_certificate(found[0]):
        return _attribute_certificate(found[0])
    return _public_key_certificate(decode_certificate(der))


def _only_block(raw: bytes) -> bytes:
    blocks = [block for block in pem_blocks(raw) if block.label in PEM_LABELS]
    if len(blocks) != 1:
        raise DecodeError("platform certificate", 0, f"DER or one PEM certificate expected, found {len(blocks)} blocks")
    return blocks[0].decode()


def _public_key_certificate(certificate: Certificate) -> PlatformCertificate:
    """The profile's public-key form: the purpose says what it is, the key is the EK's."""
    kinds = [KINDS[purpose] for purpose in certificate.extended_key_usage if purpose in KINDS]
    if not kinds:
        raise DecodeError("platform certificate", 0, "its extended key usage names no platform certificate")
    return PlatformCertificate(
        raw=certificate.raw,
        tbs=certificate.tbs,
        signature=certificate.signature,
        signature_oid=certificate.signature_oid,
        signature_hash=certificate.signature_hash,
        pss_salt=certificate.pss_salt,
        form=PlatformForm.PUBLIC_KEY,
        kind=kinds[0],
        holder=None,
        key=certificate.key,
        issuer=certificate.issuer,
        issuer_text=certificate.issuer_text,
        serial=certificate.serial,
        not_before=certificate.not_before,
        not_after=certificate.not_after,
        authority_key_id=certificate.authority_key_id,
        unknown_critical=certificate.unknown_critical,
        repairs=certificate.repairs,
        **_texts(certificate.alternative),
    )


def _texts(alternative: Attributes) -> dict[str, str]:
    stated = dict(reversed(alternative))
    return {field: next((stated[oid] for oid in oids if oid in stated), "") for field, oids in TEXTS.items()}


def _attribute_certificate(outer: Der) -> PlatformCertificate:
    """AttributeCertificate ::= SEQUENCE { acinfo, signatureAlgorithm, signatureValue }; RFC 5755, 4.1."""
    info = outer.enter(SEQUENCE, "acinfo")
    signed = info.raw
    algorithm = decode_signature_algorithm(outer, "signatureAlgorithm")
    signature = outer.octet_bits("signatureValue").rest()
    outer.finish("attribute certificate")
    return _info(info, raw=outer.raw, signed=signed, algorithm=algorithm, signature=signature)


def _info(
    info: Der, *, raw: bytes, signed: bytes, algorithm: SignatureAlgorithm, signature: bytes
) -> PlatformCertificate:
    """AttributeCertificateInfo; RFC 5755, 4.1."""
    start = info.offset
    if info.integer("version") != VERSION_2:
        raise DecodeError("version", start, "an attribute certificate of version 2 expected")
    holder = _holder(info.enter(SEQUENCE, "holder"))
    issuer, issuer_text = _issuer(info)
    check_same_algorithm(info, algorithm)
    serial = decode_serial(info)
    validity = info.enter(SEQUENCE, "attrCertValidityPeriod")
    not_before, not_after = decode_time(validity, "notBeforeTime"), decode_time(validity, "notAfterTime")
    validity.finish("attrCertValidityPeriod")
    kind = _kind(info.enter(SEQUENCE, "attributes"))
    extensions = _extensions(info)
    return PlatformCertificate(
        raw=raw,
        tbs=signed,
        signature=signature,
        signature_oid=algorithm.oid,
        signature_hash=algorithm.hash,
        pss_salt=algorithm.salt,
        form=PlatformForm.ATTRIBUTE,
        kind=kind,
        holder=holder,
        key=None,
        issuer=issuer,
        issuer_text=issuer_text,
        serial=serial,
        not_before=not_before,
        not_after=not_after,
        authority_key_id=extensions.authority_key_id,
        unknown_critical=extensions.unknown_critical,
        repairs=tuple(info.repairs),
        **_texts(extensions.alternative),
    )


def _holder(holder: Der) -> Holder | None:
    """Holder; only baseCertificateID, which the profile demands, says which certificate. RFC 5755, 4.2.2."""
    base = holder.optional(context(0), "baseCertificateID")
    for number in (1, 2):
        holder.optional(context(number), "holder")
    holder.finish("holder")
    if base is None:
        return None
    issuer, text = _one_name(base.enter(SEQUENCE, "holder.issuer"), "holder.issuer")
    serial = decode_serial(base)
    if base.more:
        base.next("holder.issuerUID")
    base.finish("holder")
    return Holder(issuer=issuer, issuer_text=text, serial=serial)


def _issuer(info: Der) -> tuple[bytes, str]:
    """AttCertIssuer: v2Form with an issuerName, or the older bare GeneralNames; RFC 5755, 4.2.3."""
    form = info.optional(context(0), "issuer")
    names = info.enter(SEQUENCE, "issuer") if form is None else form.enter(SEQUENCE, "issuer.issuerName")
    return _one_name(names, "issuer")


def _one_name(names: Der, what: str) -> tuple[bytes, str]:
    start = names.offset
    found = directory_names(names, what)
    if len(found) != 1:
        raise DecodeError(what, start, f"one directory name expected, found {len(found)}")
    raw, parts = found[0]
    return raw, name_text(parts)


def _kind(attributes: Der) -> PlatformKind:
    """The credential type; the profile's first version has none and knows base certificates only."""
    kind, seen = PlatformKind.BASE, 0
    while attributes.more:
        seen += 1
        if seen > MAX_ATTRIBUTES:
            raise attributes.refuse("attributes", f"more than {MAX_ATTRIBUTES} attributes")
        attribute = attributes.enter(SEQUENCE, "attribute")
        oid, values = attribute.oid("attribute.type"), attribute.enter(SET, "attribute.values")
        attribute.finish("attribute")
        if oid == CREDENTIAL_TYPE:
            stated = values.enter(SEQUENCE, "tcgCredentialType").oid("certificateType")
            kind = KINDS.get(stated, PlatformKind.UNKNOWN)
    return kind


def _extensions(info: Der) -> Extensions:
    """issuerUniqueID, which nobody uses, and the extensions."""
    info.optional(BIT_STRING, "issuerUniqueID")
    extensions = decode_extensions(info) if info.more else Extensions()
    info.finish("acinfo")
    return extensions
