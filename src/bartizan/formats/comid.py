"""CoMID: what a manifest claims of modules; draft-ietf-rats-corim-11, 5. Its claims are read, not matched."""

from collections.abc import Mapping

from bartizan.formats.cbor_shape import (
    Fields,
    Place,
    boolean,
    document,
    embedded,
    integer,
    many,
    number_or_text,
    octets,
    record,
    sized,
    text,
    unsigned,
)
from bartizan.formats.manifest_types import (
    LEAST_SVN,
    MASKED,
    OCTETS,
    OID,
    RANGE,
    SVN,
    UEID_SIZES,
    UUID,
    UUID_SIZE,
    digests,
    entity,
    tag_id,
    tag_identity,
    tagged,
    tagged_as,
)
from bartizan.model.cbor import Array, Key, Map, Tagged
from bartizan.model.corim import (
    Comid,
    ConditionalTriple,
    DomainTriple,
    ElementKey,
    Environment,
    EnvironmentClass,
    KeyTriple,
    ManifestDigest,
    Measurement,
    SeriesTriple,
    SoftwareTriple,
    TagId,
    Triples,
    Values,
    ValueTriple,
)

COMID = 506
MAC_SIZES, IP_SIZES = (6, 8), (4, 16)
WITH_CONDITIONS = 3
"""Members of a record whose last one, a condition, may be left out."""
FLAGS = range(11)
"""Flags that the draft names; 5.1.4.5.5."""


def decode_comid(raw: bytes) -> Comid:
    """A CoMID, with tag 506 around it or bare.

    Raises:
        DecodeError: not a CoMID, or a member that the draft requires is missing or wrong.
    """
    place = Place("CoMID")
    value = document(raw, place.what)
    return read_comid(embedded(value.value, place) if _is_tagged(value) else value, place)  # type: ignore[attr-defined]


def _is_tagged(value: object) -> bool:
    return isinstance(value, Tagged) and value.tag == COMID


def read_comid(value: object, place: Place) -> Comid:
    """concise-mid-tag.

    Raises:
        DecodeError: it is none.
    """
    fields = Fields(value, place)
    return Comid(
        language=fields.maybe(0, "language", text),
        identity=fields.need(1, "tag-identity", tag_identity),
        entities=fields.some(2, "entities", many(entity)),
        links=fields.some(3, "linked-tags", many(_link)),
        triples=fields.need(4, "triples", _triples),
        extensions=fields.rest(),
    )


def _link(value: object, place: Place) -> tuple[TagId, int]:
    fields = Fields(value, place)
    found = fields.need(0, "linked-tag-id", tag_id), fields.need(1, "tag-rel", integer)
    fields.finish()
    return found


def _triples(value: object, place: Place) -> Triples:
    fields = Fields(value, place)
    found = Triples(
        reference=fields.some(0, "reference", many(_values)),
        endorsed=fields.some(1, "endorsed", many(_values)),
        identity=fields.some(2, "identity", many(_keys)),
        attest_keys=fields.some(3, "attest-key", many(_keys)),
        dependencies=fields.some(4, "dependency", many(_domain)),
        members=fields.some(5, "membership", many(_domain)),
        software=fields.some(6, "coswid", many(_software)),
        series=fields.some(8, "series", many(_series)),
        conditional=fields.some(10, "conditional", many(_conditional)),
        extensions=fields.rest(),
    )
    if not value:
        raise place.refuse("no triple at all")
    return found


def _values(value: object, place: Place) -> ValueTriple:
    items = record(value, place, least=2, most=2)
    return ValueTriple(
        environment=environment(items[0], place.at("environment")),
        measurements=many(_measurement)(_as_list(items[1]), place.at("measurements")),
    )


def _as_list(value: object) -> object:
    """Drafts before 04 had one measurement where an array of them stands now."""
    if not isinstance(value, Map):
        return value
    found = Array(value.offset)
    found.append(value)
    return found


def _keys(value: object, place: Place) -> KeyTriple:
    items = record(value, place, least=2, most=3)
    fields = Fields(items[2] if len(items) == WITH_CONDITIONS else Map(place.offset), place.at("conditions"))
    found = KeyTriple(
        environment=environment(items[0], place.at("environment")),
        keys=many(tagged)(items[1], place.at("keys")),
        key=fields.maybe(0, "mkey", _element),
        authorized_by=fields.some(1, "authorized-by", many(tagged)),
    )
    fields.finish()
    return found


def _domain(value: object, place: Place) -> DomainTriple:
    items = record(value, place, least=2, most=2)
    return DomainTriple(
        domain=environment(items[0], place.at("domain")), others=many(environment)(items[1], place.at("others"))
    )


def _software(value: object, place: Place) -> SoftwareTriple:
    items = record(value, place, least=2, most=2)
    return SoftwareTriple(
        environment=environment(items[0], place.at("environment")), tags=many(tag_id)(items[1], place.at("tags"))
    )


def _conditional(value: object, place: Place) -> ConditionalTriple:
    items = record(value, place, least=2, most=2)
    return ConditionalTriple(
        conditions=many(_values)(items[0], place.at("conditions")),
        endorsements=many(_values)(items[1], place.at("endorsements")),
    )


