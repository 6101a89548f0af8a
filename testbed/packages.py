"""Debian packages as apt gives them to this machine: found, downloaded, unpacked; nothing is installed here.

apt works in folders of its own below the cache, so no right is needed. What apt's keys vouch for is believed.
"""

import hashlib
import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bartizan.errors import ConnectorError

SECONDS = 600
"""Patience with one call of apt, which may have to fetch the lists of packages."""
URI = re.compile(r"^'[^']+' (\S+) \d+ SHA256:([0-9a-f]{64})$", re.MULTILINE)
DEPENDS = re.compile(r"^\s*Depends: (\S+)$", re.MULTILINE)
INDEX = "packages.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Packages:
    """Downloaded packages. files: by the name of the package; previous: the kernel before the current one."""

    folder: Path
    digests: dict[str, str]
    kernel: str
    previous: str

    def unpack(self, names: Iterable[str], into: Path) -> None:
        """The files of these packages below a folder, whose links to folders stay links.

        Raises:
            ConnectorError: a package cannot be unpacked.
        """
        for name in names:
            [path] = self.folder.glob(f"{name}_*.deb")
            with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", path], stdout=subprocess.PIPE) as archive:
                command = ["tar", "-x", "--keep-directory-symlink", "--no-same-owner", "-C", str(into)]
                ran = subprocess.run(command, stdin=archive.stdout, capture_output=True, text=True, check=False)
            if ran.returncode or archive.returncode:
                raise ConnectorError(f"{path.name} cannot be unpacked: {ran.stderr.strip()}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What to fetch: packages, the package that depends on the current kernel, and what a kernel's name looks like."""

    packages: tuple[str, ...]
    kernel: str
    kernels: str


def fetched(cache: Path, wanted: Wanted) -> Packages:
    """The packages, from the cache where they are.

    Raises:
        ConnectorError: apt does not give them.
    """
    asked = hashlib.sha256(repr(wanted).encode()).hexdigest()[:16]
    folder = cache / f"packages-{asked}"
    if not (folder / INDEX).is_file():
        cache.mkdir(parents=True, exist_ok=True)
        _fetch(cache, folder, wanted)
    index = json.loads((folder / INDEX).read_text("utf-8"))
    return Packages(folder=folder, **index)


def _fetch(cache: Path, folder: Path, wanted: Wanted) -> None:
    with tempfile.TemporaryDirectory(dir=cache) as name:
        here = Path(name)
        apt = _Apt(here / "apt")
        apt.run("apt-get", "--quiet", "update", must=False)
        kernel, previous = _kernels(apt, wanted)
        names = (*wanted.packages, kernel, previous)
        digests = {file.partition("_")[0]: digest for file, digest in URI.findall(apt.uris(names))}
        missing = sorted(set(names) - digests.keys())
        if missing:
            raise ConnectorError(f"apt has no package {', '.join(missing)}; the guests are made of Debian 12's")
        made = here / "made"
        made.mkdir()
        apt.run("apt-get", "--quiet", "download", *names, where=made)
        index = {"digests": digests, "kernel": kernel, "previous": previous}
        (made / INDEX).write_text(json.dumps(index, indent=1, sort_keys=True), "utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        made.rename(folder)


def _kernels(apt: "_Apt", wanted: Wanted) -> tuple[str, str]:
    """The current signed kernel's package, and the newest one of the same series before it."""
    found = DEPENDS.search(apt.run("apt-cache", "depends", wanted.kernel))
    name = re.compile(wanted.kernels)
    current = None if found is None else name.fullmatch(found[1])
    if current is None:
        raise ConnectorError(f"apt's {wanted.kernel} depends on no signed kernel; the guests are made of Debian 12's")
    every = [name.fullmatch(line) for line in apt.run("apt-cache", "pkgnames", "linux-image-").split()]
    older = [one for one in every if one and one[1] == current[1] and int(one[2]) < int(current[2])]
    if not older:
        raise ConnectorError(f"apt has no signed kernel before {current[0]}, to go back to")
    return current[0], max(older, key=lambda one: int(one[2]))[0]


@dataclass(frozen=True, slots=True)
class _Apt:
    """apt with lists of its own: this machine's may be old, or not there."""

    folder: Path

    def run(self, program: str, *arguments: str, where: Path | None = None, must: bool = True) -> str:
        """What it prints. must: an exit status other than 0 is an error."""
        (self.folder / "lists" / "partial").mkdir(parents=True, exist_ok=True)
        (self.folder / "cache" / "archives" / "partial").mkdir(parents=True, exist_ok=True)
        options = [f"Dir::State::lists={self.folder / 'lists'}", f"Dir::Cache={self.folder / 'cache'}"]
        options += ["APT::Sandbox::User=root", "Acquire::Languages=none"]
        command = [program, *(word for option in options for word in ("-o", option)), *arguments]
        try:
            ran = subprocess.run(
                command, cwd=where or self.folder, capture_output=True, text=True, check=False, timeout=SECONDS
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ConnectorError(f"{program} does not answer: {error}") from error
        if must and ran.returncode:
            raise ConnectorError(f"{program} {arguments[0]} failed: {ran.stderr.strip()[-2000:]}")
        return ran.stdout

    def uris(self, names: Sequence[str]) -> str:
        """A line for each file that would be downloaded: its address, name, size and digest."""
        return self.run("apt-get", "download", "--print-uris", *names)
