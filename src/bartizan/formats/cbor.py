"""CBOR (RFC 8949), bounded: one item per input. It gives tags no meaning, so no tag makes it compute anything.

Indefinite lengths and lengths that are not the shortest are read, for CoSWIDs in use have them; what is written is
deterministic (RFC 8949, 4.2.1).
"""

from collections.abc import Mapping, Sequence
from struct import Struct

from bartizan.errors import DecodeError
from bartizan.formats.reader import Reader
from bartizan.model.cbor import Array, Encoded, Key, Map, Simple, Tagged

MAX_CBOR = 64 * 1024 * 1024
"""Bytes of one input; a CoRIM of 100,000 files has about 7 MB."""
MAX_DEPTH = 32
"""Containers and tags within one another; a CoSWID's directories nest twice per level."""
MAX_ITEMS = 4_000_000
"""Items of one input; 100,000 files in a CoSWID are 900,000."""

UINT, NEGATIVE, OCTETS, TEXT, ARRAY, MAP, TAG, OTHER = range(8)
INDEFINITE = 31
BREAK = 0xFF
BREAK_BYTE = bytes([BREAK])
NO_KEY = bytes([ARRAY << 5])
"""From this head on, items are no keys here."""
ONE_BYTE, TWO_BYTES, FOUR_BYTES, EIGHT_BYTES = 24, 25, 26, 27
FLOATS = {TWO_BYTES: Struct(">e"), FOUR_BYTES: Struct(">f"), EIGHT_BYTES: Struct(">d")}
WORDS: dict[int, object] = {20: False, 21: True, 22: None}
FIRST_LONG_SIMPLE = 32
"""Lower simple values have a one-byte form, and only that; RFC 8949, 3.3."""


def decode_cbor(raw: bytes, *, most_items: int = MAX_ITEMS) -> object:
    """The one item that an input holds: int, float, str, bytes, bool, None, `Simple`, `Array`, `Map` or `Tagged`.

    most_items: how many it may be made of, the chunks of its strings included.

    Raises:
        DecodeError: not well-formed, more than one item, a key twice or of another type than int, str and bytes, or a
            limit is passed.
    """
    if len(raw) > MAX_CBOR:
        raise DecodeError("CBOR", 0, f"{len(raw)} bytes are over the limit of {MAX_CBOR}")
    decoder = _Decoder(raw, most_items)
    value = decoder.item(0)
    decoder.reader.finish("CBOR")
    return value


