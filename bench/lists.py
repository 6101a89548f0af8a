"""IMA lists to measure with: made from a seed, as a host's look, in both of the kernel's forms. It decodes nothing."""

import hashlib
import random
from pathlib import Path
from struct import pack

SIZES = {"1k": 1_000, "10k": 10_000, "100k": 100_000}
FOLDERS = (
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/python3/dist-packages",
    "/usr/bin",
    "/usr/share/perl5",
    "/lib/modules",
)
TEMPLATE = b"ima-ng"
BOOT_PCRS = (bytes(32),) * 10
"""PCR 0-9 of the boot that the lists belong to."""
BOOT_AGGREGATE = hashlib.sha256(b"".join(BOOT_PCRS)).digest()


def sized(value: bytes) -> bytes:
    """A 32-bit little-endian length and the value."""
    return pack("<I", len(value)) + value


def write_list(folder: Path, count: int) -> None:
    """`binary`, `ascii` and the PCR 10 (`pcr10`, hex) that an ima-ng list of so many entries leads to."""
    folder.mkdir()
    chance = random.Random(count)
    pcr = bytes(32)
    binary: list[bytes] = []
    ascii_lines: list[str] = []
    for index in range(count):
        path = f"{chance.choice(FOLDERS)}/part{index % 97}/file-{index}.so" if index else "boot_aggregate"
        digest = chance.randbytes(32) if index else BOOT_AGGREGATE
        data = sized(b"sha256:\0" + digest) + sized(path.encode() + b"\0")
        column = hashlib.sha1(data, usedforsecurity=False).digest()
        binary.append(pack("<I", 10) + column + sized(TEMPLATE) + sized(data))
        ascii_lines.append(f"10 {column.hex()} {TEMPLATE.decode()} sha256:{digest.hex()} {path}\n")
        pcr = hashlib.sha256(pcr + hashlib.sha256(data).digest()).digest()
    (folder / "binary").write_bytes(b"".join(binary))
    (folder / "ascii").write_text("".join(ascii_lines), encoding="ascii")
    (folder / "pcr10").write_text(pcr.hex(), encoding="ascii")


def write_lists(folder: Path) -> None:
    """`ima-1k`, `ima-10k` and `ima-100k` below a folder."""
    for label, count in SIZES.items():
        write_list(folder / f"ima-{label}", count)
