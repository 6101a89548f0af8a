"""An RPM repository's metadata and a node's packages: read as they are, refused with the place where they are not."""

import gzip
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bartizan.errors import DecodeError, VerifyError
from bartizan.formats import rpm_metadata
from bartizan.formats.rpm_metadata import decode_installed_rpms, decode_primary, decode_repomd
from bartizan.model.package import InstalledPackage, ReportedSignature
from bartizan.verify.rpm_repository import choose_list, refuse_older, verify_repomd

REAL = Path(__file__).parents[1] / "vectors" / "rpm" / "repodata"
DIGEST = "ab" * 32
DATA = (
    f'<data type="primary"><checksum type="sha256">{DIGEST}</checksum><location href="repodata/p.xml.gz"/>'
    "<timestamp>1700000000</timestamp><size>5</size></data>"
)
PACKAGE = (
    '<package type="rpm"><name>bash</name><arch>x86_64</arch><version epoch="1" ver="5.1" rel="2.el9"/>'
    f'<checksum type="sha256" pkgid="YES">{DIGEST}</checksum><size package="7" installed="9"/>'
    '<location href="Packages/b/bash.rpm"/><format><r:license>x</r:license><file>/bin/bash</file></format></package>'
)


def repomd(inside: str = DATA) -> bytes:
    return f'<repomd xmlns="http://linux.duke.edu/metadata/repo"><revision>1</revision>{inside}</repomd>'.encode()


def primary(inside: str = PACKAGE) -> bytes:
    common, rpm = "http://linux.duke.edu/metadata/common", "http://linux.duke.edu/metadata/rpm"
    return f'<metadata xmlns="{common}" xmlns:r="{rpm}" packages="1">{inside}</metadata>'.encode()


def test_real_metadata_is_read() -> None:
    metadata = decode_repomd((REAL / "repomd.xml").read_bytes())
    packages = decode_primary(gzip.decompress((REAL / "primary.xml.gz").read_bytes()))

    assert set(metadata.files) == {"primary", "filelists", "other"}
    assert metadata.files["primary"][0] == "repodata/primary.xml.gz"
    assert metadata.date.year >= 2026
    assert sorted((one.name, one.version, one.architecture) for one in packages) == [
        ("old", "1.0-1", "noarch"),
        ("tiny", "1.0-1", "noarch"),
        ("tiny", "1.0-2", "noarch"),
    ]


def test_data_without_sha256_is_left_out() -> None:
    metadata = decode_repomd(repomd(DATA + DATA.replace("sha256", "sha512").replace("primary", "other")))

    assert list(metadata.files) == ["primary"]
    assert metadata.date == datetime.fromtimestamp(1700000000, UTC)


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"<repomd/>", "repomd expected"),
        (repomd(""), "kinds of data"),
        (repomd(DATA * 65), "kinds of data"),
        (repomd(DATA * 2), "stands twice"),
        (repomd(DATA.replace(' type="primary"', "")), "without type"),
        (repomd(DATA.replace("<size>5</size>", "")), "one size expected"),
        (repomd(DATA.replace("<size>5</size>", "<size>+5</size>")), "decimal"),
        (repomd(DATA.replace("<size>5</size>", "<size>5</size>" * 2)), "one size expected"),
        (repomd(DATA.replace("repodata/", "../")), "no file below"),
        (repomd(DATA.replace("repodata/", "/")), "no file below"),
        (repomd(DATA.replace("repodata/", "http://x/")), "no file below"),
        (repomd(DATA.replace(DIGEST, "ab")), "SHA-256 digest expected"),
        (repomd(DATA.replace(DIGEST, "zz")), "hexadecimal"),
        (repomd(DATA.replace("1700000000", "999999999999")), "no time"),
    ],
)
def test_a_broken_repomd_is_refused(raw: bytes, why: str) -> None:
    with pytest.raises(DecodeError, match=why):
        decode_repomd(raw)


def test_a_package_is_read_and_its_epoch_left_out() -> None:
    (found,) = decode_primary(primary())

    assert (found.name, found.version, found.architecture) == ("bash", "5.1-2.el9", "x86_64")
    assert (found.filename, found.size, found.sha256.hex()) == ("Packages/b/bash.rpm", 7, DIGEST)