class _Decoder:
    """One input, and how many items it had so far."""

    def __init__(self, raw: bytes, most_items: int) -> None:
        self.reader = Reader(raw)
        self.items = 0
        self.most_items = most_items

    def item(self, depth: int) -> object:
        """The next item, with all that is in it."""
        reader = self.reader
        offset = reader.offset
        self.items += 1
        if self.items > self.most_items:
            raise self._too_many(offset)
        if depth > MAX_DEPTH:
            raise DecodeError("CBOR", offset, f"nested deeper than {MAX_DEPTH}")
        head = reader.u8("CBOR item")
        major, detail = head >> 5, head & 31
        if major == OTHER:
            return self._other(detail, offset)
        argument = detail if detail < ONE_BYTE else self._argument(major, detail, offset)
        if major == OCTETS and argument is not None:
            return reader.take(argument, "CBOR string")
        if major in (ARRAY, MAP):
            return self._container(major, argument, offset, depth)
        if argument is None or major in (OCTETS, TEXT):
            return self._string(major, argument, offset)
        if major == TAG:
            return Tagged(argument, self.item(depth + 1))
        return argument if major == UINT else -1 - argument

    def _too_many(self, offset: int) -> DecodeError:
        return DecodeError("CBOR", offset, f"more than {self.most_items} items")

    def _argument(self, major: int, detail: int, offset: int) -> int | None:
        """What stands in the head: a number, or None for an indefinite length."""
        if detail < ONE_BYTE:
            return detail
        if detail == INDEFINITE and major in (OCTETS, TEXT, ARRAY, MAP):
            return None
        reader = self.reader
        match detail:
            case 24:
                return reader.u8("CBOR head")
            case 25:
                return reader.u16("CBOR head")
            case 26:
                return reader.u32("CBOR head")
            case 27:
                return reader.u64("CBOR head")
        raise DecodeError("CBOR head", offset, f"additional information {detail} has no meaning in major type {major}")

    def _string(self, major: int, size: int | None, offset: int) -> bytes | str:
        octets = self._chunks(major) if size is None else self.reader.take(size, "CBOR string")
        if major == OCTETS:
            return octets
        try:
            return octets.decode("utf-8")
        except UnicodeDecodeError as error:
            raise DecodeError("CBOR text", offset, "not UTF-8") from error

    def _chunks(self, major: int) -> bytes:
        """An indefinite string: definite ones of the same type up to the break; RFC 8949, 3.2.3."""
        found = bytearray()
        while (head := self.reader.u8("CBOR chunk")) != BREAK:
            offset = self.reader.offset - 1
            self.items += 1
            if self.items > self.most_items:
                raise self._too_many(offset)
            size = self._argument(major, head & 31, offset)
            if head >> 5 != major or size is None:
                raise DecodeError("CBOR chunk", offset, "a definite string of the same type expected")
            found += self.reader.take(size, "CBOR chunk")
        return bytes(found)

    def _more(self, count: int | None, done: int) -> bool:
        if count is not None:
            return done < count
        if self.reader.peek(1) == BREAK_BYTE:
            self.reader.u8("CBOR break")
            return False
        return True

    def _container(self, major: int, count: int | None, offset: int, depth: int) -> Array | Map:
        """Every item needs a byte at least: a count that cannot be true is refused before anything is read."""
        least = 1 if major == ARRAY else 2
        if count is not None and count * least > self.reader.remaining:
            raise DecodeError("CBOR count", offset, f"{count} announced, {self.reader.remaining} bytes left")
        return self._array(count, offset, depth) if major == ARRAY else self._map(count, offset, depth)

    def _array(self, count: int | None, offset: int, depth: int) -> Array:
        found = Array(offset)
        while self._more(count, len(found)):
            found.append(self.item(depth + 1))
        return found

    def _map(self, count: int | None, offset: int, depth: int) -> Map:
        found = Map(offset)
        while self._more(count, len(found)):
            key = self._key(found, depth)
            found[key] = self.item(depth + 1)
        return found

    def _key(self, found: Map, depth: int) -> Key:
        offset = self.reader.offset
        if self.reader.peek(1) >= NO_KEY:  # before it is read: nothing that is slow to compare gets in
            raise DecodeError("CBOR key", offset, "an integer, text or bytes expected")
        key = self.item(depth + 1)
        if not isinstance(key, int | str | bytes) or key in found:
            raise DecodeError("CBOR key", offset, f"{key!a:.60} stands twice in one map")
        return key

    def _other(self, detail: int, offset: int) -> object:
        if detail in FLOATS:
            (number,) = self.reader.unpack(FLOATS[detail], "CBOR float")
            return number
        if detail in WORDS:
            return WORDS[detail]
        number = self.reader.u8("CBOR simple value") if detail == ONE_BYTE else detail
        if detail > ONE_BYTE or (detail == ONE_BYTE and number < FIRST_LONG_SIMPLE):
            raise DecodeError("CBOR", offset, f"0x{OTHER << 5 | detail:02x} stands where an item is expected")
        return Simple(number)


def encode_cbor(value: object) -> bytes:
    """An item in the deterministic encoding; floats are not written.

    Raises:
        TypeError: a type that has no place in the documents written here (a bug of the caller).
    """
    match value:
        case bytes():
            return _head(OCTETS, len(value)) + value
        case str():
            octets = value.encode("utf-8")
            return _head(TEXT, len(octets)) + octets
        case bool() | None:
            return {True: b"\xf5", False: b"\xf4", None: b"\xf6"}[value]
        case int():
            return _head(UINT, value) if value >= 0 else _head(NEGATIVE, -1 - value)
        case Encoded() | Tagged():
            return value.raw if isinstance(value, Encoded) else _head(TAG, value.tag) + encode_cbor(value.value)
    return _encode_container(value)


def _encode_container(value: object) -> bytes:
    if isinstance(value, dict | Mapping):  # dict first: it is told at once
        pairs = sorted([(encode_cbor(key), encode_cbor(item)) for key, item in value.items()])
        return _head(MAP, len(pairs)) + b"".join([part for pair in pairs for part in pair])
    if isinstance(value, Sequence):
        return _head(ARRAY, len(value)) + b"".join([encode_cbor(item) for item in value])
    raise TypeError(f"{type(value).__name__} is not written as CBOR")


def _head(major: int, argument: int) -> bytes:
    if argument < ONE_BYTE:
        return SHORT_HEADS[major][argument]
    if argument < 1 << 8:
        return bytes((major << 5 | ONE_BYTE, argument))
    for detail, size in ((TWO_BYTES, 2), (FOUR_BYTES, 4)):
        if argument < 1 << (8 * size):
            return bytes((major << 5 | detail,)) + argument.to_bytes(size, "big")
    return bytes((major << 5 | EIGHT_BYTES,)) + argument.to_bytes(8, "big")


SHORT_HEADS = tuple(tuple(bytes((major << 5 | argument,)) for argument in range(ONE_BYTE)) for major in range(OTHER))
"""Heads that hold their argument, by major type and argument."""