def _series(value: object, place: Place) -> SeriesTriple:
    items = record(value, place, least=2, most=2)
    common = record(items[0], place.at("condition"), least=2, most=3)
    where = place.at("condition")
    return SeriesTriple(
        condition=ValueTriple(
            environment=environment(common[0], where.at("environment")),
            measurements=many(_measurement, least=0)(common[1], where.at("claims")),
        ),
        authorized_by=many(tagged)(common[2], where.at("authorized-by")) if len(common) == WITH_CONDITIONS else (),
        series=many(_step)(items[1], place.at("series")),
    )


def _step(value: object, place: Place) -> tuple[tuple[Measurement, ...], tuple[Measurement, ...]]:
    items = record(value, place, least=2, most=2)
    return many(_measurement)(items[0], place.at("condition")), many(_measurement)(items[1], place.at("addition"))


def environment(value: object, place: Place) -> Environment:
    """environment-map: at least one of class, instance and group."""
    fields = Fields(value, place)
    found = Environment(
        kind=fields.maybe(0, "class", _class),
        instance=fields.maybe(1, "instance", tagged),
        group=fields.maybe(2, "group", tagged),
    )
    fields.finish()
    if not value:
        raise place.refuse("a class, an instance or a group expected")
    return found


def _class(value: object, place: Place) -> EnvironmentClass:
    fields = Fields(value, place)
    found = EnvironmentClass(
        id=fields.maybe(0, "class-id", tagged),
        vendor=fields.maybe(1, "vendor", text),
        model=fields.maybe(2, "model", text),
        layer=fields.maybe(3, "layer", unsigned),
        index=fields.maybe(4, "index", unsigned),
    )
    fields.finish()
    if not value:
        raise place.refuse("an empty class")
    if found.model is not None and found.vendor is None:
        raise place.refuse("a model without its vendor")
    return found


def _element(value: object, place: Place) -> ElementKey:
    if isinstance(value, Tagged):
        return tagged_as(OID, UUID)(value, place) if value.tag in (OID, UUID) else tagged(value, place)
    return value if isinstance(value, str) else unsigned(value, place)


def _measurement(value: object, place: Place) -> Measurement:
    fields = Fields(value, place)
    found = Measurement(
        key=fields.maybe(0, "mkey", _element),
        values=fields.need(1, "mval", _measured),
        authorized_by=fields.some(2, "authorized-by", many(tagged)),
    )
    fields.finish()
    return found


def _measured(value: object, place: Place) -> Values:
    fields = Fields(value, place)
    version, scheme = fields.maybe(0, "version", _version) or (None, None)
    found = Values(
        version=version,
        version_scheme=scheme,
        svn=fields.maybe(1, "svn", _svn),
        digests=fields.some(2, "digests", digests),
        flags=fields.maybe(3, "flags", _flags) or {},
        raw=fields.maybe(4, "raw-value", _raw),
        raw_mask=fields.maybe(5, "raw-value-mask", octets),
        mac=fields.maybe(6, "mac-addr", sized(*MAC_SIZES)),
        ip=fields.maybe(7, "ip-addr", sized(*IP_SIZES)),
        serial=fields.maybe(8, "serial-number", text),
        ueid=fields.maybe(9, "ueid", sized(*UEID_SIZES)),
        uuid=fields.maybe(10, "uuid", sized(UUID_SIZE)),
        name=fields.maybe(11, "name", text),
        keys=fields.some(13, "cryptokeys", many(tagged)),
        registers=fields.maybe(14, "integrity-registers", _registers) or {},
        range=fields.maybe(15, "int-range", _range),
        extensions=fields.rest(),
    )
    if not value:
        raise place.refuse("no value at all")
    if found.raw_mask is not None and found.raw is None:
        raise place.refuse("a mask without its raw value")
    return found


def _version(value: object, place: Place) -> tuple[str, int | str | None]:
    fields = Fields(value, place)
    found = fields.need(0, "version", text), fields.maybe(1, "version-scheme", number_or_text)
    fields.finish()
    return found


def _svn(value: object, place: Place) -> Tagged | int:
    return tagged_as(SVN, LEAST_SVN)(value, place) if isinstance(value, Tagged) else unsigned(value, place)


def _flags(value: object, place: Place) -> Mapping[Key, object]:
    fields = Fields(value, place)
    known = {flag: fields.maybe(flag, f"flag {flag}", boolean) for flag in FLAGS}
    if not value:
        raise place.refuse("no flag at all")
    return {flag: state for flag, state in known.items() if state is not None} | dict(fields.rest())


def _raw(value: object, place: Place) -> Tagged:
    found = tagged(value, place)
    if found.tag not in (OCTETS, MASKED):
        octets(found.value, place)
    return found


def _registers(value: object, place: Place) -> Mapping[int | str, tuple[ManifestDigest, ...]]:
    fields = Fields(value, place)
    names = [number_or_text(name, place.at("name")) for name in fields.rest()]
    if not names:
        raise place.refuse("no register at all")
    return {name: fields.need(name, f"register {name!a}", digests) for name in names}


def _range(value: object, place: Place) -> Tagged | int:
    return tagged_as(RANGE)(value, place) if isinstance(value, Tagged) else integer(value, place)
