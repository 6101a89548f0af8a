"""CBOR (RFC 8949), the part that the protocol uses: integers, bytes, text, arrays, maps, true, false, null.

Only the deterministic encoding (4.2.1) is written and only that is read: decoding then encoding gives back the same
bytes, or the input is refused. No tags, no floats, nothing of indefinite length.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Dict, List, Tuple, Union

from bartizan.agent.errors import MessageError

Key = Union[int, bytes, str]

MAX_DEPTH = 16
"""Containers within one another; the protocol's documents nest five deep."""
MAX_ITEMS = 100_000
"""Items of one input; a reply of the protocol has some hundreds."""

UINT, NEGATIVE, OCTETS, TEXT, ARRAY, MAP, _TAG, OTHER = range(8)
ONE_BYTE = 24
"""In the head's low bits: the argument follows in 1, 2, 4 or 8 bytes from here on; below, it is the argument."""
SIZES = {ONE_BYTE: 1, 25: 2, 26: 4, 27: 8}
WORDS: Mapping[int, object] = {20: False, 21: True, 22: None}


class CborError(MessageError):
    """The input is no deterministic CBOR document within the limits."""

    def __init__(self, offset: int, why: str) -> None:
        super().__init__(f"CBOR at byte {offset}", why)
        self.offset = offset


def encode(value: object) -> bytes:
    """One item in the deterministic encoding.

    Raises:
        TypeError: a type that the protocol does not use. OverflowError: a number beyond 64 bits. Both are bugs here.
    """
    parts: List[bytes] = []
    _write(value, parts)
    return b"".join(parts)


def _write(value: object, parts: List[bytes]) -> None:
    if value is None or isinstance(value, bool):
        parts.append(b"\xf6" if value is None else b"\xf5" if value else b"\xf4")
    elif isinstance(value, int):
        parts.append(_head(UINT, value) if value >= 0 else _head(NEGATIVE, -1 - value))
    elif isinstance(value, (bytes, str)):
        octets = value if isinstance(value, bytes) else value.encode("utf-8")
        parts += (_head(OCTETS if isinstance(value, bytes) else TEXT, len(octets)), octets)
    elif isinstance(value, Mapping):
        parts.append(_head(MAP, len(value)))
        for key, item in sorted((encode(key), item) for key, item in value.items()):
            parts.append(key)
            _write(item, parts)
    elif isinstance(value, (list, tuple)):
        parts.append(_head(ARRAY, len(value)))
        for item in value:
            _write(item, parts)
    else:
        raise TypeError(f"{type(value).__name__} is not written as CBOR")


def _head(major: int, argument: int) -> bytes:
    if argument < ONE_BYTE:
        return bytes([major << 5 | argument])
    for detail, size in SIZES.items():
        if argument < 1 << (8 * size):
            return bytes([major << 5 | detail]) + argument.to_bytes(size, "big")
    raise OverflowError(f"{argument} has more than 64 bits")


def decode(raw: bytes) -> object:
    """The one item that an input holds.

    Raises:
        CborError: anything else than one item in the deterministic encoding, or over a limit.
    """
    reader = _Reader(raw)
    value = reader.item(0)
    if reader.offset != len(raw):
        raise CborError(reader.offset, f"{len(raw) - reader.offset} bytes left over")
    return value


class _Reader:
    """One input, how far it was read, and how many items it had so far."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self.offset = 0
        self._items = 0

    def _take(self, size: int) -> bytes:
        start, end = self.offset, self.offset + size
        if end > len(self._raw):
            raise CborError(start, f"{size} bytes expected, {len(self._raw) - start} left")
        self.offset = end
        return self._raw[start:end]

    def _head(self) -> Tuple[int, int]:
        """Major type and argument, which must be in the shortest form; 4.2.1."""
        start = self.offset
        head = self._take(1)[0]
        major, detail = head >> 5, head & 31
        if major == OTHER or detail < ONE_BYTE:
            return major, detail
        if detail not in SIZES:
            raise CborError(start, "an indefinite length or a reserved form")
        size = SIZES[detail]
        argument = int.from_bytes(self._take(size), "big")
        if argument < (ONE_BYTE if size == 1 else 1 << (4 * size)):
            raise CborError(start, "a number in a longer form than needed")
        return major, argument

    def item(self, depth: int) -> object:
        """The next item with all that is in it."""
        start = self.offset
        self._items += 1
        if depth > MAX_DEPTH or self._items > MAX_ITEMS:
            raise CborError(start, f"nested deeper than {MAX_DEPTH}, or more than {MAX_ITEMS} items")
        major, argument = self._head()
        if major in (UINT, NEGATIVE):
            return argument if major == UINT else -1 - argument
        if major in (OCTETS, TEXT):
            return self._string(major, self._take(argument), start)
        if major == ARRAY:
            self._check_count(argument, start)
            return [self.item(depth + 1) for _ in range(argument)]
        if major == MAP:
            self._check_count(2 * argument, start)
            return self._map(argument, depth)
        if major == OTHER and argument in WORDS:
            return WORDS[argument]
        raise CborError(start, "a tag, a float or a simple value")

    def _check_count(self, least: int, start: int) -> None:
        """Every item needs a byte at least: a count that cannot be true is refused before anything is read."""
        if least > len(self._raw) - self.offset:
            raise CborError(start, f"{least} items announced, {len(self._raw) - self.offset} bytes left")

    @staticmethod
    def _string(major: int, octets: bytes, start: int) -> Union[bytes, str]:
        if major == OCTETS:
            return octets
        try:
            return octets.decode("utf-8")
        except UnicodeDecodeError as error:
            raise CborError(start, "text that is not UTF-8") from error

    def _map(self, count: int, depth: int) -> Dict[Key, object]:
        """Keys in the order of their bytes, none twice; 4.2.1."""
        found: Dict[Key, object] = {}
        last = b""
        for _ in range(count):
            start = self.offset
            key = self.item(depth + 1)
            encoded = self._raw[start : self.offset]
            if not isinstance(key, (int, bytes, str)) or isinstance(key, bool):
                raise CborError(start, "a key that is neither a number, bytes nor text")
            if encoded <= last:
                raise CborError(start, "keys out of order, or one of them twice")
            last = encoded
            found[key] = self.item(depth + 1)
        return found
