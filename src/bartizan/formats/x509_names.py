"""Distinguished and general names (RFC 5280, 4.1.2.4 and 4.2.1.6) as text for people; names are not compared here.

Text is made inert as it is decoded, since it is only ever shown; values are cut.
"""

from bartizan.formats.der import SEQUENCE, SET, Der, context
from bartizan.formats.inert import inert
from bartizan.model.certificate import Repair, TpmModel

Attributes = tuple[tuple[str, str], ...]
"""Object identifier and printable text of each attribute, in order."""

MAX_ATTRIBUTES = 64
"""Attributes of one name, and names of one list; real ones have under 12."""
MAX_TEXT = 256
"""Characters of a value that are kept; RFC 5280 allows 64 in most attributes, one vendor uses 84."""

DIRECTORY_NAME = context(4)
TPM_MANUFACTURER, TPM_MODEL, TPM_VERSION = "2.23.133.2.1", "2.23.133.2.2", "2.23.133.2.3"
"""TCG EK Credential Profile 2.5, 3.1.2."""

LABELS = {
    "2.5.4.3": "CN",
    "2.5.4.4": "SN",
    "2.5.4.5": "serialNumber",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.9": "street",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "2.5.4.12": "title",
    "0.9.2342.19200300.100.1.25": "DC",
    "1.2.840.113549.1.9.1": "emailAddress",
}
ENCODINGS = {
    0x0C: "utf-8",
    0x12: "ascii",
    0x13: "ascii",
    0x14: "latin-1",
    0x16: "ascii",
    0x1A: "ascii",
    0x1C: "utf-32-be",
    0x1E: "utf-16-be",
}
"""Tag of a string type to its encoding; X.680, table 1."""
SPECIAL = str.maketrans({char: f"\\{char}" for char in ',+"<>;='})
"""Characters that RFC 4514, 2.4 escapes, but for the backslash: `inert` leaves those of its own escapes."""


def value_text(value: Der) -> str:
    """An attribute value: its characters, or `#` and hexadecimal digits where it is no string of a known type."""
    encoding = ENCODINGS.get(value.tag)
    content = value.peek_rest()
    if encoding is not None:
        try:
            return inert(content.decode(encoding), limit=MAX_TEXT)
        except UnicodeDecodeError:
            pass
    return inert(f"#{value.raw.hex()}", limit=MAX_TEXT)


def name_parts(name: Der, what: str) -> tuple[Attributes, ...]:
    """The relative names of a Name, each with its attributes.

    Raises:
        DecodeError: it is no sequence of filled sets of attributes, or has more than `MAX_ATTRIBUTES` of them.
    """
    parts: list[Attributes] = []
    seen = 0
    while name.more:
        relative = name.enter(SET, what)
        if relative.remaining == 0:
            raise relative.refuse(what, "a part without an attribute")
        part: list[tuple[str, str]] = []
        before = b""
        while relative.more:
            seen += 1
            if seen > MAX_ATTRIBUTES:
                raise relative.refuse(what, f"more than {MAX_ATTRIBUTES} attributes")
            pair = relative.enter(SEQUENCE, what)
            if pair.raw < before:
                relative.note(Repair.SET_ORDER)
            before = pair.raw
            oid = pair.oid(what)
            part.append((oid, value_text(pair.inside(what))))
        parts.append(tuple(part))
    return tuple(parts)


def name_text(parts: tuple[Attributes, ...]) -> str:
    """A name for people, in the order of its bytes: `C=TW, O=…, CN=…`; attributes of one part are joined by `+`."""
    return ", ".join(
        "+".join(f"{LABELS.get(oid, oid)}={value.translate(SPECIAL)}" for oid, value in part) for part in parts
    )


def decode_name(parent: Der, what: str) -> tuple[bytes, str]:
    """The next Name: its exact bytes and its text.

    Raises:
        DecodeError: it is no Name.
    """
    name = parent.enter(SEQUENCE, what)
    raw = name.raw
    return raw, name_text(name_parts(name, what))


def directory_names(names: Der, what: str) -> tuple[tuple[bytes, tuple[Attributes, ...]], ...]:
    """The directory names of a GeneralNames window, each as bytes and parts; other kinds are passed over.

    Raises:
        DecodeError: a directory name that is no Name, or more than `MAX_ATTRIBUTES` names.
    """
    found: list[tuple[bytes, tuple[Attributes, ...]]] = []
    seen = 0
    while names.more:
        seen += 1
        if seen > MAX_ATTRIBUTES:
            raise names.refuse(what, f"more than {MAX_ATTRIBUTES} names")
        general = names.next(what)
        if general.tag == DIRECTORY_NAME:
            name = general.inside(what)
            found.append((name.raw, name_parts(name, what)))
    return tuple(found)


def flatten(names: tuple[tuple[bytes, tuple[Attributes, ...]], ...]) -> Attributes:
    """All attributes of some directory names in one row: vendors group them differently."""
    return tuple(pair for _, parts in names for part in parts for pair in part)


def tpm_model(attributes: Attributes) -> TpmModel | None:
    """The TPM that a subjectAltName's attributes describe; the first value of each counts."""
    first = dict(reversed(attributes))
    if not first.keys() & {TPM_MANUFACTURER, TPM_MODEL, TPM_VERSION}:
        return None
    return TpmModel(
        manufacturer=first.get(TPM_MANUFACTURER, ""),
        model=first.get(TPM_MODEL, ""),
        version=first.get(TPM_VERSION, ""),
    )
