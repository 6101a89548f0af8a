"""EFI_SIGNATURE_LISTs, as in PK, KEK, db, dbx and their updates; UEFI 2.10, 32.4.1. No certificate is looked into.

Also the single entry that let an image run, and the security versions that Microsoft hides among a dbx's digests.
"""

from collections.abc import Iterable, Mapping
from functools import partial
from struct import Struct

from bartizan.errors import DecodeError
from bartizan.formats.reader import LittleReader
from bartizan.model.uefi import Authority, Guid, SecurityVersion, SignatureEntry, SignatureKind, SignatureList, guid

MAX_LISTS = 1024
"""Signature lists in one variable; firmware holds some dozens, one for each certificate."""
MAX_ENTRIES = 16_384
"""Entries in one list; the largest published dbx holds some 450."""
LIST_HEADER = Struct("<16sIII")
OWNER = 16
"""Bytes of SignatureOwner, part of every entry."""
EFI_TIME = 16
"""Bytes of the revocation time after a certificate's digest; UEFI 2.10, 32.4.1."""

KINDS: Mapping[Guid, SignatureKind] = {
    guid("826ca512-cf10-4ac9-b187-be01496631bd"): SignatureKind.SHA1,
    guid("0b6e5233-a65c-44c9-9407-d9ab83bfc8bd"): SignatureKind.SHA224,
    guid("c1c41626-504c-4092-aca9-41f936934328"): SignatureKind.SHA256,
    guid("ff3e5307-9fd0-48c9-85f1-8ad56c701e01"): SignatureKind.SHA384,
    guid("093e0fae-a6c4-4f50-9f1b-d41e2b89c19a"): SignatureKind.SHA512,
    guid("57347f87-7a9b-403a-b93c-dc4afb7a0ebc"): SignatureKind.SM3,
    guid("3c5766e8-269c-4e34-aa14-ed776e85b3b6"): SignatureKind.RSA2048,
    guid("67f8444f-8743-48f1-a328-1eaab8736080"): SignatureKind.RSA2048_SHA1,
    guid("e2b36190-879b-4a3d-ad8d-f2e7bba32784"): SignatureKind.RSA2048_SHA256,
    guid("a5c059a1-94e4-4aa7-87b5-ab155c2bf072"): SignatureKind.X509,
    guid("3bd2a492-96c0-4079-b420-fcf98ef103ed"): SignatureKind.X509_SHA256,
    guid("7076876e-80c2-4ee6-aad2-28b349a6865b"): SignatureKind.X509_SHA384,
    guid("446dbf63-2502-4cda-bcfa-2465d2b0fe9d"): SignatureKind.X509_SHA512,
    guid("60d807e5-10b4-49a9-9331-e40437888d37"): SignatureKind.X509_SM3,
    guid("452e8ced-dfff-4b8c-ae01-5118862e682c"): SignatureKind.EXTERNAL,
}
DATA_SIZES: Mapping[SignatureKind, int] = {
    SignatureKind.SHA1: 20,
    SignatureKind.SHA224: 28,
    SignatureKind.SHA256: 32,
    SignatureKind.SHA384: 48,
    SignatureKind.SHA512: 64,
    SignatureKind.SM3: 32,
    SignatureKind.RSA2048: 256,
    SignatureKind.RSA2048_SHA1: 256,
    SignatureKind.RSA2048_SHA256: 256,
    SignatureKind.X509_SHA256: 32 + EFI_TIME,
    SignatureKind.X509_SHA384: 48 + EFI_TIME,
    SignatureKind.X509_SHA512: 64 + EFI_TIME,
    SignatureKind.X509_SM3: 32 + EFI_TIME,
    SignatureKind.EXTERNAL: 1,
}
"""Bytes of an entry without its owner; certificates are of any size."""
DIGEST_KINDS: Mapping[int, SignatureKind] = {
    20: SignatureKind.SHA1,
    32: SignatureKind.SHA256,
    48: SignatureKind.SHA384,
    64: SignatureKind.SHA512,
}
SVN_OWNER = guid("9d132b6c-59d5-4388-ab1c-185cfcb2eb92")
"""Owner of the entries that are no digests but security versions (microsoft/secureboot_objects)."""
SVN = Struct("<B16sHH11s")
SVN_VERSION = 1

MAKE_ENTRY = partial(tuple.__new__, SignatureEntry)
"""As SignatureEntry._make, without its count of the fields: the layout has two. A dbx has some hundred entries."""


def decode_signature_lists(raw: bytes, *, start: int = 0) -> tuple[SignatureList, ...]:
    """All signature lists from `start` to the end of the bytes; none at all is an empty database.

    Raises:
        DecodeError: a size that does not add up, too many lists or entries, or bytes left over.
    """
    reader = LittleReader(raw, start=start)
    lists: list[SignatureList] = []
    while reader.remaining:
        if len(lists) == MAX_LISTS:
            raise reader.refuse("EFI_SIGNATURE_LIST", f"more than {MAX_LISTS} lists")
        lists.append(_signature_list(reader))
    return tuple(lists)


