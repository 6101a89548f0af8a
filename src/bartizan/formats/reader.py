"""A bounded, forward-only reader over untrusted bytes. It knows its offset and never reads past its end."""

from struct import Struct
from typing import Any, ClassVar

from bartizan.errors import DecodeError

BIG_U16, BIG_U32, BIG_U64 = Struct(">H"), Struct(">I"), Struct(">Q")
LITTLE_U16, LITTLE_U32, LITTLE_U64 = Struct("<H"), Struct("<I"), Struct("<Q")


class Reader:
    """Big-endian reader (TPM wire order) over one buffer or a window of it."""

    __slots__ = ("_data", "_end", "offset")

    _u16: ClassVar[Struct] = BIG_U16
    _u32: ClassVar[Struct] = BIG_U32
    _u64: ClassVar[Struct] = BIG_U64

    def __init__(self, data: bytes, *, start: int = 0, end: int | None = None) -> None:
        self._data = data
        self._end = len(data) if end is None else end
        self.offset = start

    @property
    def remaining(self) -> int:
        """Bytes left in this window."""
        return self._end - self.offset

    def refuse(self, what: str, why: str) -> DecodeError:
        """A `DecodeError` at the present offset, for the caller to raise."""
        return DecodeError(what, self.offset, why)

    def take(self, size: int, what: str) -> bytes:
        """The next `size` bytes.

        Raises:
            DecodeError: fewer are left.
        """
        start = self.offset
        stop = start + size
        if stop > self._end or size < 0:
            raise DecodeError(what, start, f"{size} bytes expected, {self._end - start} left")
        self.offset = stop
        return self._data[start:stop]

    def unpack(self, layout: Struct, what: str) -> tuple[Any, ...]:
        """The fields of one fixed layout.

        Raises:
            DecodeError: fewer bytes are left than the layout has.
        """
        start = self.offset
        stop = start + layout.size
        if stop > self._end:
            raise DecodeError(what, start, f"{layout.size} bytes expected, {self._end - start} left")
        self.offset = stop
        return layout.unpack_from(self._data, start)

    def glance(self, layout: Struct) -> tuple[Any, ...] | None:
        """The fields of one fixed layout ahead, without moving on; None where fewer bytes are left."""
        offset = self.offset
        return layout.unpack_from(self._data, offset) if offset + layout.size <= self._end else None

    def u8(self, what: str) -> int:
        """One byte as a number."""
        offset = self.offset
        if offset >= self._end:
            raise DecodeError(what, offset, "1 bytes expected, 0 left")
        self.offset = offset + 1
        return self._data[offset]

    def u16(self, what: str) -> int:
        """Two bytes as a number."""
        number: int = self.unpack(self._u16, what)[0]
        return number

    def u32(self, what: str) -> int:
        """Four bytes as a number."""
        number: int = self.unpack(self._u32, what)[0]
        return number

    def u64(self, what: str) -> int:
        """Eight bytes as a number."""
        number: int = self.unpack(self._u64, what)[0]
        return number

    def sized16(self, what: str, *, limit: int) -> bytes:
        """A 16-bit length and that many bytes (TPM2B).

        Raises:
            DecodeError: the length is over `limit` or over what is left.
        """
        start = self.offset
        size = self.u16(what)
        if size > limit:
            raise DecodeError(what, start, f"length {size} is over the limit of {limit}")
        return self.take(size, what)

    def sized32(self, what: str, *, limit: int) -> bytes:
        """A 32-bit length and that many bytes.

        Raises:
            DecodeError: the length is over `limit` or over what is left.
        """
        start = self.offset
        size = self.u32(what)
        if size > limit:
            raise DecodeError(what, start, f"length {size} is over the limit of {limit}")
        return self.take(size, what)

    def rest(self) -> bytes:
        """All bytes that are left."""
        return self.take(self._end - self.offset, "rest")

    def peek(self, size: int) -> bytes:
        """Up to `size` bytes ahead, without moving on."""
        return self._data[self.offset : min(self.offset + size, self._end)]

    def peek_rest(self) -> bytes:
        """All bytes that are left, without moving on."""
        return self._data[self.offset : self._end]

    def finish(self, what: str) -> None:
        """End of input.

        Raises:
            DecodeError: bytes are left over.
        """
        if self.offset != self._end:
            raise DecodeError(what, self.offset, f"{self._end - self.offset} bytes left over")


class LittleReader(Reader):
    """Little-endian reader (UEFI, event logs, IMA)."""

    __slots__ = ()

    _u16: ClassVar[Struct] = LITTLE_U16
    _u32: ClassVar[Struct] = LITTLE_U32
    _u64: ClassVar[Struct] = LITTLE_U64
