"""An import that is killed goes on where it stopped: nothing is lost, nothing stands twice, digests are shared."""

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bartizan.app.reference_folder import read_reference
from tests.architecture.tree import ROOT
from tests.integration.importing import imported
from tests.simulator.debian_repository import Package, Repository
from tests.unit.cli_runner import run


def many(count: int) -> tuple[Package, ...]:
    return tuple(
        Package(
            name=f"package{number:03}",
            files={f"/usr/share/p{number}/{index}": f"{number % 7}.{index}".encode() for index in range(20)},
            form="",
        )
        for number in range(count)
    )


KILLED = """
import os, signal, sys
from bartizan.store import package_store
from bartizan.cli.main import app
left = int(sys.argv.pop(1))
original = package_store._add_content
def dying(*arguments):
    global left
    left -= 1
    if left == 0 and HALF:
        content = arguments[2]
        original(arguments[0], arguments[1], type(content)(name=content.name, version=content.version,
            architecture=content.architecture, files=content.files[:5], links=()))
        os.kill(os.getpid(), signal.SIGKILL)
    original(*arguments)
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
package_store._add_content = dying
app()
"""


@pytest.mark.parametrize(("packages", "half"), [(1, True), (1, False), (17, True), (30, False)])
def test_an_import_killed_at_any_point_goes_on_without_loss_or_duplicate(
    repository: Repository, tmp_path: Path, packages: int, half: bool
) -> None:
    repository.packages, repository.date = many(30), datetime(2020, 1, 1, tzinfo=UTC)
    repository.publish()
    script = f"HALF = {half}\n{KILLED}"
    options = ["--mirror", repository.folder, "--suite", "bookworm", "--keyring", repository.keys.keyring("archive")]
    options += ["--store", tmp_path / "store.db", "--out", tmp_path / "killed"]
    killed = subprocess.run(
        [sys.executable, "-c", script, str(packages), "reference", "import", "deb", *options],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        check=False,
    )
    resumed = imported(repository)
    fresh = run(
        *("reference", "import", "deb", "--json", *options[:-4]),
        *("--store", tmp_path / "fresh.db", "--out", tmp_path / "fresh"),
    )

    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not (tmp_path / "killed").exists()
    assert (resumed.document["held"], resumed.document["added"]) == (packages - 1, 31 - packages)
    assert resumed.document["digest"].split(":")[0] == "sha256"
    assert read_reference(tmp_path / "ref").files == read_reference(tmp_path / "fresh").files
    assert resumed.document["store"] == fresh.document["store"]


def test_digests_shared_by_packages_are_stored_once(repository: Repository) -> None:
    repository.packages = many(30)
    repository.publish()
    size = imported(repository).document["store"]

    assert size == {"packages": 30, "files": 600, "digests": 140}
