"""CoRIM: manifests of Reference Values and Endorsements, signed or not; draft-ietf-rats-corim-11, 4 and 6.

Layouts of older drafts are read where they can mean one thing only. Nothing is verified, no profile is judged.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bartizan.formats.cbor_shape import Fields, Place, document, embedded, integer, kind, many, octets, text
from bartizan.formats.comid import COMID, read_comid
from bartizan.formats.cose import ALGORITHM, CONTENT_TYPE, SIGN1, read_sign1
from bartizan.formats.coswid import COSWID, read_coswid
from bartizan.formats.manifest_types import (
    OID,
    URI,
    dotted,
    entity,
    one_or_more_digests,
    tag_id,
    tag_identity,
    uri,
    uris,
    validity,
)
from bartizan.model.cbor import Array, Tagged
from bartizan.model.corim import Comid, Corim, Locator, Signer, Software, TagList, Validity
from bartizan.model.cose import CoseSign1

CORIM, COTL = 501, 508
OUTER, OLD_SIGNED = 500, 502
"""Tags that drafts before 04 put around a CoRIM of either kind, and around a signed one."""
CONTENT_TYPES = ("application/rim+cbor", "application/corim-unsigned+cbor")
"""The draft's, and that of its versions before 04."""
META, CWT_CLAIMS, ENVELOPE = 8, 15, 258
"""Header parameters: corim-meta, CWT Claims (RFC 9597), and the mark of a hash envelope."""
MANIFEST_SIGNER = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedCorim:
    """A CoRIM in a COSE_Sign1 message; `signer` is who it says signed it."""

    message: CoseSign1
    payload: bytes
    signer: Signer


def decode_corim(raw: bytes) -> Corim:
    """An unsigned CoRIM: tag 501 and its map.

    Raises:
        DecodeError: not a CoRIM, a member that the draft requires is missing or wrong, or it is signed.
    """
    place = Place("CoRIM")
    value = _unwrapped(raw, place)
    if not isinstance(value, Tagged) or value.tag != CORIM:
        raise place.refuse(f"tag {CORIM} expected, found {kind(value)}")
    return _corim(value.value, place)


def decode_signed_corim(raw: bytes) -> SignedCorim:
    """A signed CoRIM: its message and who it names as signer; what it holds is for `decode_corim` once verified.

    Raises:
        DecodeError: not such a message, a header that the draft requires is missing, or the CoRIM is not in it.
    """
    place = Place("signed CoRIM")
    value = _unwrapped(raw, place)
    if not isinstance(value, Tagged) or value.tag != SIGN1:
        raise place.refuse(f"tag {SIGN1} expected, found {kind(value)}")
    message = read_sign1(value, place)
    fields = Fields(message.headers, place.at("protected"))
    fields.need(ALGORITHM, "alg", integer)
    if message.payload is None or ENVELOPE in message.headers:
        raise place.refuse("the CoRIM itself is not in it (detached, or only its hash is signed)")
    content = fields.need(CONTENT_TYPE, "content-type", text)
    if content not in CONTENT_TYPES:
        raise place.refuse(f"content type {CONTENT_TYPES[0]} expected, found {content[:60]!a}")
    return SignedCorim(message=message, payload=message.payload, signer=_signer(fields))


def is_signed(raw: bytes) -> bool:
    """The input begins as a signed CoRIM does.

    Raises:
        DecodeError: it is no CBOR.
    """
    value = _unwrapped(raw, Place("CoRIM"))
    return isinstance(value, Tagged) and value.tag == SIGN1


def _unwrapped(raw: bytes, place: Place) -> object:
    """The outermost item without the tags that older drafts put around it."""
    value = document(raw, place.what)
    for tag in (OUTER, OLD_SIGNED):
        if isinstance(value, Tagged) and value.tag == tag:
            value = value.value
    return value


def _signer(fields: Fields) -> Signer:
    """Who signed, by CWT Claims or corim-meta; where both are there they agree. Draft, 4.2.1."""
    claims = fields.maybe(CWT_CLAIMS, "CWT Claims", _claims)
    meta = fields.maybe(META, "corim-meta", _meta)
    if claims is None and meta is None:
        raise fields.place.refuse("neither CWT Claims (15) nor corim-meta (8) says who signed")
    if claims is not None and meta is not None and (claims.name != meta.name or claims.validity != meta.validity):
        raise fields.place.refuse("CWT Claims and corim-meta name different signers or times")
    return meta or claims  # type: ignore[return-value]  # one of them is there


def _claims(value: object, place: Place) -> Signer:
    fields = Fields(value, place)
    name = fields.need(1, "iss", text)
    until, since = fields.maybe(4, "exp", integer), fields.maybe(5, "nbf", integer)
    return Signer(name=name, validity=Validity(since, until) if until is not None else None)


def _meta(value: object, place: Place) -> Signer:
    fields = Fields(embedded(value, place), place)
    name, address = fields.need(0, "signer", _named)
    return Signer(name=name, uri=address, validity=fields.maybe(1, "signature-validity", validity))


def _named(value: object, place: Place) -> tuple[str, str | None]:
    fields = Fields(value, place)
    return fields.need(0, "signer-name", text), fields.maybe(1, "signer-uri", uri)


def _corim(value: object, place: Place) -> Corim:
    fields = Fields(value, place)
    found = Corim(
        id=fields.need(0, "id", tag_id),
        tags=fields.need(1, "tags", many(_tag)),
        dependents=fields.some(2, "dependent-rims", many(_locator)),
        profile=fields.maybe(3, "profile", _profile),
        validity=fields.maybe(4, "rim-validity", validity),
        entities=fields.some(5, "entities", many(entity)),
        extensions=fields.rest(),
    )
    if sum(MANIFEST_SIGNER in one.roles for one in found.entities) > 1:
        raise place.refuse("two entities with the role of the manifest's signer")
    return found


def _tag(value: object, place: Place) -> Comid | Software | TagList:
    read = READERS.get(value.tag) if isinstance(value, Tagged) else None
    if read is None or not isinstance(value, Tagged):
        raise place.refuse(f"tag {COSWID}, {COMID} or {COTL} expected, found {kind(value)}")
    return read(embedded(octets(value.value, place), place), Place(place.what))


def _tag_list(value: object, place: Place) -> TagList:
    fields = Fields(value, place)
    found = TagList(
        identity=fields.need(0, "tag-identity", tag_identity),
        tags=fields.need(1, "tags-list", many(tag_identity)),
        validity=fields.need(2, "tl-validity", validity),
    )
    fields.finish()
    return found


READERS: Mapping[int, Callable[[object, Place], Comid | Software | TagList]] = {
    COMID: read_comid,
    COSWID: read_coswid,
    COTL: _tag_list,
}


def _locator(value: object, place: Place) -> Locator:
    fields = Fields(value, place)
    found = Locator(
        uris=fields.need(0, "href", uris), thumbprints=fields.maybe(1, "thumbprint", one_or_more_digests) or ()
    )
    fields.finish()
    return found


def _profile(value: object, place: Place) -> str:
    """A URI or an OID; a list of one, as in drafts before 03, is that one."""
    if isinstance(value, Array):
        if len(value) != 1:
            raise place.refuse("one profile expected")
        value = value[0]
    if isinstance(value, Tagged) and value.tag == OID:
        return dotted(value.value, place)
    if isinstance(value, Tagged) and value.tag != URI:
        raise place.refuse(f"a URI or an OID expected, found tag {value.tag}")
    return uri(value, place)
