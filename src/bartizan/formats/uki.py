"""Unified kernel images: what systemd-stub will measure of one into PCR 11, and of a command line into PCR 12.

systemd-stub(7), "TPM PCR Notes" and "Multi-Profile UKIs"; systemd-measure(1). For each section that is there, in a
fixed order whatever their order in the file: first its name with a terminator, then its content as it lies in memory.
Sections that the stub chooses by the machine's hardware cannot be foretold, and are refused.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from bartizan.errors import DecodeError
from bartizan.formats.pe import decode_pe, section_content
from bartizan.formats.strict import decimal
from bartizan.model.image import PeImage, Section

SINCE: Mapping[str, int] = {
    ".linux": 252,
    ".osrel": 252,
    ".cmdline": 252,
    ".initrd": 252,
    ".ucode": 256,
    ".splash": 252,
    ".dtb": 252,
    ".uname": 254,
    ".sbat": 254,
    ".pcrpkey": 252,
    ".profile": 257,
    ".hwids": 257,
}
"""Measured sections in their order, and the first version of systemd-stub that measures each."""
BY_HARDWARE = (".dtbauto", ".efifw")
"""Of these the stub takes the one that fits the machine, if any."""
PROFILE = ".profile"
MAGIC = ".sdmagic"
VERSION = re.compile(rb"#### LoaderInfo: systemd-stub ([0-9]{1,4})[^#\n]{0,80} ####")
MAX_VERSION_TEXT = 256


class Measured(NamedTuple):
    """One thing measured: what it is, for people, and the bytes that are hashed."""

    label: str
    data: bytes


def decode_uki(raw: bytes) -> tuple[Measured, ...]:
    """What PCR 11 takes when this image is started with its first profile, in order.

    Raises:
        DecodeError: no PE image, no kernel in it, or a section that is chosen by hardware.
    """
    image = decode_pe(raw)
    sections = _chosen(image)
    if ".linux" not in sections:
        raise DecodeError("unified kernel image", 0, "no section .linux: this is no unified kernel image")
    for name in BY_HARDWARE:
        if name in sections:
            raise DecodeError("unified kernel image", sections[name].offset, f"{name} is chosen by the hardware")
    version = _stub_version(raw, image)
    measured: list[Measured] = []
    for name, since in SINCE.items():
        if name in sections and since <= version:
            content = section_content(raw, sections[name])
            measured += [Measured(name, name.encode() + b"\0"), Measured(f"{name}, content", content)]
    return tuple(measured)


def command_line_data(text: str) -> bytes:
    """What PCR 12 takes of a command line that is handed to the stub: UTF-16 with a terminator; systemd-stub(7)."""
    return f"{text}\0".encode("utf-16-le", "surrogatepass")


def inner_kernel(raw: bytes) -> bytes | None:
    """The Linux image inside a unified one, or None where there is none.

    Raises:
        DecodeError: no PE image.
    """
    section = _chosen(decode_pe(raw)).get(".linux")
    return section_content(raw, section) if section is not None else None


def _chosen(image: PeImage) -> dict[str, Section]:
    """The base's sections, and those of the first profile in their place; of several by one name the first counts."""
    names = [section.name for section in image.sections]
    starts = [place for place, name in enumerate(names) if name == PROFILE]
    base = image.sections[: starts[0]] if starts else image.sections
    profile = image.sections[starts[0] : starts[1] if len(starts) > 1 else None] if starts else ()
    found: dict[str, Section] = {}
    for section in (*profile, *base):
        if section.virtual_size:
            found.setdefault(section.name, section)
    return found


def _stub_version(raw: bytes, image: PeImage) -> int:
    """The stub's version, as it says of itself; a stub that says nothing counts as the newest."""
    section = image.section(MAGIC)
    found = VERSION.search(section_content(raw, section)[:MAX_VERSION_TEXT]) if section is not None else None
    return decimal(found[1].decode(), "stub version") if found else max(SINCE.values())
