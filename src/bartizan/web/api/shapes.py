"""Kinds of values that requests are made of, and how times are shown. Every one is bounded."""

from datetime import UTC, datetime
from typing import Annotated, Generic, TypeVar

import msgspec
from litestar.params import PathParameter, QueryParameter
from msgspec import Meta

NAME_PATTERN = r"^[A-Za-z0-9._-]{1,128}(?!\n)$"
WILD_PATTERN = r"^[A-Za-z0-9._-]{0,128}\*?(?!\n)$"
TEXT_PATTERN = r"^[^\x00-\x1f\x7f]+(?!\n)$"
SCOPE_PATTERN = r"^(all|(node|role):[A-Za-z0-9._-]{1,128})(?!\n)$"
NONCE_PATTERN = r"^[A-Za-z0-9+/=_.-]{8,88}(?!\n)$"
MAX_NUMBER = (1 << 53) - 1
"""The greatest whole number that every JSON reader has."""
MAX_LIMIT = 500

Name = Annotated[str, Meta(min_length=1, max_length=128, pattern=NAME_PATTERN)]
Reason = Annotated[str, Meta(min_length=1, max_length=1024, pattern=TEXT_PATTERN)]
Label = Annotated[str, Meta(min_length=1, max_length=128, pattern=TEXT_PATTERN)]

ScopeWords = Annotated[str, Meta(max_length=160, pattern=SCOPE_PATTERN, description="node:NAME, role:ROLE or all")]
Moment = Annotated[datetime, Meta(tz=True)]

PathName = Annotated[str, PathParameter(pattern=NAME_PATTERN, min_length=1, max_length=128)]
Number = Annotated[int, PathParameter(ge=1, le=MAX_NUMBER)]
Exact = Annotated[str | None, QueryParameter(min_length=1, max_length=128)]
"""A filter by a whole name."""
Limit = Annotated[int, QueryParameter(ge=1, le=MAX_LIMIT, description="Items of a page")]
Cursor = Annotated[str | None, QueryParameter(max_length=512, description="`next` of the page before")]

Item = TypeVar("Item")


class Page(msgspec.Struct, Generic[Item], frozen=True, kw_only=True):
    """A part of a list. next: the path of the part behind it; None at the end."""

    items: list[Item]
    next: str | None = None


class Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a request says; a field that is unknown here is refused."""


def moment(milliseconds: int) -> datetime:
    """A time as it is shown."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def milliseconds(time: datetime) -> int:
    """A time as it is kept."""
    return int(time.timestamp() * 1000)


def moment_or_none(milliseconds: int | None) -> datetime | None:
    """The same for one that may not have come."""
    return None if milliseconds is None else moment(milliseconds)
