"""Pages of lists: an opaque cursor says where the next one begins. It grants nothing.

What somebody may see is asked of the database again with every page.
"""

from base64 import urlsafe_b64encode
from collections.abc import Callable, Sequence
from typing import TypeVar
from urllib.parse import urlencode

import msgspec
from litestar.exceptions import ClientException

from bartizan.errors import DecodeError
from bartizan.formats.strict import base64url
from bartizan.web.api.asked import Asked
from bartizan.web.api.shapes import MAX_NUMBER, Page

Row = TypeVar("Row")
Shown = TypeVar("Shown")


class _Place(msgspec.Struct, forbid_unknown_fields=True, array_like=True):
    order: str
    value: str | int
    number: int


def cursor_of(order: str, value: str | int, number: int) -> str:
    """A cursor behind this place of a list in this order."""
    raw = msgspec.json.encode(_Place(order, value, number))
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def place_of(cursor: str, order: str, kind: type[str] | type[int]) -> tuple[str | int, int]:
    """The place that a cursor says.

    Raises:
        ClientException: it is not one of ours, or of a list in another order.
    """
    try:
        place = msgspec.json.decode(base64url(cursor, "cursor"), type=_Place, strict=True)
    except (DecodeError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ClientException("cursor: not one that came from here") from error
    numbers = [one for one in (place.value, place.number) if isinstance(one, int)]
    fits = type(place.value) is kind and all(abs(one) <= MAX_NUMBER for one in numbers)
    if place.order != order or not fits or cursor_of(place.order, place.value, place.number) != cursor:
        raise ClientException("cursor: not one of this list in this order")
    return place.value, place.number


def before_number(cursor: str | None, order: str) -> int | None:
    """For lists with the newest first: the number that the page is behind."""
    return None if cursor is None else place_of(cursor, order, int)[1]


def newest_first(
    request: Asked,
    rows: Sequence[Row],
    show: Callable[[Row], Shown],
    *,
    order: str,
    limit: int,
    number: Callable[[Row], int],
) -> Page[Shown]:
    """A page of rows, of which one more than the limit was asked for, if there are so many."""
    more = len(rows) > limit
    last = number(rows[limit - 1]) if more else 0
    following = next_path(request, cursor_of(order, last, last)) if more else None
    return Page(items=[show(row) for row in rows[:limit]], next=following)


def part(rows: Sequence[Row], number: Callable[[Row], int], *, before: int | None, limit: int) -> list[Row]:
    """Of a list that is whole in memory, the newest first, what a page needs."""
    return [row for row in rows if before is None or number(row) < before][: limit + 1]


def next_path(request: Asked, cursor: str) -> str:
    """The path of the next page: this request's, with another cursor."""
    given = [(name, value) for name, value in request.query_params.multi_items() if name != "cursor"]
    return f"{request.url.path}?{urlencode([*given, ('cursor', cursor)])}"
