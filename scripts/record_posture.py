"""Records the files of this machine that the posture collectors read: `record_posture.py [ROOT] > HOST.toml`.

Of processes it records nothing, of mounts and sockets only what the collectors look for; what goes to init is cut off.
"""

import json
import re
import sys
from pathlib import Path

from bartizan.collect.posture.cpu import CPUINFO, SHOWN
from bartizan.collect.posture.document import collect
from bartizan.collect.posture.host import Host, Listing, Reading
from bartizan.collect.posture.kernel import COMMAND_LINE, INIT
from bartizan.collect.posture.memory import MOUNTS
from bartizan.collect.posture.network import SOCKETS, VHOST

PROCESS = re.compile(r"/proc/[0-9]+(/|$)|/run/libvirt/")
"""Processes, and what libvirt says of its guests."""


class Recorder(Host):
    """A host that remembers what was asked of it, before the collectors shorten it."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.seen: dict[str, str] = {}
        self.listed: dict[str, list[str]] = {}

    def glance(self, path: str) -> Reading:
        """The text of a file, remembered."""
        reading = super().glance(path)
        if reading.value is not None and not PROCESS.match(path):
            self.seen[path] = scrubbed(path, reading.value)
        return reading

    def glance_names(self, path: str, limit: int = 65536) -> Listing:
        """The names in a folder, remembered."""
        listing = super().glance_names(path, limit)
        if listing.names is not None and path != "/proc" and not PROCESS.match(path):
            self.listed[path] = list(listing.names)
        return listing


def scrubbed(path: str, text: str) -> str:
    """What may be published of a file."""
    if path == COMMAND_LINE:
        return text.rstrip("\n").split(INIT, 1)[0] + "\n"
    if path == CPUINFO:
        block = text.split("\n\n", 1)[0].splitlines()
        return "".join(f"{line}\n" for line in block if line.split(":", 1)[0].strip() in SHOWN)
    if path == MOUNTS:
        return "".join(line for line in text.splitlines(keepends=True) if " hugetlbfs " in line)
    if path == SOCKETS:
        head, *rows = text.splitlines(keepends=True)
        return head + "".join(row for row in rows if VHOST.search(row))
    return text


def table(name: str, rows: dict[str, object]) -> str:
    lines = [f"{json.dumps(key)} = {json.dumps(value, ensure_ascii=True)}" for key, value in sorted(rows.items())]
    return "\n".join([f"[{name}]", *lines]) + "\n"


def main() -> int:
    recorder = Recorder(Path(sys.argv[1] if len(sys.argv) > 1 else "/"))
    collect(recorder)
    print(table("files", dict(recorder.seen)))
    print(table("folders", dict(recorder.listed)), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
