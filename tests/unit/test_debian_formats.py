"""Texts of a Debian repository: control data, Release, index, clear-signed frame, gpgv's words. Strict, and bounded."""

import gzip
import lzma
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bartizan.errors import DecodeError
from bartizan.formats import deb822, debian_packages, debian_release, gpgv_status
from bartizan.formats.clearsigned import decode_clearsigned
from bartizan.formats.debian_packages import decode_installed, decode_packages
from bartizan.formats.debian_release import decode_release
from bartizan.formats.gpgv_status import decode_gpgv_status
from bartizan.formats.unpack import Unpacked, unpack
from bartizan.model.package import InstalledPackage

DEBIAN = Path(__file__).parents[1] / "vectors" / "debian"
DIGEST = "ab" * 32
RELEASE = f"""\
Origin: Test
Label: Test
Suite: stable
Codename: bookworm
Date: Sat, 01 Feb 2026 10:16:37 UTC
Acquire-By-Hash: yes
SHA256:
 {DIGEST} 12 main/binary-amd64/Packages.xz
 {DIGEST}  1234 main/binary-amd64/Packages
"""
PACKAGE = f"""\
Package: dash
Version: 0.5.12-2
Architecture: amd64
Description: a shell
 that is small
Filename: pool/main/d/dash/dash_0.5.12-2_amd64.deb
Size: 91000
SHA256: {DIGEST}
"""


def refused(decode: Callable[[bytes], object], raw: str | bytes, why: str) -> None:
    with pytest.raises(DecodeError, match=why):
        decode(raw if isinstance(raw, bytes) else raw.encode())


def test_a_release_is_read() -> None:
    found = decode_release(RELEASE.encode())

    assert (found.origin, found.label, found.suite, found.codename) == ("Test", "Test", "stable", "bookworm")
    assert (found.date, found.valid_until) == (datetime(2026, 2, 1, 10, 16, 37, tzinfo=UTC), None)
    assert found.by_hash
    assert {path: file.size for path, file in found.files.items()} == {
        "main/binary-amd64/Packages.xz": 12,
        "main/binary-amd64/Packages": 1234,
    }


@pytest.mark.parametrize("suite", ["bookworm", "bookworm-security"])
def test_debians_own_releases_are_read(suite: str) -> None:
    found = decode_release(decode_clearsigned((DEBIAN / f"InRelease.{suite}").read_bytes()))

    assert found.codename == suite
    assert "main/binary-amd64/Packages.xz" in found.files
    assert (found.valid_until is not None) == (suite == "bookworm-security")


@pytest.mark.parametrize("zone", ["UTC", "GMT", "Z", "+0000"])
def test_the_dates_of_other_repositories_are_read(zone: str) -> None:
    text = RELEASE.replace("Sat, 01 Feb 2026 10:16:37 UTC", f"Sun, 1 Mar 2026 00:00:00 {zone}")

    assert decode_release(text.encode()).date == datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("Date: Sat", "Datum: Sat", "Date and SHA256"),
        ("SHA256:", "MD5Sum:", "Date and SHA256"),
        ("10:16:37 UTC", "10:16:37 CET", "expected, found"),
        ("01 Feb", "30 Feb", "no such time"),
        ("Suite: stable", "Suite: stable\nSuite: other", "stands twice"),
        ("Origin: Test\n", "Origin: Test\n\n", "one paragraph"),
        ("Origin: Test", "Origin Test", "Field: value"),
        ("Origin: Test", " Test", "continuation"),
        ("Origin: Test", "Origin: T\rest", "0x0d"),
        ("Origin: Test", "Origin: T\0est", "0x00"),
        ("main/binary-amd64/Packages.xz", "../../etc/passwd", "digest size path"),
        ("main/binary-amd64/Packages.xz", "/etc/passwd", "digest size path"),
        (" 12 main", " 0x12 main", "decimal"),
        (" 12 main", " main", "digest size path"),
        (DIGEST, DIGEST.upper(), "lower-case"),
        (DIGEST, DIGEST[2:], "not a SHA-256"),
        (f" {DIGEST}  1234 main/binary-amd64/Packages\n", f" {DIGEST}  99 main/binary-amd64/Packages.xz\n", "twice"),
    ],
)
def test_a_release_with_one_thing_wrong_is_refused(old: str, new: str, why: str) -> None:
    assert old in RELEASE
    refused(decode_release, RELEASE.replace(old, new, 1), why)


