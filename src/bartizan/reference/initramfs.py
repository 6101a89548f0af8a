"""Whether a file looks like an initramfs. It unpacks nothing: GRUB measures the file as it is.

Linux, Documentation/driver-api/early-userspace/buffer-format.rst and lib/decompress.c: cpio archives (newc), plain
or compressed, one after the other, with zeros between them. Early microcode is a plain one at the beginning.
"""

MAGICS = (
    *(b"070701", b"070702"),  # cpio, without and with checksums
    *(b"\x1f\x8b", b"\x1f\x9e"),  # gzip
    b"\xfd7zXZ\x00",
    b"\x28\xb5\x2f\xfd",  # zstd
    *(b"\x02\x21\x4c\x18", b"\x04\x22\x4d\x18"),  # lz4: the kernel's legacy frame, and the present one
    b"BZh",
    b"\x5d\x00\x00",  # lzma
    b"\x89LZO\x00",
)
"""How an archive begins."""


def is_initramfs(raw: bytes) -> bool:
    """The file begins as a cpio archive or a compressed one does."""
    return raw.lstrip(b"\0").startswith(MAGICS)
