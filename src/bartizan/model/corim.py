"""What manifests of Reference Values hold (CoRIM, CoMID, CoSWID, CoTL, SWID): claims of a signer, compared to nothing.

Extension points are kept as they came, under their numbers: `extensions`, and identifiers as `Tagged`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias
from uuid import UUID

from bartizan.model.cbor import Key, Tagged

TagId: TypeAlias = str | bytes
"""A tag's name: text, or the 16 bytes of a UUID."""


def tag_text(name: TagId) -> str:
    """A tag's name for people: text as it is, 16 bytes as a UUID is written."""
    return name if isinstance(name, str) else str(UUID(bytes=name))


ElementKey: TypeAlias = Tagged | int | str
"""What is measured within an environment: a measurement key."""


class ManifestDigest(NamedTuple):
    """A digest under its algorithm's number or name; draft-ietf-rats-corim-11, 7.7."""

    alg: int | str
    value: bytes


class Validity(NamedTuple):
    """From and until, in seconds since 1970 UTC; draft-ietf-rats-corim-11, 7.3."""

    not_before: float | None
    not_after: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Organisation:
    """Who made a manifest or a tag, and in which roles (numbers, or names in SWID)."""

    name: str
    roles: tuple[int | str, ...]
    uri: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentClass:
    """What kind of thing an environment is; draft-ietf-rats-corim-11, 5.1.4.2."""

    id: Tagged | None = None
    vendor: str | None = None
    model: str | None = None
    layer: int | None = None
    index: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What claims are about: a class, an instance, a group; draft-ietf-rats-corim-11, 5.1.4.1."""

    kind: EnvironmentClass | None = None
    instance: Tagged | None = None
    group: Tagged | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """What was or should be measured; draft-ietf-rats-corim-11, 5.1.4.5.2.

    svn: a plain number, or `Tagged` 552 (exact) or 553 (least); raw: `Tagged` 560 (bytes) or 563 (bytes and mask).
    """

    version: str | None = None
    version_scheme: int | str | None = None
    svn: Tagged | int | None = None
    digests: tuple[ManifestDigest, ...] = ()
    flags: Mapping[Key, object] = field(default_factory=dict)
    raw: Tagged | None = None
    raw_mask: bytes | None = None
    mac: bytes | None = None
    ip: bytes | None = None
    serial: str | None = None
    ueid: bytes | None = None
    uuid: bytes | None = None
    name: str | None = None
    keys: tuple[Tagged, ...] = ()
    registers: Mapping[int | str, tuple[ManifestDigest, ...]] = field(default_factory=dict)
    range: Tagged | int | None = None
    extensions: Mapping[Key, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One element's values, and whose claim they must be where that is a condition."""

    key: ElementKey | None
    values: Values
    authorized_by: tuple[Tagged, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueTriple:
    """An environment and its measurements: a Reference Value, an Endorsement, or a condition."""

    environment: Environment
    measurements: tuple[Measurement, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyTriple:
    """Keys of an environment: its identity or its attestation keys."""

    environment: Environment
    keys: tuple[Tagged, ...]
    key: ElementKey | None = None
    authorized_by: tuple[Tagged, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainTriple:
    """A domain and the environments that are its members, or that it depends on."""

    domain: Environment
    others: tuple[Environment, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftwareTriple:
    """An environment and the CoSWIDs that describe its software."""

    environment: Environment
    tags: tuple[TagId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionalTriple:
    """Endorsements that hold where all conditions do."""

    conditions: tuple[ValueTriple, ...]
    endorsements: tuple[ValueTriple, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesTriple:
    """A condition, and pairs of a further condition and what it adds; the first that fits counts."""

    condition: ValueTriple
    authorized_by: tuple[Tagged, ...]
    series: tuple[tuple[tuple[Measurement, ...], tuple[Measurement, ...]], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Triples:
    """All that a CoMID states; draft-ietf-rats-corim-11, 5.1.4."""

    reference: tuple[ValueTriple, ...] = ()
    endorsed: tuple[ValueTriple, ...] = ()
    identity: tuple[KeyTriple, ...] = ()
    attest_keys: tuple[KeyTriple, ...] = ()
    dependencies: tuple[DomainTriple, ...] = ()
    members: tuple[DomainTriple, ...] = ()
    software: tuple[SoftwareTriple, ...] = ()
    series: tuple[SeriesTriple, ...] = ()
    conditional: tuple[ConditionalTriple, ...] = ()
    extensions: Mapping[Key, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class TagIdentity:
    """A tag's name and revision."""

    id: TagId
    version: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Comid:
    """A concise module identifier; draft-ietf-rats-corim-11, 5. links: the other tag and the relation's number."""

    identity: TagIdentity
    triples: Triples
    language: str | None = None
    entities: tuple[Organisation, ...] = ()
    links: tuple[tuple[TagId, int], ...] = ()
    extensions: Mapping[Key, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftwareFile:
    """A file that a CoSWID or SWID tag names; `folder` is where it is expected, as the tag's parts say together."""

    name: str
    folder: str
    size: int | None = None
    version: str | None = None
    digests: tuple[ManifestDigest, ...] = ()

    @property
    def path(self) -> str:
        """Folder and name together."""
        return f"{self.folder.rstrip('/')}/{self.name}" if self.folder else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Software:
    """A software identification tag, concise (RFC 9393) or not (ISO/IEC 19770-2:2015).

    files: of its payload; found: of its evidence; meta: of its software-meta entries, by number or name.
    """

    identity: TagIdentity
    name: str
    version: str | None = None
    entities: tuple[Organisation, ...] = ()
    files: tuple[SoftwareFile, ...] = ()
    found: tuple[SoftwareFile, ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    meta: Mapping[Key, object] = field(default_factory=dict)
    corpus: bool = False
    patch: bool = False
    supplemental: bool = False
    extensions: Mapping[Key, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class TagList:
    """A concise tag list: the tags that count together; draft-ietf-rats-corim-11, 6."""

    identity: TagIdentity
    tags: tuple[TagIdentity, ...]
    validity: Validity


@dataclass(frozen=True, slots=True, kw_only=True)
class Locator:
    """Where a further manifest may be found, and what it hashes to."""

    uris: tuple[str, ...]
    thumbprints: tuple[ManifestDigest, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Corim:
    """A manifest; draft-ietf-rats-corim-11, 4.1. profile: a URI, or the dotted form of an OID."""

    id: TagId
    tags: tuple[Comid | Software | TagList, ...]
    dependents: tuple[Locator, ...] = ()
    profile: str | None = None
    validity: Validity | None = None
    entities: tuple[Organisation, ...] = ()
    extensions: Mapping[Key, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """Who says that he signed a manifest, and for how long his word is meant to hold; not a proof of anything."""

    name: str
    uri: str | None = None
    validity: Validity | None = None
