"""CBOR's data model where Python has no type for it: tags, simple values, and containers that know where they stood."""

from typing import NamedTuple, TypeAlias


class Tagged(NamedTuple):
    """A tagged item; what the tag means is left to whoever knows the format. RFC 8949, 3.4."""

    tag: int
    value: object


class Encoded(NamedTuple):
    """An item that was encoded before, to be written as it is; decoding yields none."""

    raw: bytes


class Simple(NamedTuple):
    """A simple value other than false, true and null; 23 is `undefined`. RFC 8949, 3.3."""

    number: int


Key: TypeAlias = int | str | bytes
"""What a map key may be here; other types have no order that formats rely on."""


class Map(dict[Key, object]):
    """A map; `offset` is that of its head, in bytes from the start of the input."""

    __slots__ = ("offset",)

    def __init__(self, offset: int = 0) -> None:
        super().__init__()
        self.offset = offset


class Array(list[object]):
    """An array; `offset` is that of its head, in bytes from the start of the input."""

    __slots__ = ("offset",)

    def __init__(self, offset: int = 0) -> None:
        super().__init__()
        self.offset = offset
