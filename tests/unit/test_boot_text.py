"""What a boot loader says it measured is told apart by the form of its text."""

import pytest

from bartizan.errors import DecodeError
from bartizan.formats.boot_text import SHIM_NAMES, UKI_SECTIONS, decode_boot_text
from bartizan.formats.texts import MAX_TEXT
from bartizan.model.event_data import BootTextKind, Encoding
from tests.unit.uefi_bytes import utf16


@pytest.mark.parametrize(
    ("raw", "kind", "text"),
    [
        (b"grub_cmd: set timeout=0\0", BootTextKind.GRUB_COMMAND, "set timeout=0"),
        (b"grub_cmd set pager=1\0", BootTextKind.GRUB_COMMAND, "set pager=1"),
        (b"kernel_cmdline: /vmlinuz ro\0", BootTextKind.KERNEL_COMMAND_LINE, "/vmlinuz ro"),
        (b"grub_kernel_cmdline /vmlinuz ro\0", BootTextKind.KERNEL_COMMAND_LINE, "/vmlinuz ro"),
        (b"module_cmdline: /xen.gz dom0\0", BootTextKind.MODULE_COMMAND_LINE, "/xen.gz dom0"),
        (b"grub_linuxefi Kernel\0", BootTextKind.FILE, "Kernel"),
        (b"(hd0,gpt1)/EFI/debian/grub.cfg\0", BootTextKind.FILE, "(hd0,gpt1)/EFI/debian/grub.cfg"),
        (b"/initrd.img\0", BootTextKind.FILE, "/initrd.img"),
        (b"IPL code", BootTextKind.OTHER, "IPL code"),
    ],
)
def test_each_form_has_its_kind(raw: bytes, kind: BootTextKind, text: str) -> None:
    found = decode_boot_text(raw)

    assert (found.kind, found.text, found.payload, found.encoding) == (kind, text, text.encode(), Encoding.UTF8)


@pytest.mark.parametrize("name", sorted(SHIM_NAMES))
@pytest.mark.parametrize("end", [b"", b"\0", b"\0\xaf"])
def test_a_shim_variable_is_known_even_with_the_byte_behind_it(name: str, end: bytes) -> None:
    found = decode_boot_text(name.encode() + end)

    assert (found.kind, found.text) == (BootTextKind.SHIM_VARIABLE, name)


@pytest.mark.parametrize("name", sorted(UKI_SECTIONS))
def test_a_section_of_a_unified_kernel_image_is_known(name: str) -> None:
    found = decode_boot_text(utf16(name + "\0"))

    assert (found.kind, found.text, found.encoding) == (BootTextKind.UKI_SECTION, name, Encoding.UTF16)


def test_a_command_line_in_utf16_keeps_its_bytes() -> None:
    found = decode_boot_text(utf16("root=/dev/sda ro\0"))

    assert (found.kind, found.payload) == (BootTextKind.OTHER, utf16("root=/dev/sda ro"))


def test_a_command_is_never_refused_for_what_stands_in_it() -> None:
    found = decode_boot_text(b"kernel_cmdline: a\0b\xff\x1b[2J\0")

    assert found.payload == b"a\0b\xff\x1b[2J"
    assert found.text.encode("utf-8", "surrogateescape") == found.payload


@pytest.mark.parametrize("raw", [b"MokList\0ab", b"\x01\x02\x03\x04", b"\xff", b"a" * (MAX_TEXT + 1)])
def test_data_that_is_no_text_is_refused(raw: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_boot_text(raw)
