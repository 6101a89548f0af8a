"""The types that CoRIM, CoMID, CoTL and CoSWID share; draft-ietf-rats-corim-11, 7 and 5.1.4.6."""

from collections.abc import Callable, Mapping

from bartizan.formats.cbor_shape import (
    Fields,
    Place,
    array,
    integer,
    kind,
    many,
    number_or_text,
    octets,
    record,
    sized,
    text,
    unsigned,
)
from bartizan.model.cbor import Array, Map, Tagged
from bartizan.model.corim import ManifestDigest, Organisation, TagId, TagIdentity, Validity
from bartizan.model.digest import HashAlg

TIME, URI, UUID, OID = 1, 32, 37, 111
UEID, SVN, LEAST_SVN, PEM_KEY, PEM_CERTIFICATE, PEM_PATH = 550, 552, 553, 554, 555, 556
KEY_DIGEST, COSE_KEY, CERTIFICATE_DIGEST, OCTETS, PATH_DIGEST, DER_CERTIFICATE = 557, 558, 559, 560, 561, 562
MASKED, RANGE = 563, 564
MORE = 0x80
"""The bit that says that an arc of an object identifier goes on."""
UUID_SIZE = 16
UEID_SIZES = tuple(range(7, 34))

DIGEST_SIZES: Mapping[int | str, int] = {
    1: 32,
    2: 16,
    3: 15,
    4: 12,
    5: 8,
    6: 4,
    7: 48,
    8: 64,
    9: 28,
    10: 32,
    11: 48,
    12: 64,
    "sha-256": 32,
    "sha-384": 48,
    "sha-512": 64,
    "sha3-224": 28,
    "sha3-256": 32,
    "sha3-384": 48,
    "sha3-512": 64,
    -14: 20,
    -16: 32,
    -43: 48,
    -44: 64,
}
"""Bytes of a digest: Named Information hash algorithms (RFC 6920, 9.4) by number and name, COSE's by number."""
HASHES: Mapping[int | str, HashAlg] = {
    1: HashAlg.SHA256,
    7: HashAlg.SHA384,
    8: HashAlg.SHA512,
    10: HashAlg.SHA3_256,
    11: HashAlg.SHA3_384,
    12: HashAlg.SHA3_512,
    "sha-256": HashAlg.SHA256,
    "sha-384": HashAlg.SHA384,
    "sha-512": HashAlg.SHA512,
    -14: HashAlg.SHA1,
    -16: HashAlg.SHA256,
    -43: HashAlg.SHA384,
    -44: HashAlg.SHA512,
}
"""Which of them are whole digests that Bartizan computes."""


def tag_id(value: object, place: Place) -> TagId:
    """Text, or the 16 bytes of a UUID."""
    return value if isinstance(value, str) else sized(UUID_SIZE)(value, place)


def tag_identity(value: object, place: Place) -> TagIdentity:
    """tag-identity-map: a name and a revision."""
    fields = Fields(value, place)
    found = TagIdentity(
        id=fields.need(0, "tag-id", tag_id),
        version=fields.maybe(1, "tag-version", unsigned) or 0,
    )
    fields.finish()
    return found


def digest(value: object, place: Place) -> ManifestDigest:
    """An algorithm and a value; of a known algorithm the length is right."""
    items = record(value, place, least=2, most=2)
    alg, found = number_or_text(items[0], place.at("alg")), octets(items[1], place.at("value"))
    size = DIGEST_SIZES.get(alg, len(found))
    if len(found) != size or not found:
        raise place.refuse(f"{size} bytes expected of algorithm {alg!a}, found {len(found)}")
    return ManifestDigest(alg=alg, value=found)


def digests(value: object, place: Place) -> tuple[ManifestDigest, ...]:
    """One and more digests of one thing, each under another algorithm, however that is named."""
    found = many(digest)(value, place)
    if len({HASHES.get(one.alg, one.alg) for one in found}) != len(found):
        raise place.refuse("two digests under one algorithm")
    return found


def one_or_more_digests(value: object, place: Place) -> tuple[ManifestDigest, ...]:
    """A digest, or an array of them: told apart by what stands first."""
    items = array(value, place)
    return digests(value, place) if items and isinstance(items[0], Array) else (digest(value, place),)


