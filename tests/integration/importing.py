"""What the tests of imports share: a small repository's packages, and the command on a repository. Not a test."""

from datetime import datetime, tzinfo
from pathlib import Path

from tests.simulator.debian_repository import NOW, Package, Repository
from tests.unit.cli_runner import Ran, run

SHELL = Package(
    name="dash", files={"/bin/": b"", "/bin/dash": b"a shell", "/bin/sh": "dash", "/usr/share/doc/dash/copyright": b"c"}
)
LIBRARY = Package(
    name="libc6",
    version="2.36-9",
    files={
        "/lib/x86_64-linux-gnu/": b"",
        "/lib/x86_64-linux-gnu/libc.so.6": b"a library",
        "/etc/ld.so.conf.d/x.conf": b"a setting",
    },
    conffiles=("/etc/ld.so.conf.d/x.conf",),
    form="gz",
)
ALL = (SHELL, LIBRARY, Package(name="tzdata", architecture="all", files={"/usr/share/zoneinfo/UTC": b"time"}, form=""))


class Clock(datetime):
    """A clock that stands where the repositories are made for."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> "Clock":
        return cls.fromtimestamp(NOW.timestamp(), tz)


def imported(repository: Repository, *more: str | Path, mirror: str | None = None, suite: str = "bookworm") -> Ran:
    """The command on a repository; store and set stand beside it."""
    where = repository.folder.parent
    return run(
        *("reference", "import", "deb", "--json", "--mirror", mirror or str(repository.folder), "--suite", suite),
        *(
            "--keyring",
            repository.keys.keyring("archive"),
            "--store",
            where / "store.db",
            "--out",
            where / "ref",
            *more,
        ),
    )
