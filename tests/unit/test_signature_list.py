"""Signature lists: every size is checked against every other, and against what is there."""

import struct
from pathlib import Path

import pytest

from bartizan.errors import DecodeError
from bartizan.formats.signature_list import (
    DATA_SIZES,
    KINDS,
    MAX_ENTRIES,
    MAX_LISTS,
    SVN_OWNER,
    certificates,
    decode_authority,
    decode_signature_lists,
    image_digests,
    security_versions,
)
from bartizan.model.uefi import Guid, SignatureEntry, SignatureKind, guid
from tests.unit.uefi_bytes import OWNER, SHA256_LIST, X509_LIST, certificate, encoded, signature_list

VECTORS = Path(__file__).parents[1] / "vectors" / "secure_boot"
DIGEST = bytes(range(32))
UNKNOWN = guid("00112233-4455-6677-8899-aabbccddeeff")
SVN = bytes.fromhex("01612b139dd5598843ab1c185c3cb2eb9200000900") + bytes(11)


def sizes(kind: bytes, list_size: int, header_size: int, entry_size: int, body: bytes = b"") -> bytes:
    return kind + struct.pack("<III", list_size, header_size, entry_size) + body


def test_lists_of_several_kinds_are_read_in_order() -> None:
    raw = signature_list(SHA256_LIST, [(OWNER, DIGEST), (OWNER, bytes(32))])
    raw += signature_list(X509_LIST, [(OWNER, certificate())], size=316)

    first, second = decode_signature_lists(raw)

    assert first.kind is SignatureKind.SHA256
    assert first.entries == (SignatureEntry(OWNER, DIGEST), SignatureEntry(OWNER, bytes(32)))
    assert second.kind is SignatureKind.X509
    assert second.entries == (SignatureEntry(OWNER, certificate()),)


def test_no_bytes_are_an_empty_database() -> None:
    assert decode_signature_lists(b"") == ()


def test_a_list_without_entries_is_legal() -> None:
    (empty,) = decode_signature_lists(signature_list(SHA256_LIST, []))

    assert empty.entries == ()


@pytest.mark.parametrize(("kind_guid", "kind"), KINDS.items())
def test_each_kind_has_its_entry_size(kind_guid: Guid, kind: SignatureKind) -> None:
    size = DATA_SIZES.get(kind, 100)
    raw = signature_list(kind_guid, [(OWNER, bytes(size))], size=16 + size)

    assert decode_signature_lists(raw)[0].entries == (SignatureEntry(OWNER, bytes(size)),)


def test_an_unknown_type_is_kept_with_its_header() -> None:
    (found,) = decode_signature_lists(signature_list(UNKNOWN, [(OWNER, b"x")], header=b"head", size=17))

    assert (found.kind, found.signature_type, found.header) == (None, UNKNOWN, b"head")
    assert found.entries == (SignatureEntry(OWNER, b"x"),)


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        (sizes(SHA256_LIST, 0, 0, 48), "SignatureListSize"),
        (sizes(SHA256_LIST, 27, 0, 48), "SignatureListSize"),
        (sizes(UNKNOWN, 28, 1, 48), "SignatureListSize"),
        (sizes(UNKNOWN, 28, 0xFFFFFFFF, 48), "SignatureListSize"),
        (sizes(SHA256_LIST, 28 + 48 * 89_000_000, 0, 48), "SignatureListSize"),
        (sizes(SHA256_LIST, 28 + 48, 0, 48), "Signatures"),
        (sizes(SHA256_LIST, 28 + 48, 0, 0), "SignatureSize"),
        (sizes(UNKNOWN, 28, 0, 0), "SignatureSize"),
        (sizes(UNKNOWN, 28, 0, 16), "SignatureSize"),
        (sizes(SHA256_LIST, 28, 0, 52), "SignatureSize"),
        (sizes(SHA256_LIST, 28 + 50, 0, 48, bytes(50)), "SignatureSize"),
        (sizes(SHA256_LIST, 28 + 4, 4, 48, bytes(4)), "SignatureHeaderSize"),
        (sizes(UNKNOWN, 28 + 17 * (MAX_ENTRIES + 1), 0, 17), "SignatureListSize"),
        (signature_list(SHA256_LIST, [(OWNER, DIGEST)]) + b"x", "EFI_SIGNATURE_LIST"),
        (signature_list(SHA256_LIST, []) * (MAX_LISTS + 1), "EFI_SIGNATURE_LIST"),
    ],
)
def test_a_size_that_does_not_add_up_is_refused(raw: bytes, what: str) -> None:
    with pytest.raises(DecodeError) as refusal:
        decode_signature_lists(raw)

    assert refusal.value.what == what