def test_sources_and_other_things_are_no_packages() -> None:
    others = PACKAGE.replace("x86_64", "src") + PACKAGE.replace('"rpm"', '"group"') + "<note>x</note>"

    assert decode_primary(primary(others)) == ()


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"<metadata/>", "metadata expected"),
        (primary() + b"x", "not XML"),
        (primary()[:-1], "not XML"),
        (primary("\0"), "UTF-8 without NUL"),
        (b"<!DOCTYPE a><a/>", "document type"),
        (primary("<a>" * 20 + "</a>" * 20), "levels"),
        (primary(PACKAGE.replace("<name>bash</name>", "")), "without 'name'"),
        (primary(PACKAGE.replace("<name>bash</name>", "<name>bash</name>" * 2)), "stands twice"),
        (primary(PACKAGE.replace(' rel="2.el9"', "")), "without 'version rel'"),
        (primary(PACKAGE.replace("bash</name>", "b sh</name>")), "not a name"),
        (primary(PACKAGE.replace('type="sha256"', 'type="sha"')), "SHA-256 expected"),
        (primary(PACKAGE.replace(DIGEST, "ab")), "SHA-256 digest expected"),
        (primary(PACKAGE.replace("Packages/b", "..")), "no file below"),
        (primary(PACKAGE.replace('package="7"', 'package="-7"')), "decimal"),
    ],
)
def test_a_broken_list_is_refused(raw: bytes, why: str) -> None:
    with pytest.raises(DecodeError, match=why):
        decode_primary(raw)


@pytest.mark.parametrize(
    ("line", "version"),
    [
        ("bash-5.1.8-9.el9.x86_64", "5.1.8-9.el9"),
        ("bash 5.1.8-9.el9 x86_64", "5.1.8-9.el9"),
        ("bash 2:5.1.8-9.el9 x86_64", "5.1.8-9.el9"),
        ("bash (none):5.1.8-9.el9 x86_64", "5.1.8-9.el9"),
    ],
)
def test_a_nodes_packages_are_read_in_both_forms(line: str, version: str) -> None:
    found = decode_installed_rpms(f"{line}\ngpg-pubkey-fd431d51-4ae0493b.(none)\n\n".encode())

    assert found == (InstalledPackage(name="bash", version=version, architecture="x86_64"),)


@pytest.mark.parametrize("line", ["bash", "bash.x86_64", "bash-5.x86_64", "a b", "a 1 x", "a 1-1 x y", "b\xffsh-1-1.x"])
def test_a_line_that_is_no_package_is_refused(line: str) -> None:
    with pytest.raises(DecodeError, match="expected, found"):
        decode_installed_rpms(line.encode("latin-1"))


@pytest.mark.parametrize(
    ("limit", "decode", "raw"),
    [
        ("MAX_INDEX", decode_primary, primary()),
        ("MAX_INSTALLED", decode_installed_rpms, b"a-1-1.x b"),
        ("MAX_PACKAGES", decode_primary, primary(PACKAGE * 3)),
        ("MAX_PACKAGES", decode_installed_rpms, b"a-1-1.x\nb-1-1.x\nc-1-1.x\n"),
    ],
)
def test_limits_hold(
    limit: str, decode: Callable[[bytes], object], raw: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rpm_metadata, limit, 2)

    with pytest.raises(DecodeError, match=r"limit of 2|more than 2"):
        decode(raw)


NOW = datetime.fromtimestamp(1700000000, UTC)
GOOD = ReportedSignature(good=True, bad=False, fingerprint="AA", hash_alg=8, why="")


def test_a_repository_is_verified_before_it_is_read() -> None:
    metadata, signer = verify_repomd(repomd(), [GOOD], now=NOW)

    assert signer == "AA"
    assert choose_list(metadata)[0] == "repodata/p.xml.gz"
    refuse_older(metadata, None)
    refuse_older(metadata, metadata.date)
    with pytest.raises(VerifyError, match="no signature"):
        verify_repomd(b"not XML", [], now=NOW)


def test_a_repository_from_the_future_is_refused() -> None:
    with pytest.raises(VerifyError, match="in the future"):
        verify_repomd(repomd(), [GOOD], now=NOW - timedelta(days=1))


def test_a_repository_older_than_one_accepted_before_is_refused() -> None:
    metadata, _ = verify_repomd(repomd(), [GOOD], now=NOW)

    with pytest.raises(VerifyError, match="accepted before"):
        refuse_older(metadata, NOW + timedelta(seconds=1))


def test_a_repository_without_a_list_is_refused() -> None:
    metadata = decode_repomd(repomd(DATA.replace("primary", "other")))

    with pytest.raises(VerifyError, match="no list of packages"):
        choose_list(metadata)