def test_text_that_is_not_utf_8_is_refused() -> None:
    refused(decode_release, RELEASE.encode().replace(b"Test", b"\xff", 1), "UTF-8")


def test_the_limits_of_a_release_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name, value, why in (
        (debian_release, "MAX_RELEASE", 10, "over the limit"),
        (debian_release, "MAX_LISTED", 1, "over the limit"),
        (deb822, "MAX_FIELDS", 2, "more than 2"),
        (deb822, "MAX_PARAGRAPH", 10, "over the limit"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, value)
            refused(decode_release, RELEASE, why)


def test_an_index_is_read() -> None:
    first, second = decode_packages(f"{PACKAGE}\n\n\n{PACKAGE.replace('dash', 'bash')}".encode())

    assert (first.name, first.version, first.architecture, first.size) == ("dash", "0.5.12-2", "amd64", 91000)
    assert (first.filename, first.sha256.hex()) == ("pool/main/d/dash/dash_0.5.12-2_amd64.deb", DIGEST)
    assert second.name == "bash"
    assert decode_packages(b"") == ()


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("SHA256:", "MD5sum:", "without the field"),
        ("Version:", "Fersion:", "without the field"),
        ("Package: dash", "Package: da/sh", "is not a name"),
        ("Version: 0.5", "Version: 0.5 or so", "is not a name"),
        ("Architecture: amd64", "Architecture: ", "is not a name"),
        ("Filename: pool", "Filename: /pool", "is not a name"),
        ("Filename: pool/", "Filename: pool/../../", "below the mirror"),
        ("Size: 91000", "Size: -1", "decimal"),
        (DIGEST, DIGEST[2:], "below the mirror"),
        ("Package: dash", f"Package: {'d' * 600}", "is not a name"),
    ],
)
def test_a_package_with_one_thing_wrong_is_refused(old: str, new: str, why: str) -> None:
    assert old in PACKAGE
    refused(decode_packages, PACKAGE.replace(old, new, 1), why)


def test_the_limits_of_an_index_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MAX_INDEX", "MAX_PACKAGES"):
        with monkeypatch.context() as patch:
            patch.setattr(debian_packages, name, 0)
            refused(decode_packages, PACKAGE, "over the limit|more than")


def test_the_list_of_a_node_is_read_and_what_is_not_installed_is_left_out() -> None:
    raw = b"dash 0.5.12-2 amd64\nlibc6 1:2.36-9+deb12u14 amd64\ngone  amd64\ndash 0.5.12-2 amd64\n"

    assert decode_installed(raw) == (
        InstalledPackage(name="dash", version="0.5.12-2", architecture="amd64"),
        InstalledPackage(name="libc6", version="1:2.36-9+deb12u14", architecture="amd64"),
    )


@pytest.mark.parametrize("line", ["dash", "dash 1.0", "dash 1.0 amd64 x", "dash 1.0;rm amd64", "ü 1.0 amd64", "a b"])
def test_a_line_of_another_form_is_refused(line: str) -> None:
    refused(decode_installed, line, "expected|is not a name")


def test_the_limits_of_a_nodes_list_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MAX_INSTALLED", "MAX_PACKAGES"):
        with monkeypatch.context() as patch:
            patch.setattr(debian_packages, name, 1 if name == "MAX_INSTALLED" else 0)
            refused(decode_installed, "dash 1.0 amd64\n", "over the limit|more than")


FRAME = """\
-----BEGIN PGP SIGNED MESSAGE-----
Hash: SHA512

Origin: Test
- -----dashes
-----BEGIN PGP SIGNATURE-----

iQIz
-----END PGP SIGNATURE-----
"""


def test_the_signed_text_is_taken_out_of_its_frame() -> None:
    assert decode_clearsigned(FRAME.encode()) == b"Origin: Test\n-----dashes\n"


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "x" + FRAME,
        "before\n" + FRAME,
        FRAME + "after\n",
        FRAME + FRAME,
        FRAME.replace("Hash: SHA512", "Comment: hello"),
        FRAME.replace("Hash: SHA512\n\n", "Hash: SHA512\n"),
        FRAME.replace("-----END PGP SIGNATURE-----\n", ""),
        FRAME.replace("- -----", "-----"),
        FRAME.replace("\n", "\r\n"),
    ],
)
def test_a_frame_with_anything_else_in_it_is_refused(raw: str) -> None:
    refused(decode_clearsigned, raw, "expected|outside|header")


