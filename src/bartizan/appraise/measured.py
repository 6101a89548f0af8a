"""The files of an IMA list as columns: of a long list only what is not plainly known is looked at one by one."""

from collections import Counter
from dataclasses import dataclass
from itertools import repeat

from bartizan.appraise.context import ReferenceIndex
from bartizan.formats.ima_buffer import decode_buffer
from bartizan.model.evidence import VerifiedIma
from bartizan.model.ima import ImaColumns, ImaEntry
from bartizan.model.ima_buffer import SelinuxPolicy, SelinuxState
from bartizan.model.reference import Origin
from bartizan.verify.ima_start import starts_in, starts_list

NOTHING: frozenset[tuple[str, bytes]] = frozenset()
UNKNOWN = Origin(package="", version="", architecture="", repository="", signer="")
"""Stands for: no Reference Value."""


def covered_columns(ima: VerifiedIma | None) -> ImaColumns:
    """The entries that the quote covers; none without a list."""
    return ImaColumns.of(()) if ima is None else ima.list.columns[: ima.matched or 0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How many files were measured, and which of them are known from packages; two tallies add up."""

    files: int
    packaged: int
    packages: frozenset[tuple[str, str, str]]

    def __add__(self, other: "Tally") -> "Tally":
        known = other.packages <= self.packages
        return Tally(
            files=self.files + other.files,
            packaged=self.packaged + other.packaged,
            packages=self.packages if known else self.packages | other.packages,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LookedUp:
    """What Reference Values say of some entries: the places that they do not know by path and digest, and the tally."""

    columns: ImaColumns
    unfamiliar: tuple[int, ...]
    tally: Tally

    @property
    def strangers(self) -> list[ImaEntry]:
        """The files among those places, in order."""
        entries = (self.columns[place] for place in self.unfamiliar)
        return [entry for entry in entries if not _no_file(entry)]


def _no_file(entry: ImaEntry) -> bool:
    """A violation, the start of a list, or the kernel's word on SELinux, which is posture and judged there."""
    return entry.is_violation or starts_list(entry) or states_confinement(entry)


def states_confinement(entry: ImaEntry) -> bool:
    """The kernel measured SELinux's state or policy here, and its digest is of just that."""
    return bool(entry.payload) and isinstance(decode_buffer(entry), SelinuxState | SelinuxPolicy)


def look_up(columns: ImaColumns, reference: ReferenceIndex) -> LookedUp:
    """Look all these entries up at once."""
    measured = zip(columns.paths, columns.digest_algs, columns.digests, strict=True)
    origins = list(map(reference.files.get, measured, repeat(UNKNOWN)))
    unfamiliar = tuple(place for place, origin in enumerate(origins) if origin is UNKNOWN)
    for place in unfamiliar:
        origins[place] = reference.digests.get((columns.digest_algs[place], columns.digests[place]))
    packaged = [origin for origin in origins if origin is not None]
    distinct = {id(origin): origin for origin in packaged}.values()
    stated = (place for place in unfamiliar if columns.payloads[place] and states_confinement(columns[place]))
    apart = {*columns.violations, *stated}
    no_files = {*starts_in(columns), *(columns.first + place for place in apart)}
    counted = Tally(
        files=len(columns) - len(no_files),
        packaged=len(packaged),
        packages=frozenset((origin.package, origin.version, origin.architecture) for origin in distinct),
    )
    return LookedUp(columns=columns, unfamiliar=unfamiliar, tally=counted)


def all_known(counted: Tally, *, generated: int) -> str:
    """The sentence for a list without unknown files: where their values come from; generated: files known by a rule."""
    said = f"all {counted.files} measured files are known"
    if not counted.packaged and not generated:
        return said
    others = counted.files - counted.packaged - generated
    return (
        f"{said}: {counted.packaged} from {len(counted.packages)} packages, {generated} by rule as generated,"
        f" {others} from other sets"
    )


def measured_twice(columns: ImaColumns, reference: ReferenceIndex | None) -> list[tuple[ImaEntry, ImaEntry]]:
    """Each file that is not known as it was measured, and was measured first under another digest; with that first."""
    if len(set(columns.paths)) == len(columns):
        return []
    repeated = {path for path, times in Counter(columns.paths).items() if times > 1}
    places = [place for place, path in enumerate(columns.paths) if path in repeated]
    first: dict[bytes, ImaEntry] = {}
    found: list[tuple[ImaEntry, ImaEntry]] = []
    for entry in (columns[place] for place in places):
        if _no_file(entry):
            continue
        earlier = first.setdefault(entry.path, entry)
        known = reference is not None and (entry.digest_alg, entry.digest) in reference.paths.get(entry.path, NOTHING)
        if earlier.digest != entry.digest and not known:
            found.append((earlier, entry))
    return found
