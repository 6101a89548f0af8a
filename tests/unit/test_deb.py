"""Debian packages: the digest of every file, and every way in which a package can be none."""

import hashlib
import lzma
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from bartizan.errors import DecodeError
from bartizan.formats import deb, tar
from bartizan.formats.deb import decode_deb
from tests.simulator.debian_repository import Package, ar
from tests.simulator.debian_repository import tar as tarred

DEBIAN = Path(__file__).parents[1] / "vectors" / "debian"
CONTROL = tarred({"/control": b"Package: p\nVersion: 1\nArchitecture: amd64\n"})
LONG = "/usr/share/" + "very-long-name/" * 20 + "file"


def sha256(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def built(data: bytes, *, control: bytes = CONTROL, more: Mapping[str, bytes] = {}, name: str = "data.tar") -> bytes:
    return ar({"debian-binary": b"2.0\n", "control.tar": control, name: data, **more})


def refused(raw: bytes, why: str) -> None:
    with pytest.raises(DecodeError, match=why):
        decode_deb(raw)


def test_a_package_of_debian_is_read_with_its_files_and_links() -> None:
    found = decode_deb((DEBIAN / "libbz2-1.0_1.0.8-5+b1_amd64.deb").read_bytes())
    digests = {file.path: file.sha256.hex() for file in found.files}
    links = {link.path: link.target for link in found.links}

    assert (found.name, found.version, found.architecture) == ("libbz2-1.0", "1.0.8-5+b1", "amd64")
    library = b"/lib/x86_64-linux-gnu/libbz2.so.1.0"
    assert digests[library + b".4"] == "e4f501c8bd22390e42422691093d8af4e744a3e854809b809948055e8b08bda5"
    assert links[library] == b"libbz2.so.1.0.4"


@pytest.mark.parametrize("form", ["xz", "gz", ""])
def test_every_file_is_hashed_however_it_is_packed(form: str) -> None:
    files: dict[str, bytes | str] = {"/usr/": b"", "/usr/a": b"one", LONG: b"two" * 1000, "/usr/l": "a", "/etc/c": b""}
    found = decode_deb(Package(name="p", files=files, conffiles=("/etc/c",), form=form).deb())

    assert {(file.path, file.sha256, file.conffile) for file in found.files} == {
        (b"/usr/a", sha256(b"one"), False),
        (LONG.encode(), sha256(b"two" * 1000), False),
        (b"/etc/c", sha256(b""), True),
    }
    assert [(link.path, link.target) for link in found.links] == [(b"/usr/l", b"a")]


def test_a_file_larger_than_one_piece_is_hashed_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tar, "PIECE", 1024)
    content = bytes(range(256)) * 13 + b"end"

    assert decode_deb(built(tarred({"/big": content}))).files[0].sha256 == sha256(content)


def test_a_hard_link_has_the_digest_of_its_file() -> None:
    found = decode_deb(built(tarred({"/usr/bin/perl": b"perl"}, hard_links={"/usr/bin/perl5": "/usr/bin/perl"})))

    assert {file.path: file.sha256 for file in found.files}[b"/usr/bin/perl5"] == sha256(b"perl")


def test_long_targets_and_names_split_in_two_are_read() -> None:
    target = "x/" * 200
    ustar = bytearray(tarred({"/b": b"one"}))
    ustar[257:265] = b"ustar\x0000"
    ustar[345:350] = b"./usr"
    ustar[:100] = b"bin/b".ljust(100, b"\0")
    found = decode_deb(built(checked(bytes(ustar))))

    assert decode_deb(built(tarred({"/l": target}))).links[0].target == target.encode()
    assert found.files[0].path == b"/usr/bin/b"


def checked(raw: bytes) -> bytes:
    """An archive whose first header has the right checksum again."""
    header = bytearray(raw[:512])
    header[148:156] = b" " * 8
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    return bytes(header) + raw[512:]


def edited(raw: bytes, at: int, new: bytes) -> bytes:
    return checked(raw[:at] + new + raw[at + len(new) :])


