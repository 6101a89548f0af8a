"""What a decoded CBOR item must look like: checks with a path and an offset for whoever reads the refusal."""

from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeVar

from bartizan.errors import DecodeError
from bartizan.formats.cbor import decode_cbor
from bartizan.model.cbor import Array, Key, Map, Simple, Tagged

Found = TypeVar("Found")
JSON_STARTS = (b"{", b"[")
"""In CBOR these begin strings of over 4 GiB."""
KINDS: Mapping[type, str] = {
    bool: "a boolean",
    int: "an integer",
    float: "a float",
    str: "text",
    bytes: "bytes",
    Array: "an array",
    Map: "a map",
    type(None): "null",
    Simple: "a simple value",
}


class Place(NamedTuple):
    """Where a value stands: a path in words, and the offset of the container around it in bytes."""

    what: str
    offset: int = 0

    def at(self, part: object) -> "Place":
        """The place of a member."""
        return Place(f"{self.what}.{part}", self.offset)

    def refuse(self, why: str) -> DecodeError:
        """A `DecodeError` for this place, for the caller to raise."""
        return DecodeError(self.what, self.offset, why)


Read = Callable[[object, Place], Found]


def kind(value: object) -> str:
    """What a value is, in words."""
    return f"tag {value.tag}" if isinstance(value, Tagged) else KINDS.get(type(value), "something else")


class Fields:
    """A map whose members are asked for one by one; what nobody asked for stays for `rest` or `finish`."""

    def __init__(self, value: object, place: Place) -> None:
        if not isinstance(value, Map):
            raise place.refuse(f"a map expected, found {kind(value)}")
        self.place = Place(place.what, value.offset)
        self._left = dict(value)

    def need(self, key: Key, name: str, read: Read[Found]) -> Found:
        """A member that must be there.

        Raises:
            DecodeError: it is not, or not what it must be.
        """
        if key not in self._left:
            raise self.place.refuse(f"{name} ({key!a}) is missing")
        return read(self._left.pop(key), self.place.at(name))

    def maybe(self, key: Key, name: str, read: Read[Found]) -> Found | None:
        """A member that may be there.

        Raises:
            DecodeError: it is there, and not what it must be.
        """
        return read(self._left.pop(key), self.place.at(name)) if key in self._left else None

    def some(self, key: Key, name: str, read: Read[tuple[Found, ...]]) -> tuple[Found, ...]:
        """A list that may be there; none at all is an empty one."""
        return self.maybe(key, name, read) or ()

    def rest(self) -> Mapping[Key, object]:
        """What is left: extensions, by their numbers and names."""
        return self._left

    def finish(self) -> None:
        """The end of a map that has no extensions.

        Raises:
            DecodeError: members are left.
        """
        if self._left:
            raise self.place.refuse(f"unknown members {sorted(map(str, self._left))[:8]}")


def text(value: object, place: Place) -> str:
    """A text string."""
    if not isinstance(value, str):
        raise place.refuse(f"text expected, found {kind(value)}")
    return value


def octets(value: object, place: Place) -> bytes:
    """A byte string."""
    if not isinstance(value, bytes):
        raise place.refuse(f"bytes expected, found {kind(value)}")
    return value


def integer(value: object, place: Place) -> int:
    """An integer of either sign."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise place.refuse(f"an integer expected, found {kind(value)}")
    return value


def unsigned(value: object, place: Place) -> int:
    """An integer that is not negative."""
    number = integer(value, place)
    if number < 0:
        raise place.refuse(f"0 or more expected, found {number}")
    return number


def boolean(value: object, place: Place) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise place.refuse(f"a boolean expected, found {kind(value)}")
    return value


def number_or_text(value: object, place: Place) -> int | str:
    """An integer or text: a registered value or a private one."""
    return value if isinstance(value, str) else integer(value, place)


def sized(*sizes: int) -> Read[bytes]:
    """Bytes of one of these lengths."""

    def read(value: object, place: Place) -> bytes:
        found = octets(value, place)
        if len(found) not in sizes:
            raise place.refuse(f"{' or '.join(map(str, sizes))} bytes expected, found {len(found)}")
        return found

    return read


def array(value: object, place: Place) -> Array:
    """An array."""
    if not isinstance(value, Array):
        raise place.refuse(f"an array expected, found {kind(value)}")
    return value


def many(read: Read[Found], *, least: int = 1) -> Read[tuple[Found, ...]]:
    """An array of at least so many of one kind."""

    def read_all(value: object, place: Place) -> tuple[Found, ...]:
        items = array(value, place)
        if len(items) < least:
            raise place.refuse(f"at least {least} expected, found {len(items)}")
        inside = Place(place.what, items.offset)
        return tuple(read(item, inside.at(index)) for index, item in enumerate(items))

    return read_all


def one_or_more(read: Read[Found]) -> Read[tuple[Found, ...]]:
    """One, or an array of two and more (CoSWID's one-or-more; an array of one is read as well); RFC 9393, 2.2."""

    def read_any(value: object, place: Place) -> tuple[Found, ...]:
        return many(read)(value, place) if isinstance(value, Array) else (read(value, place),)

    return read_any


def record(value: object, place: Place, *, least: int, most: int) -> Array:
    """An array that stands for a structure of so many members."""
    items = array(value, place)
    if not least <= len(items) <= most:
        wanted = str(least) if least == most else f"{least} to {most}"
        raise place.refuse(f"an array of {wanted} expected, found {len(items)}")
    return items


def document(raw: bytes, what: str) -> object:
    """The item of a whole file, told from JSON, which manifests are written in by hand but not exchanged in.

    Raises:
        DecodeError: JSON, or not one well-formed item.
    """
    if raw.lstrip()[:1] in JSON_STARTS:
        raise DecodeError(what, 0, "JSON text; this format is CBOR")
    return decode_cbor(raw)


def embedded(value: object, place: Place) -> object:
    """What a byte string holds as CBOR; offsets below count from its first byte.

    Raises:
        DecodeError: no byte string, or it holds no single item.
    """
    try:
        return decode_cbor(octets(value, place))
    except DecodeError as error:
        raise DecodeError(f"{place.what}: {error.what}", error.offset, error.why) from error
