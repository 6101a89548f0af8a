"""What a guest is started from: one initramfs with all its programs, on a disk with Debian's signed boot chain.

Nothing in it depends on time or on who makes it but the versions of what is packed.
"""

import gzip
import lzma
import os
import re
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
LIBRARIES = re.compile(r"(/\S+) \(0x")
INIT = """#!/bin/busybox sh
B=/bin/busybox
$B mount -t proc proc /proc; $B mount -t sysfs sysfs /sys; $B mount -t devtmpfs dev /dev; $B mkdir -p /dev/shm /run /tmp
$B mount -t securityfs s /sys/kernel/security; $B mount -t cgroup2 c /sys/fs/cgroup; $B mount -t tmpfs t /run
$B insmod /efivarfs.ko && $B mount -t efivarfs e /sys/firmware/efi/efivars
exec >/dev/console 2>&1 </dev/console
PYTHONPATH=/lib/collectors exec /usr/bin/python3.11 -S -B /guest.py
"""
GUEST = ("guest.py", "workloads.py", "attest.py", "profiles", "complaining")
MENU = """search --no-floppy --file /vmlinuz --set=root
linux /vmlinuz {cmdline}
initrd /initrd.img
boot
"""
SPARE = 8
"""Megabytes of the disk beyond its files."""


def linked(program: Path) -> Iterator[Path]:
    said = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    for match in LIBRARIES.finditer(said):
        yield Path(match[1])


def policies(packages: Path, work: Path) -> dict[str, Path]:
    """SELinux policies: one that denies, one whose domain for guests is permissive."""
    folders = [packages / "usr/lib/x86_64-linux-gnu", packages / "lib/x86_64-linux-gnu"]
    libraries = {**os.environ, "LD_LIBRARY_PATH": ":".join(map(str, folders))}
    sources = {"strict": [HERE / "policy.cil"], "permissive": [HERE / "policy.cil", HERE / "permissive.cil"]}
    for name, cil in sources.items():
        command = [packages / "usr/bin/secilc", "-c", "33", "-M", "true", "-o", work / name, "-f", "/dev/null", *cil]
        subprocess.run(command, check=True, env=libraries)
    return {f"policy.{name}": work / name for name in sources}


def library() -> dict[str, Path]:
    """Python's standard library, without what no guest needs."""
    folder = Path("/usr/lib/python3.11")
    left_out = {"test", "idlelib", "dist-packages", "__pycache__", "pydoc_data", "lib2to3", "ensurepip", "distutils"}
    every = (path for path in folder.rglob("*") if path.is_file())
    kept = [path for path in every if not left_out & set(path.parts) and path.suffix != ".a"]
    extensions = [path for path in kept if path.name.startswith(("_ctypes", "_ssl", "_hashlib"))]
    return {inside(path): path for path in [*kept, *(lib for one in extensions for lib in linked(one))]}


def inside(path: Path) -> str:
    return str(path).removeprefix("/")


def agent() -> dict[str, Path]:
    """The agent's own sources, as they are."""
    package = ROOT / "src" / "bartizan"
    sources = [package / "__init__.py", *(package / "collect").rglob("*.py"), *(package / "agent").rglob("*.py")]
    return {f"lib/collectors/bartizan/{path.relative_to(package)}": path for path in sources}


def files(packages: Path, work: Path) -> dict[str, Path]:
    """Path in the guest to the file that goes there."""
    parser = packages / "sbin/apparmor_parser"
    found = {name: HERE / name for name in GUEST}
    found |= {"bin/busybox": packages / "bin/busybox", "sbin/apparmor_parser": parser}
    found |= policies(packages, work) | library() | agent()
    [packed] = packages.glob("lib/modules/*/kernel/fs/efivarfs/efivarfs.ko.xz")
    (work / "efivarfs.ko").write_bytes(lzma.decompress(packed.read_bytes()))
    found["efivarfs.ko"] = work / "efivarfs.ko"
    for program in (Path("/usr/bin/python3.11"), Path("/usr/bin/qemu-system-x86_64")):
        found[inside(program)] = program
    for program in (Path("/usr/bin/python3.11"), Path("/usr/bin/qemu-system-x86_64"), parser):
        found |= {inside(path): path for path in linked(program)}
    for name in ("bios-256k.bin", "kvmvapic.bin", "linuxboot_dma.bin"):
        places = (Path(folder) / name for folder in ("/usr/share/seabios", "/usr/share/qemu"))
        found |= {f"usr/share/seabios/{name}": path for path in places if path.is_file()}
    accelerators = Path("/usr/lib/x86_64-linux-gnu/qemu").glob("accel-*")
    return found | {inside(path): path for path in accelerators}


def entry(name: str, mode: int, data: bytes) -> bytes:
    """One member of a cpio archive of the new form; Linux driver-api/early-userspace/buffer-format.rst."""
    numbers = (0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08X" % number for number in numbers) + name.encode() + b"\0"
    return head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)


def initramfs(found: dict[str, Path]) -> bytes:
    folders = {
        "proc",
        "sys",
        "dev",
        "run",
        "tmp",
        *(str(p) for name in found for p in Path(name).parents if str(p) != "."),
    }
    made = [entry(name, stat.S_IFDIR | 0o755, b"") for name in sorted(folders)]
    made += [entry(name, stat.S_IFREG | 0o755, path.read_bytes()) for name, path in sorted(found.items())]
    made += [entry("init", stat.S_IFREG | 0o755, INIT.encode())]
    return gzip.compress(b"".join([*made, entry("TRAILER!!!", 0, b"")]), 6, mtime=0)


def disk(packages: Path, image: Path, work: Path) -> Path:
    """An EFI system partition without a table: shim, GRUB and kernel as Debian signed them; no menu yet."""
    [kernel] = (packages / "boot").glob("vmlinuz-*")
    chain = {
        "EFI/BOOT/BOOTX64.EFI": packages / "usr/lib/shim/shimx64.efi.signed",
        "EFI/BOOT/grubx64.efi": packages / "usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed",
        "vmlinuz": kernel,
        "initrd.img": image,
    }
    made = work / "disk"
    megabytes = sum(path.stat().st_size for path in chain.values()) // 2**20 + SPARE
    with made.open("wb") as file:
        file.truncate(megabytes << 20)
    mtools(packages, "mformat", "-F", "-N", "12345678", "-i", made, "::")
    mtools(packages, "mmd", "-i", made, "::/EFI", "::/EFI/BOOT", "::/EFI/debian")
    for name, path in chain.items():
        mtools(packages, "mcopy", "-i", made, path, f"::/{name}")
    return made


def with_menu(packages: Path, made: Path, cmdline: str) -> None:
    """The disk boots with this command line from now on."""
    menu = made.with_name("grub.cfg")
    words = (f"'{word}'" if "|" in word else word for word in cmdline.split(" "))
    menu.write_text(MENU.format(cmdline=" ".join(words)), encoding="ascii")
    mtools(packages, "mcopy", "-o", "-i", made, menu, "::/EFI/debian/grub.cfg")


def mtools(packages: Path, command: str, *arguments: object) -> None:
    program = packages / "usr/bin" / command
    environment = {**os.environ, "MTOOLS_SKIP_CHECK": "1", "SOURCE_DATE_EPOCH": "0"}
    subprocess.run([program, *map(str, arguments)], check=True, env=environment)
