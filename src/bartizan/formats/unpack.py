"""Decompression on a budget: gzip (RFC 1952) and xz, in steps of bounded size. What is inside is left to others."""

import lzma
import zlib
from typing import Protocol

from bartizan.errors import DecodeError

STEP = 1 << 20
"""Bytes unpacked at a time, so that a bomb costs no memory."""
XZ_MEMORY = 256 * 1024 * 1024
"""Bytes that xz may use; its highest preset (-9) needs 65 MiB."""
GZIP_WINDOW = 31
"""zlib's number for: 32 KiB window, with a gzip header."""
FORMS = ("xz", "gz", "")


class _Engine(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def step(self) -> bytes: ...


class _Gzip:
    def __init__(self, raw: bytes) -> None:
        self._engine = zlib.decompressobj(GZIP_WINDOW)
        self._waiting = raw

    @property
    def eof(self) -> bool:
        return self._engine.eof

    @property
    def unused_data(self) -> bytes:
        return self._engine.unused_data

    def step(self) -> bytes:
        piece = self._engine.decompress(self._waiting, STEP)
        self._waiting = self._engine.unconsumed_tail
        return piece


class _Xz:
    def __init__(self, raw: bytes) -> None:
        self._engine = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY)
        self._waiting = raw

    @property
    def eof(self) -> bool:
        return self._engine.eof

    @property
    def unused_data(self) -> bytes:
        return self._engine.unused_data

    def step(self) -> bytes:
        piece = self._engine.decompress(self._waiting, STEP)
        self._waiting = b""
        return piece


class _Plain:
    unused_data = b""

    def __init__(self, raw: bytes) -> None:
        self._waiting = raw
        self._at = 0

    @property
    def eof(self) -> bool:
        return self._at >= len(self._waiting)

    def step(self) -> bytes:
        piece = self._waiting[self._at : self._at + STEP]
        self._at += len(piece)
        return piece


class Unpacked:
    """A forward-only stream over packed bytes; it never gives out more than `limit` bytes in all."""

    __slots__ = ("_buffer", "_ended", "_engine", "_given", "_limit", "_what", "offset")

    def __init__(self, raw: bytes, *, form: str, limit: int, what: str) -> None:
        """`form`: xz, gz, or empty for bytes that are not packed.

        Raises:
            DecodeError: another form.
        """
        if form not in FORMS:
            raise DecodeError(what, 0, f"packed as {form[:20]!a}; only xz, gz and not packed can be read")
        self._engine: _Engine = _Xz(raw) if form == "xz" else _Gzip(raw) if form == "gz" else _Plain(raw)
        self._buffer = b""
        self._given = self.offset = 0
        self._limit = limit
        self._what = what
        self._ended = False

    def take(self, size: int) -> bytes:
        """Up to `size` bytes, fewer only at the end.

        Raises:
            DecodeError: the packed bytes are broken, cut off or followed by others, or unpack to more than the limit.
        """
        pieces = [self._buffer]
        have = len(self._buffer)
        while have < size and not self._ended:
            piece = self._step()
            pieces.append(piece)
            have += len(piece)
        whole = b"".join(pieces)
        self._buffer = whole[size:]
        taken = whole[:size]
        self.offset += len(taken)
        return taken

    def _step(self) -> bytes:
        if self._engine.eof:
            if self._engine.unused_data:
                raise DecodeError(
                    self._what, self._given, f"{len(self._engine.unused_data)} bytes after the packed data"
                )
            self._ended = True
            return b""
        try:
            piece = self._engine.step()
        except (zlib.error, lzma.LZMAError, EOFError) as error:
            raise DecodeError(self._what, self._given, f"cannot be unpacked: {error}") from error
        if not piece and not self._engine.eof:
            raise DecodeError(self._what, self._given, "the packed data is cut off")
        self._given += len(piece)
        if self._given > self._limit:
            raise DecodeError(self._what, self._given, f"unpacks to more than the limit of {self._limit} bytes")
        return piece


def unpack(raw: bytes, *, form: str, limit: int, what: str) -> bytes:
    """All of it at once.

    Raises:
        DecodeError: as `Unpacked`.
    """
    stream = Unpacked(raw, form=form, limit=limit, what=what)
    return stream.take(limit) + stream.take(1)