def uri(value: object, place: Place) -> str:
    """A URI, with its tag or as bare text (as older drafts had it)."""
    return text(value.value if isinstance(value, Tagged) and value.tag == URI else value, place)


def uris(value: object, place: Place) -> tuple[str, ...]:
    """A URI or several."""
    return many(uri)(value, place) if isinstance(value, Array) else (uri(value, place),)


def moment(value: object, place: Place) -> float:
    """Seconds since 1970 UTC; RFC 8949, 3.4.2."""
    if not isinstance(value, Tagged) or value.tag != TIME:
        raise place.refuse(f"a time (tag {TIME}) expected, found {kind(value)}")
    seconds = value.value
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not abs(seconds) < 1 << 53:
        raise place.refuse("seconds since 1970 expected")
    return seconds


def validity(value: object, place: Place) -> Validity:
    """From and until; the end is needed and not before the beginning."""
    fields = Fields(value, place)
    found = Validity(not_before=fields.maybe(0, "not-before", moment), not_after=fields.need(1, "not-after", moment))
    fields.finish()
    if found.not_before is not None and found.not_before > found.not_after:
        raise place.refuse("it ends before it begins")
    return found


def entity(value: object, place: Place) -> Organisation:
    """entity-map: a name, perhaps a URI, and roles; roles and members that no draft defines are let pass."""
    fields = Fields(value, place)
    return Organisation(
        name=fields.need(0, "entity-name", text),
        uri=fields.maybe(1, "reg-id", uri),
        roles=fields.need(2, "role", many(number_or_text)),
    )


def _masked(value: object, place: Place) -> object:
    items = record(value, place, least=2, most=2)
    return octets(items[0], place.at("value")), octets(items[1], place.at("mask"))


def _range(value: object, place: Place) -> object:
    low, high = record(value, place, least=2, most=2)
    ends = [end if end is None else integer(end, place) for end in (low, high)]
    if None not in ends and ends[0] > ends[1]:  # type: ignore[operator]  # neither is None here
        raise place.refuse("it ends before it begins")
    return ends


def _cose_key(value: object, place: Place) -> object:
    if not isinstance(value, Map | Array) or not value:
        raise place.refuse("a COSE_Key or COSE_KeySet expected")
    return value


CONTENTS: Mapping[int, Callable[[object, Place], object]] = {
    UUID: sized(UUID_SIZE),
    OID: octets,
    UEID: sized(*UEID_SIZES),
    SVN: unsigned,
    LEAST_SVN: unsigned,
    PEM_KEY: text,
    PEM_CERTIFICATE: text,
    PEM_PATH: text,
    KEY_DIGEST: digest,
    COSE_KEY: _cose_key,
    CERTIFICATE_DIGEST: digest,
    OCTETS: octets,
    PATH_DIGEST: digest,
    DER_CERTIFICATE: octets,
    MASKED: _masked,
    RANGE: _range,
}
"""What the tags of the draft hold; others are extensions and hold what they hold."""


def tagged(value: object, place: Place) -> Tagged:
    """An identifier, key or value under a tag; what a known tag holds is checked."""
    if not isinstance(value, Tagged):
        raise place.refuse(f"a tagged value expected, found {kind(value)}")
    check = CONTENTS.get(value.tag)
    if check is not None:
        check(value.value, place)
    return value


def tagged_as(*tags: int) -> Callable[[object, Place], Tagged]:
    """A value under one of these tags and no other."""

    def read(value: object, place: Place) -> Tagged:
        found = tagged(value, place)
        if found.tag not in tags:
            raise place.refuse(f"tag {' or '.join(map(str, tags))} expected, found tag {found.tag}")
        return found

    return read


def dotted(value: object, place: Place) -> str:
    """An object identifier in dotted form from its BER content octets; RFC 9090, 2.1."""
    raw = octets(value, place)
    arcs: list[int] = []
    arc = 0
    for octet in raw:
        if arc == 0 and octet == MORE:
            raise place.refuse("an arc with a leading zero")
        arc = arc << 7 | octet & 0x7F
        if octet < MORE:
            arcs.append(arc)
            arc = 0
    if not arcs or raw[-1] & MORE:
        raise place.refuse("no object identifier")
    first = min(arcs[0] // 40, 2)
    return ".".join(map(str, (first, arcs[0] - 40 * first, *arcs[1:])))