def test_a_refusal_counts_from_the_start_of_the_whole_input() -> None:
    with pytest.raises(DecodeError) as refusal:
        decode_signature_lists(b"header" + sizes(SHA256_LIST, 28, 0, 52), start=6)

    assert refusal.value.offset == 6 + 24


@pytest.mark.parametrize("name", ["siglist__PK.der.esl", "siglist__KEK.der.esl", "siglistchecksum__sha256.bin.siglist"])
def test_a_published_list_survives_a_round_trip(name: str) -> None:
    raw = (VECTORS / "Foxboron_go-uefi" / f"tests__data__signatures__{name}").read_bytes()

    assert encoded(decode_signature_lists(raw)) == raw


@pytest.mark.parametrize("owner", [OWNER, None])
def test_an_authority_is_a_certificate_with_or_without_its_owner(owner: Guid | None) -> None:
    found = decode_authority((owner or b"") + certificate())

    assert (found.owner, found.kind, found.data) == (owner, SignatureKind.X509, certificate())


@pytest.mark.parametrize(
    ("size", "kind"),
    [(20, SignatureKind.SHA1), (32, SignatureKind.SHA256), (48, SignatureKind.SHA384), (64, SignatureKind.SHA512)],
)
def test_an_authority_may_be_a_digest(size: int, kind: SignatureKind) -> None:
    digest = b"\xd1" * size

    assert decode_authority(OWNER + digest).kind is kind
    assert decode_authority(OWNER + digest).data == digest


def test_a_bare_digest_is_an_authority() -> None:
    found = decode_authority(DIGEST)

    assert (found.owner, found.kind) == (None, SignatureKind.SHA256)


@pytest.mark.parametrize(
    "raw", [b"", b"\1", OWNER, OWNER + b"x", certificate()[:-1], OWNER + certificate() + b"x", bytes(33)]
)
def test_anything_else_is_no_authority(raw: bytes) -> None:
    with pytest.raises(DecodeError, match="EFI_SIGNATURE_DATA"):
        decode_authority(raw)


def test_security_versions_are_told_from_digests() -> None:
    lists = decode_signature_lists(signature_list(SHA256_LIST, [(OWNER, DIGEST), (SVN_OWNER, SVN)]))

    (version,) = security_versions(lists)
    assert image_digests(lists) == {DIGEST}
    assert (version.major, version.minor) == (9, 0)
    assert version.application == guid("9d132b61-59d5-4388-ab1c-185c3cb2eb92")


@pytest.mark.parametrize("data", [b"\2" + SVN[1:], SVN[:-1] + b"\1"])
def test_a_security_version_of_another_form_is_refused(data: bytes) -> None:
    lists = decode_signature_lists(signature_list(SHA256_LIST, [(SVN_OWNER, data)]))

    with pytest.raises(DecodeError, match="security version"):
        security_versions(lists)


def test_only_the_asked_kind_is_given() -> None:
    raw = signature_list(SHA256_LIST, [(OWNER, DIGEST)]) + signature_list(X509_LIST, [(OWNER, b"cert")], size=20)
    lists = decode_signature_lists(raw)

    assert image_digests(lists, SignatureKind.SHA1) == frozenset()
    assert certificates(lists) == (SignatureEntry(OWNER, b"cert"),)