def test_a_frame_over_its_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bartizan.formats.clearsigned.MAX_CLEARSIGNED", 10)
    refused(decode_clearsigned, FRAME, "over the limit")


VALID = "[GNUPG:] VALIDSIG AA 2026-07-11 1783765031 0 4 0 1 8 01 BB\n"
GOOD = "[GNUPG:] PLAINTEXT 74 0 \n[GNUPG:] NEWSIG\n[GNUPG:] GOODSIG CC Somebody\n" + VALID


def test_a_good_signature_is_told_with_its_primary_key_and_hash() -> None:
    (found,) = decode_gpgv_status(GOOD.encode())

    assert (found.good, found.bad, found.fingerprint, found.hash_alg) == (True, False, "BB", 8)


@pytest.mark.parametrize(
    ("text", "bad", "why"),
    [
        (GOOD.replace("GOODSIG", "EXPKEYSIG"), False, "key has expired"),
        (GOOD.replace("GOODSIG", "REVKEYSIG"), False, "revoked"),
        (GOOD.replace("GOODSIG", "EXPSIG"), False, "signature has expired"),
        (GOOD.replace("GOODSIG CC", "BADSIG CC"), True, "changed"),
        (GOOD + "[GNUPG:] BADSIG CC Somebody\n", True, "changed"),
        (
            "[GNUPG:] NEWSIG\n[GNUPG:] ERRSIG DD 1 8 01 1783765031 9 EE\n[GNUPG:] NO_PUBKEY DD\n",
            False,
            "not hold its key",
        ),
        (GOOD.replace(VALID, ""), False, ""),
        (GOOD.replace(" 8 01 BB", ""), False, ""),
        (GOOD.replace(" 8 01 BB", " ٣ 01 BB"), False, ""),
    ],
)
def test_anything_less_is_no_good_signature(text: str, bad: bool, why: str) -> None:
    (found,) = decode_gpgv_status(text.encode())

    assert (found.good, found.bad) == (False, bad)
    assert why in found.why


def test_each_signature_is_told_by_itself_and_words_before_the_first_are_none() -> None:
    raw = ("[GNUPG:] GOODSIG X\n" + GOOD + "[GNUPG:] NEWSIG\n").encode()

    assert [signature.good for signature in decode_gpgv_status(raw)] == [True, False]
    assert decode_gpgv_status(b"") == ()


def test_a_status_of_another_form_or_over_its_limits_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    refused(decode_gpgv_status, "hello", "expected")
    for name in ("MAX_STATUS", "MAX_SIGNATURES"):
        with monkeypatch.context() as patch:
            patch.setattr(gpgv_status, name, 0)
            refused(decode_gpgv_status, GOOD, "over the limit")


CONTENT = bytes(range(256)) * 9000


@pytest.mark.parametrize("form", ["xz", "gz", ""])
def test_what_was_packed_comes_out_in_pieces_of_any_size(form: str) -> None:
    packed = {"xz": lzma.compress(CONTENT), "gz": gzip.compress(CONTENT), "": CONTENT}[form]
    stream = Unpacked(packed, form=form, limit=len(CONTENT), what="test")

    assert stream.take(10) + stream.take(1_500_000) + stream.take(len(CONTENT)) == CONTENT
    assert (stream.take(1), stream.offset) == (b"", len(CONTENT))
    assert unpack(packed, form=form, limit=len(CONTENT), what="test") == CONTENT


@pytest.mark.parametrize("form", ["xz", "gz", ""])
def test_a_bomb_stops_at_its_limit(form: str) -> None:
    zeros = bytes(5_000_000)
    packed = {"xz": lzma.compress(zeros), "gz": gzip.compress(zeros), "": zeros}[form]

    with pytest.raises(DecodeError, match="more than the limit"):
        unpack(packed, form=form, limit=1_000_000, what="test")


@pytest.mark.parametrize("form", ["xz", "gz"])
def test_broken_cut_off_and_followed_data_are_refused(form: str) -> None:
    packed = lzma.compress(CONTENT) if form == "xz" else gzip.compress(CONTENT)

    for raw in (b"", packed[:-1], packed[: len(packed) // 2], packed + b"x", packed + packed, b"\0" + packed):
        with pytest.raises(DecodeError):
            unpack(raw, form=form, limit=1 << 24, what="test")


def test_a_form_that_cannot_be_read_is_named() -> None:
    with pytest.raises(DecodeError, match="zst"):
        unpack(b"", form="zst", limit=1, what="test")
