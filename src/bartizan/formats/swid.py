"""SWID tags (ISO/IEC 19770-2:2015) and the TCG's RIMs in that form: what software or firmware, which files, by hash.

TCG Reference Integrity Manifest Information Model 1.01, 3; PC Client RIM 1.04, 3. A signature in it is not verified.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bartizan.errors import DecodeError
from bartizan.formats.strict import decimal, hex_bytes
from bartizan.formats.xml_signature import DSIG
from bartizan.formats.xml_tree import decode_xml
from bartizan.model.cbor import Key
from bartizan.model.corim import ManifestDigest, Organisation, Software, SoftwareFile, TagIdentity
from bartizan.model.xml import XmlElement

ISO = "http://standards.iso.org/iso/19770/-2/2015/schema.xsd"
NAMESPACES = (ISO, "")
"""Some writers leave a payload's elements without a namespace."""
PC_CLIENT = "PC Client RIM"
"""bindingSpec of a base RIM whose payload is event logs (support RIMs); PC Client RIM 1.04, 3.3."""
TCG = "trustedcomputinggroup.org"
HASHES: Mapping[str, str] = {
    "http://www.w3.org/2001/04/xmlenc#sha256": "sha-256",
    "http://www.w3.org/2001/04/xmldsig-more#sha384": "sha-384",
    "http://www.w3.org/2001/04/xmlenc#sha512": "sha-512",
}
"""Namespace of a hash attribute to the algorithm's name; ISO/IEC 19770-2, 8.5.5."""
DIGITS: Mapping[str, int] = {"sha-256": 64, "sha-384": 96, "sha-512": 128}
MAX_FILES = 50_000
BOOLEANS: Mapping[str, bool] = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class SwidTag:
    """A SWID tag; `rim` are the TCG's attributes by local name, in lower case; `root` is the whole document."""

    software: Software
    rim: Mapping[str, str]
    root: XmlElement
    signed: bool

    @property
    def is_pc_client(self) -> bool:
        """Its payload are event logs of a PC's boot."""
        return self.rim.get("bindingspec") == PC_CLIENT


def decode_swid(raw: bytes) -> SwidTag:
    """A SWID tag.

    Raises:
        DecodeError: not XML, not a SWID tag, or an attribute that it must have is missing or wrong.
    """
    return read_swid(decode_xml(raw))


def read_swid(root: XmlElement) -> SwidTag:
    """A SWID tag from its document.

    Raises:
        DecodeError: it is none.
    """
    if (root.namespace, root.local) != (ISO, "SoftwareIdentity"):
        raise DecodeError("SWID", root.offset, f"SoftwareIdentity of {ISO} expected, found {root.name[:60]!a}")
    entities = tuple(_entity(element) for element in _children(root, "Entity"))
    if not entities:
        raise DecodeError("SWID", root.offset, "an Entity expected")
    meta: dict[Key, object] = {}
    for element in (root, *_children(root, "Meta")):
        meta.update(_attributes(element))
    return SwidTag(
        software=Software(
            identity=TagIdentity(id=_needed(root, "tagId"), version=_count(root, "tagVersion") or 0),
            name=_needed(root, "name"),
            version=root.attribute("version"),
            entities=entities,
            files=tuple(_payload(root, "Payload")),
            found=tuple(_payload(root, "Evidence")),
            links=tuple((_needed(one, "href"), _needed(one, "rel")) for one in _children(root, "Link")),
            meta=meta,
            corpus=_flag(root, "corpus"),
            patch=_flag(root, "patch"),
            supplemental=_flag(root, "supplemental"),
        ),
        rim=_rim(root),
        root=root,
        signed=any((one.namespace, one.local) == (DSIG, "Signature") for one in root.walk()),
    )


def _children(element: XmlElement, local: str) -> Iterator[XmlElement]:
    return (one for one in element.elements if one.local == local and one.namespace in NAMESPACES)


def _attributes(element: XmlElement) -> Mapping[Key, str]:
    return {one.name: one.value for one in element.attributes if one.namespace}


def _rim(root: XmlElement) -> Mapping[str, str]:
    """The TCG's attributes of Meta and Payload; case and namespace vary between versions of the specification."""
    holders = (*_children(root, "Meta"), *_children(root, "Payload"))
    return {one.local.lower(): one.value for holder in holders for one in holder.attributes if TCG in one.namespace}


def _needed(element: XmlElement, name: str) -> str:
    value = element.attribute(name)
    if not value:
        raise DecodeError(f"SWID {element.local}", element.offset, f"attribute {name} is missing")
    return value


def _flag(element: XmlElement, name: str) -> bool:
    value = element.attribute(name) or "false"
    if value not in BOOLEANS:
        raise DecodeError(
            f"SWID {element.local}.{name}", element.offset, f"true or false expected, found {value[:40]!a}"
        )
    return BOOLEANS[value]


def _count(element: XmlElement, name: str) -> int | None:
    value = element.attribute(name)
    return None if value is None else decimal(value, f"SWID {element.local}.{name}")


def _entity(element: XmlElement) -> Organisation:
    return Organisation(
        name=_needed(element, "name"), roles=tuple(_needed(element, "role").split()), uri=element.attribute("regid")
    )


def _payload(root: XmlElement, local: str) -> Iterator[SoftwareFile]:
    count = 0
    for holder in _children(root, local):
        for file in _files(holder, ""):
            count += 1
            if count > MAX_FILES:
                raise DecodeError(f"SWID {local}", holder.offset, f"more than {MAX_FILES} files")
            yield file


def _files(holder: XmlElement, folder: str) -> Iterator[SoftwareFile]:
    for element in _children(holder, "File"):
        yield SoftwareFile(
            name=_needed(element, "name"),
            folder=_joined(element, folder),
            size=_count(element, "size"),
            version=element.attribute("version"),
            digests=tuple(_digests(element)),
        )
    for element in _children(holder, "Directory"):
        name = element.attribute("name") or ""
        above = _joined(element, folder)
        yield from _files(element, f"{above.rstrip('/')}/{name}" if above and not name.startswith("/") else name)


def _joined(element: XmlElement, folder: str) -> str:
    """Where an element is expected: its root and location if it has them, below the directory that holds it."""
    path = folder
    for part in (element.attribute("root"), element.attribute("location")):
        if part:
            path = part if not path or part.startswith("/") else f"{path.rstrip('/')}/{part}"
    return path


def _digests(element: XmlElement) -> Iterator[ManifestDigest]:
    for one in element.attributes:
        name = HASHES.get(one.namespace)
        if one.local != "hash" or name is None:
            continue
        text = one.value.lower()
        if len(text) != DIGITS[name]:
            why = f"{DIGITS[name]} hexadecimal digits expected, found {len(text)}"
            raise DecodeError(f"SWID {element.local}.{one.name}", element.offset, why)
        yield ManifestDigest(alg=name, value=hex_bytes(text, f"SWID {element.local}.{one.name}"))
