"""Disk images from folders, made without any right: an ESP by mtools, ext4 by `mke2fs -d`."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from bartizan.errors import ConnectorError

SECTOR = 512
FIRST = 2048
"""Sector at which the one partition begins."""
MEBIBYTE = 1 << 20
ROOT_UUID = "77777777-2222-3333-4444-555555555555"
TABLE = """label: gpt
label-id: 11111111-2222-3333-4444-555555555555
start={first}, size={sectors}, type=uefi, uuid=66666666-2222-3333-4444-555555555555, name=ESP
"""
SECONDS = 120
TOOLS = {"sfdisk": "fdisk", "mkfs.vfat": "dosfstools", "mcopy": "mtools", "mke2fs": "e2fsprogs", "debugfs": "e2fsprogs"}


def run(command: Sequence[str | Path], *, said: str = "") -> str:
    """What a program prints. said: its standard input.

    Raises:
        ConnectorError: it is missing or failed; what it said is part of the message.
    """
    environment = {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin", "LC_ALL": "C", "TZ": "UTC"}
    try:
        ran = subprocess.run(
            command, input=said, capture_output=True, text=True, check=False, timeout=SECONDS, env=environment
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        package = TOOLS.get(str(command[0]))
        advice = f"; on Debian, `apt-get install {package}`" if package else ""
        raise ConnectorError(f"{command[0]} cannot be run: {error}{advice}") from error
    if ran.returncode:
        raise ConnectorError(f"{command[0]} failed: {(ran.stderr or ran.stdout).strip()[-2000:]}")
    return ran.stdout


def make_esp(folder: Path, out: Path, *, mebibytes: int) -> None:
    """A GPT disk whose one partition is an EFI system partition with a folder's files."""
    sectors = mebibytes * MEBIBYTE // SECTOR
    partition = out.with_suffix(".fat")
    for path, size in ((out, sectors + 2 * FIRST), (partition, sectors)):
        path.unlink(missing_ok=True)
        with path.open("wb") as file:
            file.truncate(size * SECTOR)
    run(["sfdisk", "-q", out], said=TABLE.format(first=FIRST, sectors=sectors))
    run(["mkfs.vfat", "-F", "32", "-i", "12345678", "-n", "ESP", partition])
    run(["mcopy", "-s", "-i", partition, *sorted(folder.iterdir()), "::/"])
    with partition.open("rb") as source, out.open("r+b") as target:
        target.seek(FIRST * SECTOR)
        shutil.copyfileobj(source, target, MEBIBYTE)
    partition.unlink()


def make_root(folder: Path, out: Path, *, mebibytes: int) -> None:
    """An ext4 file system with a folder's files, all of them root's."""
    out.unlink(missing_ok=True)
    as_root = [] if os.geteuid() == 0 else ["unshare", "--map-root-user"]
    options = ["-q", "-t", "ext4", "-m", "0", "-U", ROOT_UUID, "-E", f"hash_seed={ROOT_UUID}", "-F"]
    run([*as_root, "mke2fs", *options, "-d", folder, out, f"{mebibytes}M"])


def copy_disk(base: Path, out: Path) -> None:
    """A copy that takes no room where the disk is empty."""
    run(["cp", "--sparse=always", "--reflink=auto", base, out])


def append_to(disk: Path, path: str, more: bytes, *, work: Path) -> None:
    """Change a file on an ext4 disk that nobody uses, as whoever holds the disk can. work: a file of ours."""
    run(["debugfs", "-R", f"dump {path} {work}", disk])
    with work.open("ab") as file:
        file.write(more)
    for command in (f"rm {path}", f"write {work} {path}", f"set_inode_field {path} mode 0100755"):
        run(["debugfs", "-w", "-R", command, disk])
    work.unlink()
