"""Boot images: what Debian's packages hold is what the recorded machine measured; SBAT and Linux's own release."""

from struct import pack

import pytest

from bartizan.errors import DecodeError
from bartizan.formats.boot_image import decode_boot_image, linux_release
from bartizan.model.digest import HashAlg
from tests.simulator.boot_images import Pe, debian, kernels
from tests.simulator.machine import BANKS, good

SHIM, GRUB, KERNEL_FILE, KERNEL_IMAGES = 23, 29, 39, (40, 41)
"""Where the recorded log has them."""
SBAT = (
    b"sbat,1,SBAT Version,sbat,1,https://example.org\ngrub,5,Free Software Foundation,grub,2.06,https://example.org\n"
)


def image_of(package: str, version: str) -> dict[int, bytes]:
    found = next(one for one in debian() if (one.package, one.version) == (package, version))
    return {alg: found.image.authenticode[alg] for alg in BANKS}


def test_the_recorded_shim_and_loader_are_those_of_debians_packages() -> None:
    events = good().events

    assert events[SHIM].digests == image_of("shim-signed", "1.51~1+deb12u1+16.1-2~deb12u1")
    assert events[GRUB].digests == image_of("grub-efi-amd64-signed", "1+2.06+13+deb12u2")


def test_the_recorded_kernel_is_the_newest_of_debians_packages() -> None:
    events, kernel = good().events, kernels()[-1]

    assert events[KERNEL_FILE].digests == {alg: kernel.image.flat[alg] for alg in BANKS}
    for index in KERNEL_IMAGES:
        assert events[index].digests == image_of(kernel.package, kernel.version)


def test_an_image_says_its_components_and_generations() -> None:
    image = decode_boot_image(Pe(sections={".text": b"x", ".sbat": SBAT + bytes(100)}).encode())

    assert image.sbat is not None
    assert [(entry.component, entry.generation) for entry in image.sbat.entries] == [("sbat", 1), ("grub", 5)]
    assert decode_boot_image(Pe().encode()).sbat is None


def test_a_section_that_is_no_sbat_is_refused() -> None:
    with pytest.raises(DecodeError, match="SBAT"):
        decode_boot_image(Pe(sections={".sbat": b"\xff"}).encode())


def bzimage(version: bytes, pointer: int = 0x100) -> bytes:
    """The head of a Linux image; boot protocol 2.00."""
    head = bytearray(0x600)
    head[0x202:0x206] = b"HdrS"
    head[0x20E:0x210] = pack("<H", pointer)
    if 0 < pointer < 0x400:
        head[0x200 + pointer : 0x200 + pointer + len(version)] = version
    return bytes(head)


def test_a_kernel_says_its_release() -> None:
    assert (
        linux_release(bzimage(b"6.1.0-56-cloud-amd64 (debian-kernel@lists.debian.org) #1 SMP\0"))
        == "6.1.0-56-cloud-amd64"
    )


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        bytes(0x600),
        bzimage(b"6.1.0\0")[:0x20F],
        bzimage(b"", pointer=0),
        bzimage(b"\xff\xfe\0"),
        bzimage(b"6.1\x1b[31m\0"),
        bzimage(b"", pointer=0xFFFF)[:0x600],
    ],
    ids=["empty", "no Linux", "cut", "no version", "no text", "an escape code", "beyond the end"],
)
def test_what_says_no_readable_release_has_none(raw: bytes) -> None:
    assert linux_release(raw) == ""


def test_digests_are_of_the_whole_file_and_of_what_counts() -> None:
    pe = Pe()
    image = decode_boot_image(pe.encode())

    assert image.flat[HashAlg.SHA256] == HashAlg.SHA256.digest(pe.encode())
    assert image.authenticode[HashAlg.SHA256] == pe.digest()
    assert image.size == len(pe.encode())
