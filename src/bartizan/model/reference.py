"""Reference Values: what a good machine measures. Nothing here judges."""

from collections.abc import Mapping
from dataclasses import dataclass

from bartizan.model.digest import HashAlg


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceEvent:
    """One measurement of a boot declared good: its digests by bank, and a label for people."""

    pcr: int
    digests: Mapping[HashAlg, bytes]
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceFile:
    """One file's digest, as IMA reports it."""

    path: bytes
    alg: str
    digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceSet:
    """A named set; `digest` is SHA-256 over its canonical document, so that a result can name exactly this one."""

    name: str
    source: str
    events: tuple[ReferenceEvent, ...]
    files: tuple[ReferenceFile, ...]
    digest: str
