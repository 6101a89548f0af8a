"""Unified kernel images: what systemd-stub measures of them, held against systemd-measure and computed by hand."""

import hashlib

import pytest

from bartizan.errors import DecodeError
from bartizan.formats.uki import command_line_data, decode_uki, inner_kernel
from tests.simulator.boot_images import Pe

LINUX = Pe(sections={".text": b"a kernel" * 30}).encode()
OSREL, CMDLINE, INITRD, SPLASH, DTB, PCRPKEY = (
    b"ID=debian\n",
    b"root=/dev/vda1 ro",
    b"\x07" * 700,
    b"BM",
    b"\xd0\x0d",
    b"key\n",
)
MEASURED_BY_SYSTEMD = "336ec71186695e3c974fc68b1084e2edde5a99225e449096ae655faf9511d922"
"""PCR 11 by `systemd-measure calculate --phase= --bank=sha256` of systemd 252.39-1~deb12u2, given the parts above."""


def magic(version: str) -> bytes:
    return f"#### LoaderInfo: systemd-stub {version} ####\0".encode()


PARTS = {
    ".text": b"the stub",
    ".sdmagic": magic("252.39-1~deb12u2"),
    ".pcrpkey": PCRPKEY,
    ".initrd": INITRD,
    ".osrel": OSREL,
    ".dtb": DTB,
    ".cmdline": CMDLINE,
    ".splash": SPLASH,
    ".pcrsig": b"{}",
    ".linux": LINUX,
}
"""In another order than they are measured in."""


def uki(**changes: bytes | None) -> bytes:
    """A unified image with some sections otherwise; the dot of their names is left out."""
    parts = PARTS | {f".{name}": content for name, content in changes.items()}
    return Pe(sections={name: content for name, content in parts.items() if content is not None}).encode()


def names(raw: bytes) -> list[str]:
    return [part.label for part in decode_uki(raw) if "content" not in part.label]


def extended(raw: bytes) -> str:
    value = bytes(32)
    for part in decode_uki(raw):
        value = hashlib.sha256(value + hashlib.sha256(part.data).digest()).digest()
    return value.hex()


def test_pcr_11_is_what_systemd_measure_says() -> None:
    assert extended(uki()) == MEASURED_BY_SYSTEMD


def test_each_section_is_measured_by_name_and_by_content_in_a_fixed_order() -> None:
    found = [part.data for part in decode_uki(uki())]
    ordered = [
        (b".linux", LINUX),
        (b".osrel", OSREL),
        (b".cmdline", CMDLINE),
        (b".initrd", INITRD),
        (b".splash", SPLASH),
    ]
    ordered += [(b".dtb", DTB), (b".pcrpkey", PCRPKEY)]

    assert found == [data for name, content in ordered for data in (name + b"\0", content)]


def test_sections_that_a_stub_does_not_know_are_not_measured_by_it() -> None:
    more = {"uname": b"6.1", "sbat": b"sbat,1", "ucode": b"microcode", "hwids": b"ids"}

    assert names(uki(**more)) == names(uki())
    assert names(uki(**more, sdmagic=magic("254.1"))) == [
        ".linux", ".osrel", ".cmdline", ".initrd", ".splash", ".dtb", ".uname", ".sbat", ".pcrpkey",
    ]  # fmt: skip
    assert names(uki(**more, sdmagic=magic("256")))[4] == ".ucode"


@pytest.mark.parametrize("said", [None, b"something else"])
def test_a_stub_that_does_not_say_its_version_counts_as_the_newest(said: bytes | None) -> None:
    assert ".hwids" in names(uki(hwids=b"ids", sdmagic=said))


def test_signatures_of_pcrs_are_never_measured() -> None:
    assert ".pcrsig" not in names(uki(sdmagic=None))


def test_an_empty_section_is_none() -> None:
    assert ".cmdline" not in names(uki(cmdline=b""))


@pytest.mark.parametrize("name", ["dtbauto", "efifw"])
def test_what_hardware_chooses_cannot_be_foretold(name: str) -> None:
    with pytest.raises(DecodeError, match="hardware"):
        decode_uki(uki(**{name: b"x"}))


def test_an_image_without_a_kernel_is_none() -> None:
    with pytest.raises(DecodeError, match="no unified kernel image"):
        decode_uki(uki(linux=None))
    assert inner_kernel(uki(linux=None)) is None


def test_the_kernel_inside_is_what_its_section_holds() -> None:
    assert inner_kernel(uki()) == LINUX


def test_a_command_line_from_outside_is_measured_with_its_terminator() -> None:
    assert command_line_data("ro") == b"r\0o\0\0\0"


def profiles(*labels: bytes) -> bytes:
    """An image with profiles, each with a command line of its own; names that stand twice are put in afterwards."""
    plain = Pe(sections={".text": b"stub", ".osrel": OSREL, ".linux": LINUX, ".cmdline": b"base"} | {
        f".p{number}x{kind}": content
        for number, label in enumerate(labels)
        for kind, content in (("a", label), ("b", b"line " + label))
    }).encode()  # fmt: skip
    for number in range(len(labels)):
        plain = plain.replace(f".p{number}xa".encode().ljust(8, b"\0"), b".profile")
        plain = plain.replace(f".p{number}xb".encode().ljust(8, b"\0"), b".cmdline")
    return plain


@pytest.mark.parametrize("labels", [(b"first",), (b"first", b"second")], ids=["one", "two"])
def test_the_first_profile_overrides_the_base(labels: tuple[bytes, ...]) -> None:
    found = {part.label: part.data for part in decode_uki(profiles(*labels))}

    assert found[".cmdline, content"] == b"line first"
    assert found[".profile, content"] == b"first"
    assert found[".osrel, content"] == OSREL
