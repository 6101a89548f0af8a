"""Reference Values as a CoRIM: boot events as a CoMID under Bartizan's own profile, files as a CoSWID's payload.

docs/explanation/reference-values.md says what is kept and what is not. It signs nothing.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from bartizan.errors import PolicyError
from bartizan.formats.cbor import encode_cbor
from bartizan.formats.comid import COMID
from bartizan.formats.corim import CORIM
from bartizan.formats.coswid import COSWID
from bartizan.formats.inert import inert
from bartizan.formats.manifest_types import TIME, URI
from bartizan.model.cbor import Tagged
from bartizan.model.digest import HashAlg
from bartizan.model.reference import ReferenceEvent, ReferenceFile, ReferenceSet
from bartizan.verify.corim_profile import BOOT_EVENTS

AUTHOR = "Bartizan"
NUMBERS: Mapping[HashAlg, int] = {
    HashAlg.SHA256: 1,
    HashAlg.SHA384: 7,
    HashAlg.SHA512: 8,
    HashAlg.SHA3_256: 10,
    HashAlg.SHA3_384: 11,
    HashAlg.SHA3_512: 12,
}
"""Named Information hash algorithms; RFC 6920, 9.4. SHA-1 and SM3 have no number there."""
TAG_CREATOR, SOFTWARE_TAG_CREATOR, MANIFEST_CREATOR = 0, 1, 1
"""Roles: CoMID 5.1.2, RFC 9393 4.2, CoRIM 4.1.5."""


def encode_corim(reference: ReferenceSet) -> bytes:
    """A set as an unsigned CoRIM (tag 501), in CBOR's deterministic encoding.

    Raises:
        PolicyError: the set is empty, or holds a value that a CoRIM cannot: a digest without a number there, a
            path that is not UTF-8.
    """
    identity = f"{reference.name}@sha256:{reference.digest}"
    tags: list[Tagged] = []
    if reference.events:
        tags.append(Tagged(COMID, encode_cbor(_comid(reference, f"{identity}#boot"))))
    if reference.files:
        tags.append(Tagged(COSWID, encode_cbor(_coswid(reference, f"{identity}#files"))))
    if not tags:
        raise PolicyError(f"{inert(reference.name)}: the set is empty")
    corim: dict[int, Any] = {
        0: identity,
        1: tags,
        3: Tagged(URI, BOOT_EVENTS),
        5: [{0: AUTHOR, 2: [MANIFEST_CREATOR]}],
    }
    return encode_cbor(Tagged(CORIM, corim | _validity(reference)))


def _validity(reference: ReferenceSet) -> dict[int, Any]:
    """rim-validity: a manifest needs an end, so a set without one has none."""
    if reference.valid_until is None:
        return {}
    window = {1: Tagged(TIME, int(reference.valid_until.timestamp()))}
    if reference.valid_from is not None:
        window[0] = Tagged(TIME, int(reference.valid_from.timestamp()))
    return {4: window}


def _comid(reference: ReferenceSet, identity: str) -> dict[int, Any]:
    """One reference triple per event: each is a state of its own that the PCR's events may be in."""
    environment = {0: {1: AUTHOR, 2: "boot events"}}
    triples = [[environment, [{0: event.pcr, 1: _measured(event)}]] for event in reference.events]
    return {1: {0: identity}, 2: [{0: AUTHOR, 2: [TAG_CREATOR]}], 4: {0: triples}}


def _measured(event: ReferenceEvent) -> dict[int, Any]:
    digests = [[NUMBERS[alg], digest] for alg, digest in sorted(event.digests.items()) if alg in NUMBERS]
    if not digests:
        algs = ", ".join(alg.label for alg in event.digests)
        raise PolicyError(f"PCR {event.pcr}, {inert(event.label)}: no CoRIM has a number for {algs}")
    return {2: digests} | ({11: event.label} if event.label else {})


def _coswid(reference: ReferenceSet, identity: str) -> dict[int, Any]:
    return {
        0: identity,
        1: reference.name,
        2: {31: AUTHOR, 33: SOFTWARE_TAG_CREATOR},
        6: {17: list(_file_entries(reference.files))},
        12: 0,
    }


def _file_entries(files: tuple[ReferenceFile, ...]) -> Iterator[dict[int, Any]]:
    for file in files:
        try:
            path = file.path.decode("utf-8")
            number = NUMBERS[HashAlg.from_label(file.alg)]
        except (UnicodeDecodeError, KeyError) as error:
            shown = inert(file.path.decode("utf-8", "surrogateescape"))
            raise PolicyError(f"{shown}, {inert(file.alg)}: no CoSWID can hold this path or digest") from error
        folder, _, name = path.rpartition("/")
        yield {7: [number, file.digest], 23: folder or "/", 24: name}
