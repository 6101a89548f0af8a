"""An image that firmware or a boot loader starts: its digests, signatures, SBAT and, for Linux, its release.

Linux/x86 boot protocol 2.00 and later (kernel documentation, arch/x86/boot.rst); SBAT as shim reads it from the section
of that name. It verifies nothing.
"""

from bartizan.formats.authenticode import PKCS_SIGNED_DATA, decode_authenticode
from bartizan.formats.pe import authenticode_digest, decode_pe, section_content
from bartizan.formats.reader import LittleReader
from bartizan.formats.sbat import decode_sbat
from bartizan.model.digest import HashAlg
from bartizan.model.image import BootImage, PeImage
from bartizan.model.uefi import SbatLevel

ALGORITHMS = (HashAlg.SHA1, HashAlg.SHA256, HashAlg.SHA384, HashAlg.SHA512)
"""The banks that firmware fills and the hashes that signatures use."""
LINUX_MAGIC, LINUX_MAGIC_AT = b"HdrS", 0x202
VERSION_POINTER, VERSION_BASE = 0x20E, 0x200
"""Where a Linux image says where its version text stands, and from where that is counted."""
MAX_RELEASE = 64
"""Characters of a kernel release (__NEW_UTS_LEN)."""


def decode_boot_image(raw: bytes) -> BootImage:
    """A PE image with all that its file says about how it will be measured and by whom it is signed.

    Raises:
        DecodeError: no PE image, or a signature or SBAT section that cannot be read.
    """
    image = decode_pe(raw)
    return BootImage(
        size=len(raw),
        flat={alg: alg.digest(raw) for alg in ALGORITHMS},
        authenticode={alg: authenticode_digest(raw, image, alg) for alg in ALGORITHMS},
        signatures=tuple(decode_authenticode(c.data) for c in image.certificates if c.kind == PKCS_SIGNED_DATA),
        sbat=decode_image_sbat(raw, image),
        release=linux_release(raw),
    )


def decode_image_sbat(raw: bytes, image: PeImage) -> SbatLevel | None:
    """The components and generations that an image says it consists of, or None; zeros may fill up the section.

    Raises:
        DecodeError: the section is no SBAT.
    """
    section = image.section(".sbat")
    return decode_sbat(section_content(raw, section).rstrip(b"\0")) if section is not None else None


def linux_release(raw: bytes) -> str:
    """What `uname -r` will say under this kernel, as the image claims; empty where it says nothing readable."""
    if raw[LINUX_MAGIC_AT : LINUX_MAGIC_AT + len(LINUX_MAGIC)] != LINUX_MAGIC or len(raw) < VERSION_POINTER + 2:
        return ""
    pointer = LittleReader(raw, start=VERSION_POINTER).u16("kernel_version")
    start = min(VERSION_BASE + pointer, len(raw))
    text = LittleReader(raw, start=start).peek(MAX_RELEASE).split(b"\0")[0].split(b" ")[0]
    release = text.decode("ascii", "replace")
    return release if pointer and release.isascii() and release.isprintable() else ""
