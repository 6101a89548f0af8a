"""What people say beside verdicts: that nodes are in maintenance, that a finding is known. No verdict changes by it."""

from dataclasses import dataclass
from enum import StrEnum


class StatementKind(StrEnum):
    """What is said."""

    MAINTENANCE = "maintenance"
    ACKNOWLEDGEMENT = "acknowledgement"


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """Somebody's word on some nodes, for a time. Times in milliseconds since 1970 UTC.

    check, path: of an acknowledgement, path None for every file; id: None until it is stored; signature: the service's,
    over everything else but the id.
    """

    kind: StatementKind
    project: int
    scope: str
    reason: str
    begins_at: int
    ends_at: int
    created_at: int
    created_by: str
    check: str | None = None
    path: str | None = None
    id: int | None = None
    signature: bytes | None = None

    @property
    def said(self) -> dict[str, str | int | None]:
        """What is signed."""
        return {
            "statement": self.kind.value,
            "project": self.project,
            "scope": self.scope,
            "check": self.check,
            "path": self.path,
            "reason": self.reason,
            "begins_at": self.begins_at,
            "ends_at": self.ends_at,
            "created_at": self.created_at,
            "created_by": self.created_by,
        }

    def counts(self, at: int) -> bool:
        """It is its time."""
        return self.begins_at <= at < self.ends_at