ONE = tarred({"/a": b"one"})


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (ONE[:-1], "header of 512|padding|end"),
        (ONE[:600], "bytes and padding"),
        (ONE[:512], "bytes and padding"),
        (ONE + b"\0" * 512 + b"x", "after the end"),
        (ONE[:1024] + b"x" * 512, "octal|checksum"),
        (ONE[:0], "header of 512"),
        (b"x" + ONE[1:], "checksum"),
        (edited(ONE, 156, b"x"), "type b'x'"),
        (edited(ONE, 156, b"g"), "type b'g'"),
        (edited(ONE, 156, b"S"), "type b'S'"),
        (edited(ONE, 156, b"3"), "with content"),
        (edited(ONE, 124, b"9"), "octal"),
        (edited(ONE, 124, b"\x80" + bytes(11)), "octal"),
        (edited(ONE, 0, b"../etc/passwd\0"), "not a path below"),
        (edited(ONE, 0, b"/etc/passwd\0"), "not a path below"),
        (edited(ONE, 0, b"./a/./b\0"), "not a path below"),
        (tarred({"/a": b"1"}, hard_links={"/a": "/a"}), "stands twice"),
        (tarred({"/a": b"1"}, hard_links={"/b": "/none"}), "does not stand before"),
        (tarred({"/a": b"1"}, hard_links={"/b": "/../a"}), "not a path below"),
        (edited(ONE, 156, b"L"), "without its member"),
    ],
)
def test_an_archive_with_one_thing_wrong_is_refused(data: bytes, why: str) -> None:
    if data == ONE[:-1]:
        data = ONE[: 1024 + 100]
    refused(built(data), why)


def test_two_long_names_for_one_member_are_refused() -> None:
    long = tarred({LONG: b""})[: 3 * 512]

    refused(built(long[:1024] + long), "two long names")


def test_a_long_name_over_the_limit_is_refused() -> None:
    header = edited(ONE, 156, b"L")

    refused(built(edited(header, 124, b"00000100000\0")), "over the limit")


def test_devices_are_left_out() -> None:
    device = edited(edited(ONE, 156, b"3"), 124, b"00000000000\0")

    assert decode_deb(built(device[:512] + bytes(1024))).files == ()


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "bytes expected"),
        (b"not a package", "magic"),
        (b"!<arch>\n", "debian-binary"),
        (ar({"debian-binary": b"3.0\n"}), "version 2"),
        (ar({"debian-binary": b"2.0\n"}), "control.tar and data.tar"),
        (ar({"control.tar": CONTROL, "debian-binary": b"2.0\n"}), "debian-binary"),
        (ar({"debian-binary": b"2.0\n", "data.tar": ONE, "control.tar": CONTROL}), "control.tar and data.tar"),
        (built(ONE, more={"more": b""}), "control.tar and data.tar"),
        (built(ONE, name="data.tar.zst"), "zst"),
        (built(ONE, name="data.tar.xz"), "cannot be unpacked"),
        (built(ONE, control=tarred({"/other": b""})), "one paragraph"),
        (built(ONE, control=tarred({"/control": b"Package: p\n"})), "one paragraph"),
        (built(ONE).replace(b"`\n", b"..", 1), "header is missing"),
        (built(ONE)[:-1], "bytes expected"),
    ],
)
def test_a_file_that_is_no_package_is_refused(raw: bytes, why: str) -> None:
    refused(raw, why)


def test_members_that_begin_with_an_underscore_say_nothing() -> None:
    raw = ar({"debian-binary": b"2.0\n", "_gpgorigin": b"odd", "control.tar": CONTROL, "data.tar": ONE})

    assert len(decode_deb(raw).files) == 1
    refused(raw.replace(b"odd\n", b"oddx"), "padding between")


def test_a_control_file_that_stands_twice_is_refused() -> None:
    one = tarred({"/control": b"Package: p\nVersion: 1\nArchitecture: amd64\n"})

    refused(built(ONE, control=one[:1024] + one), "stands twice")


def test_the_limits_of_a_package_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = ar({"debian-binary": b"2.0\n", "control.tar": CONTROL, "data.tar.xz": lzma.compress(tarred({"/a": b"1"}))})
    for module, name, value, why in (
        (deb, "MAX_DEB", 10, "over the limit"),
        (deb, "MAX_UNPACKED", 100, "more than the limit"),
        (deb, "MAX_CONTROL", 100, "more than the limit"),
        (deb, "MAX_CONTROL_FILE", 10, "over the limit"),
        (deb, "MAX_MEMBERS", 1, "more than 1"),
        (tar, "MAX_MEMBERS", 0, "more than 0"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, value)
            refused(raw, why)


def test_pax_headers_are_refused_as_dpkg_refuses_them(tmp_path: Path) -> None:
    path = tmp_path / "pax.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        member = tarfile.TarInfo("./" + "ü" * 200)
        archive.addfile(member)

    refused(built(path.read_bytes()), "type b'x'")
