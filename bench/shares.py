"""Processes held to a share of a core by a CPU control group of Linux, v1 or v2, so that a bench says who is the limit.

It makes groups right below the root of the hierarchy, for which one has to be root there, and removes them. It neither
moves processes back nor ends them, and leaves every other controller alone.
"""

import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bartizan.errors import ConfigError

HIERARCHY = Path("/sys/fs/cgroup")
PERIOD = 10_000
"""Microseconds after which a share is there anew: short, so that who is held pauses for moments and not for long."""
WEIGHT = 10
"""How much more than a process without a group a group gets where cores are short: its share is to be the limit."""
LEAST = 1_000
"""Microseconds of a period at least, by the kernel; a smaller share has a longer period."""
PATIENCE = 10.0
"""Seconds for ended processes to leave their group."""

ADVICE = (
    "Run this as root, where {} is mounted writable with the controller `cpu` (in a container: a privileged one), "
    "or without holding anybody to a share"
)
"""What to do where there are no groups."""


class Version(Protocol):
    """What differs between the two."""

    def folder(self, hierarchy: Path) -> Path:
        """Where groups are made."""

    def weight(self) -> Mapping[str, str]:
        """File of a group, and what it is to hold so that the group weighs `WEIGHT` times the usual."""

    def limit(self, share: float | None) -> Mapping[str, str]:
        """Files of a group, in their order, and what they are to hold; None: no limit."""


class First:
    """Control groups v1: each controller has a hierarchy of its own."""

    def folder(self, hierarchy: Path) -> Path:
        """That of the controller `cpu`."""
        return hierarchy / "cpu"

    def weight(self) -> Mapping[str, str]:
        """The usual is 1024; Linux, Documentation/scheduler/sched-design-CFS.rst, "GROUP SCHEDULER EXTENSIONS"."""
        return {"cpu.shares": str(1024 * WEIGHT)}

    def limit(self, share: float | None) -> Mapping[str, str]:
        """Two files; Linux, Documentation/scheduler/sched-bwc.rst, "Management"."""
        if share is None:
            return {"cpu.cfs_quota_us": "-1"}
        quota, period = quota_of(share)
        return {"cpu.cfs_period_us": str(period), "cpu.cfs_quota_us": str(quota)}


class Second:
    """Control groups v2: one hierarchy, whose root hands controllers down."""

    def folder(self, hierarchy: Path) -> Path:
        """The root, which hands `cpu` down from now on."""
        handed = hierarchy / "cgroup.subtree_control"
        if "cpu" not in handed.read_text().split():
            handed.write_text("+cpu")
        return hierarchy

    def weight(self) -> Mapping[str, str]:
        """The usual is 100; Linux, Documentation/admin-guide/cgroup-v2.rst, "CPU Interface Files"."""
        return {"cpu.weight": str(100 * WEIGHT)}

    def limit(self, share: float | None) -> Mapping[str, str]:
        """One file; see `weight`."""
        if share is None:
            return {"cpu.max": "max"}
        return {"cpu.max": "{} {}".format(*quota_of(share))}


def quota_of(share: float) -> tuple[int, int]:
    """Microseconds of CPU, and of the period in which they may be used."""
    period = max(PERIOD, round(LEAST / share))
    return round(period * share), period


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttling:
    """periods: in which the group wanted to run, so far; throttled: of those, in which its share did not suffice."""

    periods: int
    throttled: int


@dataclass(frozen=True, slots=True)
class Group:
    """A control group; `group` makes it."""

    folder: Path
    version: Version

    def enter(self, pids: Iterable[int]) -> None:
        """These processes, with all their threads and all children that they will have, are in it from now on."""
        for pid in pids:
            with suppress(ProcessLookupError):  # it came for a moment
                (self.folder / "cgroup.procs").write_text(str(pid))

    def hold(self, share: float | None) -> None:
        """All of it together has so much of a core from now on; None: as much as there is."""
        self._write(self.version.limit(share))

    def prefer(self) -> None:
        """It comes before processes without a group where cores are short."""
        self._write(self.version.weight())

    def _write(self, files: Mapping[str, str]) -> None:
        for name, value in files.items():
            (self.folder / name).write_text(value)

    def throttling(self) -> Throttling:
        """How often the share did not suffice."""
        found = dict(line.split() for line in (self.folder / "cpu.stat").read_text().splitlines())
        return Throttling(periods=int(found["nr_periods"]), throttled=int(found["nr_throttled"]))

    def remove(self) -> None:
        """It is gone once the last of its processes has ended.

        Raises:
            OSError: some have not ended.
        """
        end, tick = time.monotonic() + PATIENCE, threading.Event()
        while True:
            try:
                self.folder.rmdir()
            except OSError:
                if time.monotonic() > end:
                    raise
                tick.wait(0.01)
            else:
                return


@contextmanager
def group(name: str, hierarchy: Path = HIERARCHY) -> Iterator[Group]:
    """A new, empty group without a limit, before others where cores are short; removed afterwards.

    What is in it has to have ended by then.

    Raises:
        ConfigError: none can be made; the message says what would help.
    """
    try:
        version = Second() if (hierarchy / "cgroup.controllers").exists() else First()
        made = Group(version.folder(hierarchy) / f"bartizan-{name}-{os.getpid()}", version)
        made.folder.mkdir()
    except OSError as error:
        raise ConfigError(f"no CPU control group can be made: {error}. {ADVICE.format(hierarchy)}") from error
    try:
        if not (made.folder / "cpu.stat").exists():
            raise ConfigError(f"{made.folder.parent} is a folder without control groups. {ADVICE.format(hierarchy)}")
        made.prefer()
        yield made
    finally:
        made.remove()


def may_hold(hierarchy: Path = HIERARCHY) -> bool:
    """This process may make groups."""
    try:
        with group("trial", hierarchy):
            return True
    except ConfigError:
        return False
