"""Certificate extensions (RFC 5280, 4.2): those that decide about a path or name a TPM; all others only by identifier.

A critical extension that is not read here is listed, for verification to refuse.
"""

from dataclasses import dataclass

from bartizan.errors import DecodeError
from bartizan.formats.der import INTEGER, OCTET_STRING, SEQUENCE, Der, context
from bartizan.formats.x509_names import Attributes, directory_names, flatten

SUBJECT_DIRECTORY_ATTRIBUTES, SUBJECT_KEY_ID, KEY_USAGE = "2.5.29.9", "2.5.29.14", "2.5.29.15"
ALTERNATIVE_NAME, BASIC_CONSTRAINTS, POLICIES = "2.5.29.17", "2.5.29.19", "2.5.29.32"
AUTHORITY_KEY_ID, EXTENDED_KEY_USAGE = "2.5.29.35", "2.5.29.37"

KNOWN = frozenset(
    {
        SUBJECT_DIRECTORY_ATTRIBUTES,
        SUBJECT_KEY_ID,
        KEY_USAGE,
        ALTERNATIVE_NAME,
        BASIC_CONSTRAINTS,
        POLICIES,
        AUTHORITY_KEY_ID,
        EXTENDED_KEY_USAGE,
    }
)
"""Extensions that may be critical. Policies constrain nothing while any policy is acceptable (RFC 5280, 6.1.1 c)."""

USAGES = (
    "digitalSignature",
    "nonRepudiation",
    "keyEncipherment",
    "dataEncipherment",
    "keyAgreement",
    "keyCertSign",
    "cRLSign",
    "encipherOnly",
    "decipherOnly",
)
"""Names of the bits of keyUsage, the first bit first; RFC 5280, 4.2.1.3."""
MAX_EXTENSIONS = 64
"""Extensions of one certificate; real ones have under 20."""
MAX_PURPOSES = 64
"""Purposes in an extendedKeyUsage."""
MAX_PATH_LENGTH_OCTETS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Extensions:
    """What the extensions say; the defaults are those of a certificate without any."""

    is_ca: bool = False
    path_length: int | None = None
    key_usage: frozenset[str] | None = None
    extended_key_usage: tuple[str, ...] = ()
    subject_key_id: bytes | None = None
    authority_key_id: bytes | None = None
    alternative: Attributes = ()
    unknown_critical: tuple[str, ...] = ()


def decode_extensions(parent: Der) -> Extensions:
    """The next Extensions sequence.

    Raises:
        DecodeError: it is none, names an extension twice, or one that is read here is malformed.
    """
    listed = _listed(parent.enter(SEQUENCE, "extensions"))
    is_ca, path_length = _basic_constraints(_value(listed, BASIC_CONSTRAINTS))
    return Extensions(
        is_ca=is_ca,
        path_length=path_length,
        key_usage=_key_usage(_value(listed, KEY_USAGE)),
        extended_key_usage=_purposes(_value(listed, EXTENDED_KEY_USAGE)),
        subject_key_id=_subject_key_id(_value(listed, SUBJECT_KEY_ID)),
        authority_key_id=_authority_key_id(_value(listed, AUTHORITY_KEY_ID)),
        alternative=_alternative(_value(listed, ALTERNATIVE_NAME)),
        unknown_critical=tuple(oid for oid, (critical, _) in listed.items() if critical and oid not in KNOWN),
    )


def _listed(extensions: Der) -> dict[str, tuple[bool, Der]]:
    found: dict[str, tuple[bool, Der]] = {}
    while extensions.more:
        start = extensions.offset
        extension = extensions.enter(SEQUENCE, "extension")
        oid = extension.oid("extension.extnID")
        if oid in found:
            raise DecodeError("extension.extnID", start, f"extension {oid} stands there twice")
        if len(found) == MAX_EXTENSIONS:
            raise DecodeError("extensions", start, f"more than {MAX_EXTENSIONS} extensions")
        critical = extension.flag("extension.critical")
        found[oid] = critical, extension.enter(OCTET_STRING, "extension.extnValue")
        extension.finish("extension")
    return found


def _value(listed: dict[str, tuple[bool, Der]], oid: str) -> Der | None:
    return listed[oid][1] if oid in listed else None


def _basic_constraints(value: Der | None) -> tuple[bool, int | None]:
    if value is None:
        return False, None
    what = "basicConstraints"
    constraints = value.inside(what)
    is_ca = constraints.flag(what)
    length = constraints.optional(INTEGER, what)
    number = length.number(what, limit=MAX_PATH_LENGTH_OCTETS) if length is not None else None
    constraints.finish(what)
    if number is not None and number < 0:
        raise constraints.refuse(what, "a path length below zero")
    return is_ca, number


def _key_usage(value: Der | None) -> frozenset[str] | None:
    if value is None:
        return None
    octets, _ = value.bits("keyUsage")
    value.finish("keyUsage")
    bits = "".join(f"{octet:08b}" for octet in octets[:2])
    return frozenset(name for name, bit in zip(USAGES, bits, strict=False) if bit == "1")


def _purposes(value: Der | None) -> tuple[str, ...]:
    what = "extendedKeyUsage"
    purposes: list[str] = []
    listed = value.inside(what) if value is not None else None
    while listed is not None and listed.more:
        if len(purposes) == MAX_PURPOSES:
            raise listed.refuse(what, f"more than {MAX_PURPOSES} purposes")
        purposes.append(listed.oid(what))
    return tuple(purposes)


def _subject_key_id(value: Der | None) -> bytes | None:
    if value is None:
        return None
    identifier = value.octets("subjectKeyIdentifier").rest()
    value.finish("subjectKeyIdentifier")
    return identifier


def _authority_key_id(value: Der | None) -> bytes | None:
    if value is None:
        return None
    identifier = value.inside("authorityKeyIdentifier").optional(context(0, constructed=False), "keyIdentifier")
    return None if identifier is None else identifier.rest()


def _alternative(value: Der | None) -> Attributes:
    what = "subjectAltName"
    return () if value is None else flatten(directory_names(value.inside(what), what))
