"""An IMA measurement list as decoded: entries in order, nothing believed."""

from dataclasses import dataclass
from enum import Enum

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
class ImaList:
    """A whole list; `digest_size` is the length of its template digest column in bytes."""

    form: ListForm
    digest_size: int
    entries: tuple[ImaEntry, ...]

    @property
    def templates(self) -> tuple[str, ...]:
        """The template names that occur, sorted."""
        return tuple(sorted({entry.template for entry in self.entries}))
