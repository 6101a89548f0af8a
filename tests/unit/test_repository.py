"""The chain of a repository, link by link, without a network, a clock or gpgv."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bartizan.app.import_debian import repository_name
from bartizan.errors import VerifyError
from bartizan.formats.clearsigned import decode_clearsigned
from bartizan.model.package import (
    IndexedPackage,
    ListedFile,
    PackageContent,
    ReportedSignature,
    VerifiedRelease,
)
from bartizan.verify.repository import (
    choose_index,
    refuse_rollback,
    verify_content,
    verify_index,
    verify_package,
    verify_release,
)

DEBIAN = Path(__file__).parents[1] / "vectors" / "debian"
TEXT = decode_clearsigned((DEBIAN / "InRelease.bookworm-security").read_bytes())
SIGNED = datetime(2026, 11, 22, tzinfo=UTC)
GOOD = ReportedSignature(good=True, bad=False, fingerprint="AB" * 20, hash_alg=8, why="")
UNKNOWN = ReportedSignature(good=False, bad=False, fingerprint="", hash_alg=None, why="no such key")


def verified(
    *signatures: ReportedSignature, text: bytes = TEXT, suite: str = "bookworm-security", now: datetime = SIGNED
) -> VerifiedRelease:
    return verify_release(text, TEXT, signatures, suite=suite, now=now)


def refused_by(check: str, *signatures: ReportedSignature, **changes: object) -> str:
    with pytest.raises(VerifyError) as caught:
        verified(*signatures, **changes)  # type: ignore[arg-type]  # the test's own table
    assert caught.value.check == check
    return caught.value.why


def test_one_good_signature_among_unknown_ones_is_enough() -> None:
    found = verified(UNKNOWN, GOOD)

    assert found.signer == GOOD.fingerprint
    assert repository_name(found.release) == "Debian Debian-Security bookworm-security"


def test_the_suite_may_be_asked_for_by_either_name() -> None:
    assert verified(GOOD, suite="oldstable-security").release.codename == "bookworm-security"


def test_white_space_at_the_ends_of_lines_is_not_signed_and_does_not_matter() -> None:
    assert verified(GOOD, text=TEXT.replace(b"\n", b" \n"))


def test_each_way_in_which_a_release_does_not_hold() -> None:
    assert "no signature" in refused_by("repository.signature")
    assert "no such key" in refused_by("repository.signature", UNKNOWN)
    assert "bad" in refused_by("repository.signature", GOOD, replace(UNKNOWN, bad=True))
    for weak in (1, 2, 3, 11, None):
        assert "weak" in refused_by("repository.signature", replace(GOOD, hash_alg=weak))
    assert "other text" in refused_by("repository.signature", GOOD, text=TEXT + b"Suite: x\n")
    assert "bookworm was asked" in refused_by("repository.suite", GOOD, suite="bookworm")
    assert "valid until" in refused_by("repository.freshness", GOOD, now=SIGNED + timedelta(days=30))
    assert "in the future" in refused_by("repository.freshness", GOOD, now=SIGNED - timedelta(days=30))


def test_an_older_release_than_the_newest_is_refused() -> None:
    found = verified(GOOD)
    refuse_rollback(found, None)
    refuse_rollback(found, found.release.date)

    with pytest.raises(VerifyError, match="accepted before"):
        refuse_rollback(found, found.release.date + timedelta(seconds=1))


def test_the_smallest_index_is_chosen_and_an_unlisted_one_refused() -> None:
    found = verified(GOOD)
    base = "main/binary-amd64/Packages"
    for left_out, chosen in (((), f"{base}.xz"), ((f"{base}.xz",), f"{base}.gz"), ((f"{base}.xz", f"{base}.gz"), base)):
        files = {path: file for path, file in found.release.files.items() if path not in left_out}
        files.setdefault(f"{base}.gz", ListedFile(size=1, sha256=bytes(32))) if f"{base}.gz" not in left_out else None
        files.setdefault(base, ListedFile(size=1, sha256=bytes(32)))
        some = replace(found, release=replace(found.release, files=files))
        assert choose_index(some, component="main", architecture="amd64")[0] == chosen

    with pytest.raises(VerifyError, match="no index"):
        choose_index(found, component="main", architecture="pdp11")


RAW = b"content"
DIGEST = hashlib.sha256(RAW).digest()
PACKAGE = IndexedPackage(name="p", version="1", architecture="all", filename="pool/p.deb", size=len(RAW), sha256=DIGEST)


def test_an_index_and_a_package_must_be_the_listed_ones() -> None:
    listed = ListedFile(size=len(RAW), sha256=DIGEST)
    verify_index(RAW, listed, path="Packages")
    verify_package(RAW, PACKAGE)

    for raw, size in ((b"Content", len(RAW)), (RAW, len(RAW) + 1)):
        with pytest.raises(VerifyError, match=r"Packages: .* expected"):
            verify_index(raw, replace(listed, size=size), path="Packages")
        with pytest.raises(VerifyError, match=r"p\.deb: .* expected"):
            verify_package(raw, replace(PACKAGE, size=size))


def test_a_package_must_call_itself_as_the_index_does() -> None:
    content = PackageContent(name="p", version="1", architecture="all", files=(), links=())
    verify_content(content, PACKAGE)

    for changed in (replace(content, name="q"), replace(content, version="2"), replace(content, architecture="amd64")):
        with pytest.raises(VerifyError, match="calls itself"):
            verify_content(changed, PACKAGE)
