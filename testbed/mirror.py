"""The operator's own mirror: a package as apt gave it, in a repository that is signed with the operator's key.

Debian's own signature over its index ends after a week, and its index knows the newest kernel alone; the packages of an
image stay in the cache for longer. What is inside of a package, and who signed its kernel, is Debian's.
"""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bartizan.errors import ConnectorError
from testbed.image import Image
from tests.simulator.debian_repository import Package, Repository, throw_away_keys

OPERATOR = "operator"


@dataclass(frozen=True, kw_only=True)
class Downloaded(Package):
    """A package that there is already."""

    path: Path

    def deb(self) -> bytes:
        """The package file."""
        return self.path.read_bytes()


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnMirror:
    """What `reference import deb` is told. package: its name, version and architecture, as dpkg lists it."""

    folder: Path
    suite: str
    keyring: Path
    package: str


def cached_package(image: Image) -> Path:
    """The package of an image's current kernel, in the cache that the image is in.

    Raises:
        ConnectorError: it is not there any more.
    """
    found = [*image.folder.parent.glob(f"packages-*/{image.kernel}_*.deb")]
    if not found:
        raise ConnectorError(f"{image.kernel} is not in {image.folder.parent} any more: let it be fetched anew")
    return max(found, key=lambda path: path.stat().st_mtime)


@contextmanager
def own_mirror(deb: Path, folder: Path) -> Iterator[OwnMirror]:
    """A signed mirror with this package, below a folder; its key is gone after the block.

    Raises:
        ConnectorError: the package cannot be read.
    """
    fields = [_field(deb, name) for name in ("Package", "Version", "Architecture")]
    name, version, architecture = fields
    package = Downloaded(name=name, version=version, architecture=architecture, path=deb)
    with throw_away_keys(OPERATOR) as keys:
        repository = Repository(
            folder=folder, keys=keys, packages=(package,), date=datetime.now(UTC), origin="the operator's mirror of"
        )
        repository.publish(key=OPERATOR)
        yield OwnMirror(
            folder=folder, suite=repository.codename, keyring=keys.keyring(OPERATOR), package=" ".join(fields)
        )


def _field(deb: Path, name: str) -> str:
    ran = subprocess.run(["dpkg-deb", "--field", deb, name], capture_output=True, text=True, check=False)
    if ran.returncode:
        raise ConnectorError(f"{deb.name} cannot be read: {ran.stderr.strip()}")
    return ran.stdout.strip()
