"""An initramfs: a cpio archive of the new form; Linux driver-api/early-userspace/buffer-format.rst."""

import stat
from collections.abc import Mapping
from pathlib import PurePosixPath


def archive(files: Mapping[str, bytes], *, folders: frozenset[str] = frozenset()) -> bytes:
    """These files, all of them executable, with the folders above them and these further ones."""
    above = {str(path) for name in files for path in PurePosixPath(name).parents if str(path) != "."}
    made = [_entry(name, stat.S_IFDIR | 0o755, b"") for name in sorted(above | folders)]
    made += [_entry(name, stat.S_IFREG | 0o755, content) for name, content in sorted(files.items())]
    return b"".join([*made, _entry("TRAILER!!!", 0, b"")])


def _entry(name: str, mode: int, content: bytes) -> bytes:
    numbers = (0, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08X" % number for number in numbers) + name.encode() + b"\0"
    return head + bytes(-len(head) % 4) + content + bytes(-len(content) % 4)
