"""CoSWID (RFC 9393): what software a tag names, and the files of its payload and evidence. Nothing is matched."""

from collections.abc import Iterator, Mapping

from bartizan.formats.cbor_shape import (
    Fields,
    Place,
    boolean,
    document,
    embedded,
    integer,
    number_or_text,
    one_or_more,
    text,
    unsigned,
)
from bartizan.formats.manifest_types import digest, tag_id, uri
from bartizan.model.cbor import Key, Map, Tagged
from bartizan.model.corim import ManifestDigest, Organisation, Software, SoftwareFile, TagIdentity

COSWID = 505
"""Within a CoRIM: a byte string that holds the tag's map; draft-ietf-rats-corim-11, 4.1.2."""
STANDALONE = 1398229316
"""On its own (`SWID` in ASCII); RFC 9393, 8. Some writers put a byte string inside."""
MAX_FILES = 1_000_000
"""Files of one tag."""


def decode_coswid(raw: bytes) -> Software:
    """A CoSWID, bare or under one of its tags.

    Raises:
        DecodeError: not a CoSWID, or a member that RFC 9393 requires is missing or wrong.
    """
    value, place = document(raw, "CoSWID"), Place("CoSWID")
    if isinstance(value, Tagged) and value.tag in (COSWID, STANDALONE):
        value = embedded(value.value, place) if isinstance(value.value, bytes) else value.value
    return read_coswid(value, place)


def read_coswid(value: object, place: Place) -> Software:
    """concise-swid-tag. A tag-version that is left out is 0, as in ISO/IEC 19770-2.

    Raises:
        DecodeError: it is none.
    """
    fields = Fields(value, place)
    identity = TagIdentity(id=fields.need(0, "tag-id", tag_id), version=fields.maybe(12, "tag-version", integer) or 0)
    payload = fields.maybe(6, "payload", _collection)
    evidence = fields.maybe(3, "evidence", _collection)
    if payload is not None and evidence is not None:
        raise place.refuse("payload and evidence in one tag")
    return Software(
        identity=identity,
        name=fields.need(1, "software-name", text),
        version=fields.maybe(13, "software-version", text),
        entities=fields.need(2, "entity", one_or_more(_entity)),
        files=payload or (),
        found=evidence or (),
        links=fields.some(4, "link", one_or_more(_link)),
        meta=_merged(fields.some(5, "software-meta", one_or_more(_meta))),
        corpus=fields.maybe(8, "corpus", boolean) or False,
        patch=fields.maybe(9, "patch", boolean) or False,
        supplemental=fields.maybe(11, "supplemental", boolean) or False,
        extensions=fields.rest(),
    )


def _entity(value: object, place: Place) -> Organisation:
    fields = Fields(value, place)
    return Organisation(
        name=fields.need(31, "entity-name", text),
        uri=fields.maybe(32, "reg-id", uri),
        roles=fields.need(33, "role", one_or_more(number_or_text)),
    )


def _link(value: object, place: Place) -> tuple[str, str]:
    fields = Fields(value, place)
    href = fields.need(38, "href", uri)
    return href, str(fields.need(40, "rel", number_or_text))


def _meta(value: object, place: Place) -> Mapping[Key, object]:
    return Fields(value, place).rest()


def _merged(entries: tuple[Mapping[Key, object], ...]) -> Mapping[Key, object]:
    return {key: value for entry in entries for key, value in entry.items()}


def _collection(value: object, place: Place) -> tuple[SoftwareFile, ...]:
    found: list[SoftwareFile] = []
    for file in _files(Fields(value, place), "", place):
        if len(found) == MAX_FILES:
            raise place.refuse(f"more than {MAX_FILES} files")
        found.append(file)
    return tuple(found)


def _files(fields: Fields, folder: str, place: Place) -> Iterator[SoftwareFile]:
    """Files of a resource collection, those of its directories after its own; RFC 9393, 2.9.1 and 2.9.2."""
    for file in fields.some(17, "file", one_or_more(_map)):
        yield _file(Fields(file, place.at("file")), folder)
    for directory in fields.some(16, "directory", one_or_more(_map)):
        inner = Fields(directory, place.at("directory"))
        below = _joined(folder, inner, inner.need(24, "fs-name", text))
        elements = inner.maybe(26, "path-elements", _map)
        if elements is not None:
            yield from _files(Fields(elements, place.at("directory")), below, place.at("directory"))


def _map(value: object, place: Place) -> Map:
    Fields(value, place)
    return value  # type: ignore[return-value]  # Fields has seen that it is a map


def _file(fields: Fields, folder: str) -> SoftwareFile:
    name = fields.need(24, "fs-name", text)
    found = fields.maybe(7, "hash", digest)
    digests: tuple[ManifestDigest, ...] = (found,) if found is not None else ()
    return SoftwareFile(
        name=name,
        folder=_joined(folder, fields, ""),
        size=fields.maybe(20, "size", unsigned),
        version=fields.maybe(21, "file-version", text),
        digests=digests,
    )


def _joined(folder: str, fields: Fields, name: str) -> str:
    """Where an element is: its root and location if it names them, below the folder that holds it."""
    root, location = fields.maybe(25, "root", text), fields.maybe(23, "location", text)
    path = folder
    for part in (root, location, name):
        if part:
            path = part if not path or part.startswith("/") else f"{path.rstrip('/')}/{part}"
    return path
