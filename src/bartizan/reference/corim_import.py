"""Reference Values from manifests: what of a CoRIM or SWID tag says something about a boot or a file.

What is left aside is said, never guessed at: a PCR's final value is no event, a digest without a path is no file.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from bartizan.formats.inert import inert
from bartizan.formats.manifest_types import HASHES
from bartizan.model.corim import (
    Comid,
    Corim,
    ManifestDigest,
    Measurement,
    Software,
    SoftwareFile,
    Triples,
    Validity,
    tag_text,
)
from bartizan.model.digest import HashAlg
from bartizan.model.reference import ReferenceEvent, ReferenceFile, ReferenceSet
from bartizan.reference.propose import MAX_LABEL, canonical
from bartizan.verify.corim_profile import BOOT_EVENTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """A set, and what the manifest held besides, in words for people."""

    reference: ReferenceSet
    left: tuple[str, ...]


def from_corim(corim: Corim, *, name: str, source: str) -> Imported:
    """The boot events and files of a CoRIM whose profile was checked.

    Events are read under Bartizan's own profile only, since the draft leaves to profiles what a measurement key means;
    files from the payloads of CoSWIDs, under every profile.
    """
    events: list[ReferenceEvent] = []
    files: list[ReferenceFile] = []
    left: list[str] = []
    for tag in corim.tags:
        match tag:
            case Comid():
                events += _events(tag.triples) if corim.profile == BOOT_EVENTS else ()
                left += _unused(tag, corim.profile)
            case Software():
                files += _usable(tag.files)
                left += _unused_files(tag)
            case _:
                left.append(
                    f"tag list {inert(tag_text(tag.identity.id))}: all tags of this manifest count, listed or not"
                )
    found = _imported(name, source, events=events, files=files, left=left)
    return replace(found, reference=_limited(found.reference, corim.validity))


LAST_SECOND = 253402300799
"""Of the year 9999."""


def _limited(reference: ReferenceSet, validity: Validity | None) -> ReferenceSet:
    """The set within the manifest's time."""
    if validity is None:
        return reference
    since, until = (None if end is None or not 0 <= end <= LAST_SECOND else int(end) for end in validity)
    return canonical(
        replace(
            reference,
            valid_from=None if since is None else datetime.fromtimestamp(since, UTC),
            valid_until=None if until is None else datetime.fromtimestamp(until, UTC),
        )
    )


def from_software(software: Software, *, name: str, source: str) -> Imported:
    """The files of one software tag's payload."""
    left = list(_unused_files(software))
    return _imported(name, source, events=[], files=list(_usable(software.files)), left=left)


def _imported(
    name: str, source: str, *, events: list[ReferenceEvent], files: list[ReferenceFile], left: list[str]
) -> Imported:
    reference = ReferenceSet(
        name=name, source=source, events=tuple(events), files=tuple(dict.fromkeys(files)), digest=""
    )
    return Imported(reference=canonical(reference), left=tuple(left))


def known_digests(digests: Iterable[ManifestDigest]) -> dict[HashAlg, bytes]:
    """The digests in algorithms that Bartizan computes, by algorithm."""
    return {HASHES[one.alg]: one.value for one in digests if one.alg in HASHES}


def _events(triples: Triples) -> Iterator[ReferenceEvent]:
    for triple in triples.reference:
        for measurement in triple.measurements:
            digests = known_digests(measurement.values.digests)
            if digests and isinstance(measurement.key, int):
                label = inert(measurement.values.name or "", limit=MAX_LABEL)
                yield ReferenceEvent(pcr=measurement.key, digests=digests, label=label)


def _unused(comid: Comid, profile: str | None) -> Iterator[str]:
    triples, own = comid.triples, profile == BOOT_EVENTS
    what = f"CoMID {inert(tag_text(comid.identity.id))}"
    if not own and triples.reference:
        yield f"{what}: {_reference_values(triples, profile)}"
    if own:
        odd = sum(not known_digests(one.values.digests) for one in _measurements(triples))
        yield from [f"{what}: {odd} events without a digest that is computed here"] * bool(odd)
    others = {
        "endorsements": len(triples.endorsed) + len(triples.conditional) + len(triples.series),
        "keys": len(triples.identity) + len(triples.attest_keys),
        "relations between modules": len(triples.members) + len(triples.dependencies) + len(triples.software),
    }
    yield from (f"{what}: {count} {kind}" for kind, count in others.items() if count)


def _reference_values(triples: Triples, profile: str | None) -> str:
    """Why reference values of a foreign profile, or of none, are no boot events."""
    count = sum(1 for _ in _measurements(triples))
    if profile is None:
        return f"{count} reference values (no profile says which PCR or file they are about)"
    return f"{count} reference values (of profile {inert(profile)}, which does not list boot events)"


def _measurements(triples: Triples) -> Iterator[Measurement]:
    return (measurement for triple in triples.reference for measurement in triple.measurements)


def _usable(files: Iterable[SoftwareFile]) -> Iterator[ReferenceFile]:
    for file in files:
        if file.path.startswith("/"):
            for alg, digest in known_digests(file.digests).items():
                yield ReferenceFile(path=file.path.encode("utf-8"), alg=alg.label, digest=digest)


def _unused_files(software: Software) -> Iterator[str]:
    what = f"software {inert(software.name)}"
    used = {file.path for file in _as_files(software.files)}
    odd = sum(file.path not in used for file in software.files)
    if odd:
        yield f"{what}: {odd} files without an absolute path or a digest that is computed here"
    if software.found:
        yield f"{what}: {len(software.found)} files found on a machine, which nobody declared good"


def _as_files(files: Iterable[SoftwareFile]) -> Iterator[SoftwareFile]:
    return (file for file in files if file.path.startswith("/") and known_digests(file.digests))
