"""Hosts as file trees for the posture collectors: recorded or hardened, and with one thing changed. Not a test."""

import os
import re
import stat
import tomllib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from bartizan.app.defaults import posture_rules
from bartizan.appraise.posture.engine import appraise_posture
from bartizan.collect.posture.document import collect_posture
from bartizan.formats.posture import decode_posture
from bartizan.model.posture import PostureResult, Profile

VECTORS = Path(__file__).parent.parent / "vectors" / "posture"
QEMU = "/etc/libvirt/qemu.conf"
CMDLINE = "/proc/cmdline"
KINDS = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")


@dataclass(kw_only=True)
class Tree:
    """A host's files, folders, modes and namespaces.

    links: the namespaces that a process has for itself; symlinks: other links and where they point.
    """

    files: dict[str, str] = field(default_factory=dict)
    folders: dict[str, list[str]] = field(default_factory=dict)
    nodes: dict[str, dict[str, Any]] = field(default_factory=dict)
    links: dict[str, list[str]] = field(default_factory=dict)
    symlinks: dict[str, str] = field(default_factory=dict)

    def without(self, path: str) -> None:
        """Nothing stands at this path or below it."""
        for table in (self.files, self.folders, self.nodes, self.links, self.symlinks):
            for name in [name for name in table if name == path or name.startswith(f"{path}/")]:
                del table[name]

    def change(self, edit: dict[str, Any]) -> "Tree":
        """This tree with an edit of `cases.toml`."""
        for path in edit.get("absent", []):
            self.without(path)
        for name in ("files", "folders", "nodes", "links", "symlinks"):
            getattr(self, name).update(edit.get(name, {}))
        for path, (old, new) in edit.get("replace", {}).items():
            assert old in self.files[path], f"{path} does not hold {old!r}"
            self.files[path] = self.files[path].replace(old, new)
        if "cmdline" in edit:
            self.files[CMDLINE] = f"{self.files[CMDLINE].rstrip()} {edit['cmdline']}\n"
        if "qemu" in edit:
            name = edit["qemu"].split(" ")[0]
            kept = [line for line in self.files[QEMU].splitlines() if not line.startswith(f"{name} ")]
            self.files[QEMU] = "\n".join([*kept, edit["qemu"], ""])
        return self

    def write(self, root: Path) -> Path:
        """The tree as real files below a folder."""
        for path, text in self.files.items():
            place = root / path.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(text.encode("utf-8", "surrogateescape"))
        for path, names in self.folders.items():
            for place in (root / path.lstrip("/") / name for name in ["", *names]):
                if not place.exists():
                    place.mkdir(parents=True)
        for path, node in self.nodes.items():
            _stand(root / path.lstrip("/"), **node)
        for path, target in self.symlinks.items():
            (root / path.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
            (root / path.lstrip("/")).symlink_to(target)
        for path, private in self.links.items():
            (root / path.lstrip("/")).mkdir(parents=True)
            for kind in KINDS:
                number = 2 if kind in private else 1
                (root / path.lstrip("/") / kind).symlink_to(f"{kind}:[{number}]")
        return root


def _stand(place: Path, *, kind: str, mode: int) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    if kind == "socket":
        os.mknod(place, stat.S_IFSOCK)
    elif kind == "folder":
        place.mkdir(exist_ok=True)
    else:
        place.touch()
    place.chmod(mode)


def tree(name: str) -> Tree:
    """A host of `tests/vectors/posture`."""
    document = tomllib.loads((VECTORS / f"{name}.toml").read_text(encoding="utf-8"))
    assert document.pop("provenance")
    base = document.pop("base", None)
    return (tree(base) if base else Tree()).change(document)


@cache
def cases() -> tuple[dict[str, Any], ...]:
    """Every broken host."""
    found: list[dict[str, Any]] = tomllib.loads((VECTORS / "cases.toml").read_text(encoding="utf-8"))["case"]
    return tuple(found)


def case_name(case: dict[str, Any]) -> str:
    """How a case is called among the tests."""
    return f"{case['rule']} {re.sub(r'[^A-Za-z0-9]+', ' ', case['why'])[:40].strip()}"


def judged(root: Path, profile: Profile = Profile.BASELINE) -> PostureResult:
    """A written tree's posture."""
    return appraise_posture(decode_posture(collect_posture(root)), posture_rules(), profile)
