"""An import killed at random points: whatever it was doing, the next run goes on, and ends as if nothing had happened.

A point is a number of function calls, Python's and C's alike, so that kills fall anywhere: between two packages, inside
a transaction, while the set is written. The points are drawn anew from each seed, which is in the test's name.
"""

import json
import os
import random
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bartizan.app.reference_folder import read_reference
from bartizan.store.package_store import PackageStore, StoredPackage, open_store
from tests.architecture.tree import ROOT
from tests.integration.test_import_resumes import many
from tests.simulator.debian_repository import Keys, Repository
from tests.simulator.rpm_repository import Rpm, RpmRepository

PACKAGES = 8
POINTS = 6
"""Kills for each seed."""
DRIVER = """
import json, os, signal, sys
import typer
from bartizan.cli.commands import reference_import
from bartizan.cli.main import app

words, points, folder = json.loads(sys.argv[1])

command, importing = typer.main.get_command(app), reference_import.run_import

def attempt(out, point):
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    calls = 0
    def count(*_):
        nonlocal calls
        calls += 1
        if calls == point:
            os.kill(os.getpid(), signal.SIGKILL)
    def counted(*arguments, **named):
        sys.setprofile(None if point is None else count)
        try:
            return importing(*arguments, **named)
        finally:
            sys.setprofile(None)
    reference_import.run_import = counted
    try:
        command([*words, "--store", f"{folder}/{out}.db", "--out", f"{folder}/{out}"])
    except SystemExit as done:
        open(f"{folder}/{out}.calls", "w").write(str(calls))
        sys.stdout.flush()
        os._exit(done.code or 0)

print("STATUS", attempt("whole", -1))
total = int(open(f"{folder}/whole.calls").read())
for number, share in enumerate(points):
    killed = attempt(f"s{number}", 1 + int(share * total))
    print("STATUS", killed, attempt(f"s{number}", None))
"""


def command(kind: str, folder: Path, keys: Keys) -> list[str]:
    """The import of a small repository that is made here."""
    mirror = folder / "mirror"
    words = ["reference", "import", kind, "--mirror", str(mirror), "--keyring", str(keys.keyring("archive"))]
    if kind == "deb":
        date = datetime(2020, 1, 1, tzinfo=UTC)
        Repository(folder=mirror, keys=keys, packages=many(PACKAGES), date=date).publish()
        return [*words, "--suite", "bookworm", "--name", "set"]
    packages = tuple(
        Rpm(name=f"p{number}", files={f"/usr/p{number}/{file}".encode(): b"%d" % (file % 3) for file in range(20)})
        for number in range(PACKAGES)
    )
    RpmRepository(folder=mirror, keys=keys, packages=packages, date=1_577_836_800).publish()
    return [*words, "--name", "set"]


def contents(store: Path) -> list[StoredPackage]:
    """Everything in a store."""
    with open_store(store) as opened:
        return everything(opened)


def everything(store: PackageStore) -> list[StoredPackage]:
    return list(store.packages(sorted(store.holds())))


@pytest.mark.parametrize("kind", ["deb", "rpm"])
@pytest.mark.parametrize("seed", [1, 2])
def test_an_import_killed_at_random_points_loses_nothing_and_doubles_nothing(
    tmp_path: Path, keys: Keys, kind: str, seed: int
) -> None:
    drawn = random.Random(seed)  # noqa: S311  # points of a test
    points = [drawn.random() for _ in range(POINTS)]
    told = json.dumps([command(kind, tmp_path, keys), points, str(tmp_path)])

    ran = subprocess.run(
        [sys.executable, "-c", DRIVER, told],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )

    statuses = [line.split()[1:] for line in ran.stdout.splitlines() if line.startswith("STATUS")]
    assert statuses == [["0"], *[["9", "0"]] * POINTS], ran.stderr
    whole, expected = read_reference(tmp_path / "whole"), contents(tmp_path / "whole.db")
    assert len(expected) == PACKAGES
    for number in range(POINTS):
        assert contents(tmp_path / f"s{number}.db") == expected
        assert read_reference(tmp_path / f"s{number}") == whole
