"""Reference Values: what a good machine measures. Nothing here judges."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bartizan.model.digest import HashAlg


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceEvent:
    """One measurement of a boot declared good: its digests by bank, and a label for people.

    provenance: words about where this value comes from, where that is more than the set's own source.
    """

    pcr: int
    digests: Mapping[HashAlg, bytes]
    label: str
    provenance: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Origin:
    """The package that a value was computed from; `signer` is the fingerprint of the key that vouches for it."""

    package: str
    version: str
    architecture: str
    repository: str
    signer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceFile:
    """One file's digest, as IMA reports it; `changeable`: a configuration file, which the administrator may change."""

    path: bytes
    alg: str
    digest: bytes
    origin: Origin | None = None
    changeable: bool = False


class ReferenceState(StrEnum):
    """Where a set stands in its life; only an approved one recognises anything."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    RETIRED = "retired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceSet:
    """A named set; `digest` is SHA-256 over its canonical document, so that a result can name exactly this one.

    valid_from, valid_until: aware UTC, to the second; None stands for no limit.
    """

    name: str
    source: str
    events: tuple[ReferenceEvent, ...]
    files: tuple[ReferenceFile, ...]
    digest: str
    state: ReferenceState = ReferenceState.APPROVED
    valid_from: datetime | None = None
    valid_until: datetime | None = None

    def in_force(self, now: datetime) -> bool:
        """It is approved, and the time is within its window: from the first instant on, before the last."""
        begun = self.valid_from is None or now >= self.valid_from
        return self.state is ReferenceState.APPROVED and begun and (self.valid_until is None or now < self.valid_until)