def _signature_list(reader: LittleReader) -> SignatureList:
    start = reader.offset
    signature_type, list_size, header_size, entry_size = reader.unpack(LIST_HEADER, "EFI_SIGNATURE_LIST")
    kind = KINDS.get(signature_type)
    body_size = list_size - LIST_HEADER.size - header_size
    if body_size < 0:
        why = f"{list_size} bytes do not hold a header of {header_size}"
        raise DecodeError("SignatureListSize", start + 16, why)
    _check_entry_size(kind, header_size, entry_size, start)
    count, over = divmod(body_size, entry_size)
    if over:
        raise DecodeError("SignatureSize", start + 24, f"entries of {entry_size} bytes do not fill {body_size}")
    if count > MAX_ENTRIES:
        raise DecodeError("SignatureListSize", start + 16, f"{count} entries are over the limit of {MAX_ENTRIES}")
    header = reader.take(header_size, "SignatureHeader")
    body = reader.take(body_size, "Signatures")
    layout = Struct(f"<{OWNER}s{entry_size - OWNER}s")
    entries = tuple(map(MAKE_ENTRY, layout.iter_unpack(body)))
    return SignatureList(signature_type=signature_type, kind=kind, entries=entries, header=header)


def _check_entry_size(kind: SignatureKind | None, header_size: int, entry_size: int, start: int) -> None:
    if kind is not None and header_size:
        raise DecodeError("SignatureHeaderSize", start + 20, f"0 expected for {kind.value}, found {header_size}")
    expected = None if kind is None else DATA_SIZES.get(kind)
    if expected is not None and entry_size != OWNER + expected:
        why = f"{OWNER + expected} expected for {kind and kind.value}, found {entry_size}"
        raise DecodeError("SignatureSize", start + 24, why)
    if entry_size <= OWNER:
        raise DecodeError("SignatureSize", start + 24, f"more than {OWNER} expected, found {entry_size}")


def decode_authority(raw: bytes) -> Authority:
    """The database entry that let an image run, as EV_EFI_VARIABLE_AUTHORITY carries it; PFP 1.06, 3.3.4.8.

    With its owner (EFI_SIGNATURE_DATA) as the specification asks, or the bare certificate or digest as older
    shims measured it. Certificates are told by their DER header, which must span the rest exactly.

    Raises:
        DecodeError: neither a certificate nor a digest.
    """
    if _is_der_sequence(raw):
        return Authority(owner=None, kind=SignatureKind.X509, data=raw)
    reader = LittleReader(raw)
    if reader.remaining > OWNER:
        owner = Guid(reader.take(OWNER, "SignatureOwner"))
        data = reader.rest()
        kind = SignatureKind.X509 if _is_der_sequence(data) else DIGEST_KINDS.get(len(data))
        if kind is not None:
            return Authority(owner=owner, kind=kind, data=data)
    bare = DIGEST_KINDS.get(len(raw))
    if bare is None:
        raise DecodeError("EFI_SIGNATURE_DATA", 0, "a certificate or digest expected, with or without its owner")
    return Authority(owner=None, kind=bare, data=raw)


def _is_der_sequence(raw: bytes) -> bool:
    # Certificates are between 256 bytes and 64 KB: always a two-byte length.
    return raw.startswith(b"\x30\x82") and int.from_bytes(raw[2:4], "big") + 4 == len(raw)


def image_digests(lists: Iterable[SignatureList], kind: SignatureKind = SignatureKind.SHA256) -> frozenset[bytes]:
    """The image digests of one kind; security versions among them are left out."""
    entries = (entry for each in lists if each.kind is kind for entry in each.entries)
    return frozenset(entry.data for entry in entries if entry.owner != SVN_OWNER)


def certificates(lists: Iterable[SignatureList]) -> tuple[SignatureEntry, ...]:
    """The X.509 entries, in order."""
    return tuple(entry for each in lists if each.kind is SignatureKind.X509 for entry in each.entries)


def security_versions(lists: Iterable[SignatureList]) -> tuple[SecurityVersion, ...]:
    """The security versions that stand as digests in a dbx.

    Raises:
        DecodeError: an entry by their owner has another form.
    """
    entries = (entry for each in lists if each.kind is SignatureKind.SHA256 for entry in each.entries)
    return tuple(_security_version(entry.data) for entry in entries if entry.owner == SVN_OWNER)


def _security_version(data: bytes) -> SecurityVersion:
    version, application, minor, major, reserved = SVN.unpack(data)
    if version != SVN_VERSION or reserved.strip(b"\0"):
        raise DecodeError("security version", 0, f"form {SVN_VERSION} expected, found {data.hex()}")
    return SecurityVersion(application=application, major=major, minor=minor)
