"""Event data as firmware writes it, made from parts, so that a test can break one part at a time."""

import struct
from collections.abc import Sequence

from bartizan.model.boot_log import Event
from bartizan.model.uefi import EFI_GLOBAL, Guid, SignatureEntry, SignatureList, guid

OWNER = guid("77fa9abd-0359-4d32-bd60-28f4e78f784b")
SHA256_LIST = guid("c1c41626-504c-4092-aca9-41f936934328")
X509_LIST = guid("a5c059a1-94e4-4aa7-87b5-ab155c2bf072")
END = b"\x7f\xff\x04\x00"


def utf16(text: str) -> bytes:
    return text.encode("utf-16-le", "surrogatepass")


def event(kind: int, data: bytes, *, pcr: int = 0) -> Event:
    return Event(index=0, offset=0, pcr=pcr, reported_type=kind, digests={}, data=data)


def variable(name: str, data: bytes = b"", *, vendor: Guid = EFI_GLOBAL) -> bytes:
    raw = utf16(name)
    return vendor + struct.pack("<QQ", len(raw) // 2, len(data)) + raw + data


def signature_list(kind: Guid, entries: Sequence[tuple[bytes, bytes]], *, header: bytes = b"", size: int = 48) -> bytes:
    body = header + b"".join(owner + data for owner, data in entries)
    return kind + struct.pack("<III", 28 + len(body), len(header), size) + body


def encoded(lists: Sequence[SignatureList]) -> bytes:
    return b"".join(
        signature_list(each.signature_type, each.entries, header=each.header, size=16 + len(_first(each.entries).data))
        for each in lists
    )


def _first(entries: Sequence[SignatureEntry]) -> SignatureEntry:
    return entries[0] if entries else SignatureEntry(OWNER, bytes(32))


def node(kind: int, subtype: int, data: bytes = b"") -> bytes:
    return struct.pack("<BBH", kind, subtype, 4 + len(data)) + data


def file_node(text: str) -> bytes:
    return node(4, 4, utf16(text + "\0"))


def image_load(path: bytes, *, extra: bytes = b"") -> bytes:
    return struct.pack("<QQQQ", 0x1000, 0x2000, 0x3000, len(path)) + path + extra


def load_option(description: str, path: bytes, *, attributes: int = 1, extra: bytes = b"") -> bytes:
    return struct.pack("<IH", attributes, len(path)) + utf16(description + "\0") + path + extra


def partition(name: str, *, size: int = 128) -> bytes:
    kind = guid("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
    entry = kind + bytes(16) + struct.pack("<QQQ", 34, 99, 1) + utf16(name).ljust(72, b"\0")
    return entry.ljust(size, b"\0")


def partition_table(
    partitions: Sequence[bytes], *, entry_size: int = 128, signature: bytes = b"EFI PART", count: int | None = None
) -> bytes:
    header = struct.pack(
        "<8sIIII4Q16sQIII", signature, 0x10000, 92, 0, 0, 1, 9, 34, 999, bytes(16), 2, 128, entry_size, 0
    )
    return header + struct.pack("<Q", len(partitions) if count is None else count) + b"".join(partitions)


def tag(number: int, data: bytes) -> bytes:
    return struct.pack("<II", number, len(data)) + data


def certificate(size: int = 300) -> bytes:
    """Bytes with a certificate's outermost header, and nothing else of one."""
    return b"\x30\x82" + (size - 4).to_bytes(2, "big") + bytes(size - 4)
