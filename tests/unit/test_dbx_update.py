"""Published updates of the revocation list give the hashes that their publisher says they hold."""

import hashlib
import json
import struct
from pathlib import Path

import pytest

from bartizan.errors import DecodeError
from bartizan.formats.dbx_update import MAX_PKCS7, MAX_UPDATE, decode_signed_update
from bartizan.formats.signature_list import certificates, image_digests, security_versions
from bartizan.model.uefi import EfiTime, SignatureEntry
from tests.unit.uefi_bytes import OWNER, SHA256_LIST, signature_list

VECTORS = Path(__file__).parents[1] / "vectors" / "secure_boot"
MICROSOFT = VECTORS / "microsoft_secureboot_objects"
PUBLISHED = json.loads((VECTORS / "dbx_info.json").read_text(encoding="utf-8"))
PKCS7 = bytes.fromhex("9dd2af4adf68ee498aa9347d375665a7")
TIME = struct.pack("<HBBBBBxIhBx", 2010, 3, 6, 19, 17, 21, 0, 0, 0)


def update(
    *, time: bytes = TIME, length: int = 24 + 3, head: bytes = struct.pack("<HH", 0x0200, 0x0EF1) + PKCS7
) -> bytes:
    lists = signature_list(SHA256_LIST, [(OWNER, bytes(32))])
    return time + struct.pack("<I", length) + head + b"sig" + lists


@pytest.mark.parametrize(("folder", "architecture"), [("amd64", "x64"), ("arm", "arm"), ("arm64", "aarch64")])
def test_an_update_holds_the_images_its_publisher_lists(folder: str, architecture: str) -> None:
    found = decode_signed_update((MICROSOFT / f"PostSignedObjects__DBX__{folder}__DBXUpdate.bin").read_bytes())

    digests = sorted(image_digests(found.lists))
    assert len(digests) == PUBLISHED[architecture]["images"]
    assert hashlib.sha256(b"".join(digests)).hexdigest() == PUBLISHED[architecture]["sha256_of_sorted"]


def test_an_update_of_security_versions_revokes_no_image() -> None:
    raw = (MICROSOFT / "PostSignedObjects__Optional__DBX__DBXUpdateSVN.bin").read_bytes()
    found = decode_signed_update(raw)

    assert image_digests(found.lists) == frozenset()
    versions = [f"{version.major}.{version.minor}" for version in security_versions(found.lists)]
    assert versions == [version for _, version in PUBLISHED["security_versions"]]


def test_an_update_that_revokes_a_certificate_holds_it() -> None:
    raw = (MICROSOFT / "PostSignedObjects__Optional__DBX__DBXUpdate2024.bin").read_bytes()
    (entry,) = certificates(decode_signed_update(raw).lists)

    assert [hashlib.sha1(entry.data, usedforsecurity=False).hexdigest()] == PUBLISHED["certificates"]


@pytest.mark.parametrize(
    ("name", "images", "revoked_certificates"),
    [("-2014-08-11", 13, 0), ("_x64-2020-10-12", 183, 3), ("_x64-2021-04-29", 211, 0)],
)
def test_a_historic_update_is_read(name: str, images: int, revoked_certificates: int) -> None:
    folder = VECTORS / "google_go-tpm-tools"
    found = decode_signed_update((folder / f"server__secure-boot__dbxupdate{name}.bin").read_bytes())

    assert len(image_digests(found.lists)) == images
    assert len(certificates(found.lists)) == revoked_certificates
    assert found.timestamp == EfiTime(year=2010, month=3, day=6, hour=19, minute=17, second=21)
    assert found.pkcs7.startswith(b"\x30\x82")


@pytest.mark.parametrize("name", ["PK", "KEK", "db"])
def test_a_signed_key_is_an_update_too(name: str) -> None:
    raw = (VECTORS / "Foxboron_go-uefi" / f"tests__data__signatures__varsign__{name}.auth").read_bytes()

    assert len(certificates(decode_signed_update(raw).lists)) == 1


def test_an_update_made_from_parts_is_read() -> None:
    found = decode_signed_update(update())

    assert found.pkcs7 == b"sig"
    assert found.lists[0].entries == (SignatureEntry(OWNER, bytes(32)),)


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        (b"", "TimeStamp"),
        (update(time=struct.pack("<HBBBBBxIhBx", 2010, 3, 6, 19, 17, 21, 1, 0, 0)), "TimeStamp"),
        (update(time=struct.pack("<HBBBBBxIhBx", 2010, 3, 6, 19, 17, 21, 0, 60, 0)), "TimeStamp"),
        (update(time=struct.pack("<HBBBBBxIhBx", 2010, 3, 6, 19, 17, 21, 0, 0, 1)), "TimeStamp"),
        (update(head=struct.pack("<HH", 0x0100, 0x0EF1) + PKCS7), "WIN_CERTIFICATE_UEFI_GUID"),
        (update(head=struct.pack("<HH", 0x0200, 0x0002) + PKCS7), "WIN_CERTIFICATE_UEFI_GUID"),
        (update(head=struct.pack("<HH", 0x0200, 0x0EF1) + bytes(16)), "WIN_CERTIFICATE_UEFI_GUID"),
        (update(length=0), "dwLength"),
        (update(length=24), "dwLength"),
        (update(length=0xFFFFFFFF), "dwLength"),
        (update(length=24 + MAX_PKCS7), "CertData"),
        (update()[:-1], "Signatures"),
        (bytes(MAX_UPDATE + 1), "EFI_VARIABLE_AUTHENTICATION_2"),
    ],
)
def test_a_malformed_update_is_refused(raw: bytes, what: str) -> None:
    with pytest.raises(DecodeError) as refusal:
        decode_signed_update(raw)

    assert refusal.value.what == what


def test_a_malformed_list_is_refused_at_its_place_in_the_file() -> None:
    with pytest.raises(DecodeError) as refusal:
        decode_signed_update(update() + b"x")

    assert refusal.value.offset == len(update())
