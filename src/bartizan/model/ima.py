"""An IMA measurement list as decoded: entries in order, nothing believed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from enum import Enum
from functools import reduce
from operator import add
from typing import overload

IMA_PCR = 10
"""The PCR that Linux extends by default (CONFIG_IMA_MEASURE_PCR_IDX)."""


class ListForm(Enum):
    """Which of the kernel's two files it came from."""

    ASCII = "ascii"
    BINARY = "binary"


class ViolationKind(Enum):
    """Why the kernel could not vouch for a file; the list itself does not say, its order does."""

    OPEN_WRITERS = "open-writers"
    TOMTOU = "ToMToU"
    UNKNOWN = "violation"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImaEntry:
    """One list entry.

    `reported_template_digest`: the list's own column; `template_data`: the bytes that the kernel hashed, None where
    the ascii form does not hold them all; `digest_alg` is the label in the file digest, `sha1` where there is none,
    `verity:sha256` and the like where the digest is fs-verity's and not that of the file's bytes, empty for a template
    that is not known; `path` is the file name's exact bytes without its terminator; `signature` is the field `sig` or
    `evmsig`, `payload` the field `buf` or `modsig`.
    """

    index: int
    pcr: int
    reported_template_digest: bytes
    template: str
    template_data: bytes | None
    digest_alg: str
    digest: bytes
    path: bytes
    signature: bytes = b""
    payload: bytes = b""

    @property
    def is_violation(self) -> bool:
        """The kernel recorded a violation instead of a measurement."""
        return not any(self.reported_template_digest)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImaColumns(Sequence[ImaEntry]):
    """Entries kept field by field: as long as nobody asks for one, it is never made an object.

    first: the index of the first entry in its list. Every other field holds one value an entry, in the order of
    `ImaEntry`; `pcrs` are single bytes.
    """

    first: int = 0
    pcrs: bytes
    reported_template_digests: tuple[bytes, ...]
    templates: tuple[str, ...]
    template_data: tuple[bytes | None, ...]
    digest_algs: tuple[str, ...]
    digests: tuple[bytes, ...]
    paths: tuple[bytes, ...]
    signatures: tuple[bytes, ...]
    payloads: tuple[bytes, ...]

    @classmethod
    def of(cls, entries: Iterable[ImaEntry], *, first: int = 0) -> "ImaColumns":
        """These entries, numbered anew from `first` on."""
        some = tuple(entries)
        return cls(
            first=first,
            pcrs=bytes(entry.pcr for entry in some),
            reported_template_digests=tuple(entry.reported_template_digest for entry in some),
            templates=tuple(entry.template for entry in some),
            template_data=tuple(entry.template_data for entry in some),
            digest_algs=tuple(entry.digest_alg for entry in some),
            digests=tuple(entry.digest for entry in some),
            paths=tuple(entry.path for entry in some),
            signatures=tuple(entry.signature for entry in some),
            payloads=tuple(entry.payload for entry in some),
        )

    def __len__(self) -> int:
        return len(self.paths)

    @overload
    def __getitem__(self, place: int) -> ImaEntry: ...

    @overload
    def __getitem__(self, place: slice) -> "ImaColumns": ...

    def __getitem__(self, place: int | slice) -> "ImaEntry | ImaColumns":
        if isinstance(place, slice):
            start, stop, step = place.indices(len(self))
            if step != 1:
                raise ValueError("entries are taken in their order, without gaps")
            if stop - start == len(self):
                return self
            return ImaColumns(first=self.first + start, **{name: getattr(self, name)[place] for name in COLUMNS})
        return ImaEntry(
            index=self.first + range(len(self))[place],
            pcr=self.pcrs[place],
            reported_template_digest=self.reported_template_digests[place],
            template=self.templates[place],
            template_data=self.template_data[place],
            digest_alg=self.digest_algs[place],
            digest=self.digests[place],
            path=self.paths[place],
            signature=self.signatures[place],
            payload=self.payloads[place],
        )

    def __add__(self, further: "ImaColumns") -> "ImaColumns":
        """These entries and those that follow them."""
        joined = {name: getattr(self, name) + getattr(further, name) for name in COLUMNS}
        return ImaColumns(first=self.first, **joined)

    @property
    def violations(self) -> tuple[int, ...]:
        """The places of the entries that are violations, from 0 on."""
        columns = self.reported_template_digests
        zeros = {bytes(size) for size in set(map(len, columns))}
        if zeros.isdisjoint(columns):
            return ()
        return tuple(place for place, column in enumerate(columns) if column in zeros)


COLUMNS = tuple(column.name for column in fields(ImaColumns) if column.name != "first")
"""The names of the columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImaParts(Sequence[ImaEntry]):
    """A list that came bit by bit, without copying all of it for each bit; every part follows on the one before."""

    parts: tuple[ImaColumns, ...]

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    @overload
    def __getitem__(self, place: int) -> ImaEntry: ...

    @overload
    def __getitem__(self, place: slice) -> ImaColumns: ...

    def __getitem__(self, place: int | slice) -> ImaEntry | ImaColumns:
        return self.joined()[place]

    def joined(self) -> ImaColumns:
        """All entries in one piece."""
        return _join(self.parts)

    def since(self, index: int) -> ImaColumns:
        """The entries from this index on."""
        last = _join([part for part in self.parts if part.first + len(part) > index])
        return last[index - last.first :] if last else ImaColumns.of((), first=index)

    def followed_by(self, further: ImaColumns) -> "ImaParts":
        """The list with these entries at its end; each part stays longer than the one after it, so there are few."""
        parts = list(self.parts)
        while parts and len(parts[-1]) <= len(further):
            further = parts.pop() + further
        return ImaParts(parts=(*parts, further) if further else tuple(parts))


def _join(parts: Sequence[ImaColumns]) -> ImaColumns:
    """Parts that follow one another, in one piece."""
    return reduce(add, parts) if parts else ImaColumns.of(())


@dataclass(frozen=True, slots=True, kw_only=True)
class ImaList:
    """A whole list; `digest_size` is the length of its template digest column in bytes.

    node_start: the index at which the list that the node shows begins; what stands before it was shown by kernels that
    ran before in this boot, and was not carried on by a kexec.
    """

    form: ListForm
    digest_size: int
    entries: Sequence[ImaEntry]
    node_start: int = 0

    @property
    def columns(self) -> ImaColumns:
        """The entries field by field."""
        if isinstance(self.entries, ImaParts):
            return self.entries.joined()
        return self.entries if isinstance(self.entries, ImaColumns) else ImaColumns.of(self.entries)

    @property
    def templates(self) -> tuple[str, ...]:
        """The template names that occur, sorted."""
        return tuple(sorted(set(self.columns.templates)))
