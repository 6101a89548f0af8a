"""What `scripts/build-packages` makes: the agent's Debian package, the same bytes whoever builds it."""

import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from bartizan.agent import VERSION
from bartizan.formats.deb import decode_deb
from bartizan.model.package import PackageContent
from tests.architecture.tree import ROOT, project

PROGRAM = "usr/bin/bartizan-agent"
MODES = {
    "etc/apparmor.d/bartizan-agent": 0o644,
    PROGRAM: 0o755,
    "usr/lib/systemd/system/bartizan-agent-collector.service": 0o644,
    "usr/lib/systemd/system/bartizan-agent.service": 0o644,
    "usr/lib/sysusers.d/bartizan-agent.conf": 0o644,
    "usr/share/doc/bartizan-agent/copyright": 0o644,
}


def build(out: Path, umask: int = 0o022) -> bytes:
    """The package."""
    script: list[str | Path] = [sys.executable, ROOT / "scripts" / "build-packages", "--agent-only", "--out", out]
    subprocess.run(script, check=True, capture_output=True, umask=umask)
    (made,) = out.glob("*.deb")
    assert made.name == f"bartizan-agent_{VERSION}_all.deb"
    return made.read_bytes()


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return build(tmp_path_factory.mktemp("packages"))


@pytest.fixture
def content(package: bytes) -> PackageContent:
    return decode_deb(package)


def archive(package: bytes, name: bytes) -> tarfile.TarFile:
    """One of the two archives within."""
    head = package.index(name.ljust(16))
    size = int(package[head + 48 : head + 58])
    return tarfile.open(fileobj=io.BytesIO(package[head + 60 : head + 60 + size]))


def test_it_can_be_read_by_the_reader_that_imports_reference_values(content: PackageContent) -> None:
    section = project()["project"]
    assert isinstance(section, dict)

    assert (content.name, content.version, content.architecture) == ("bartizan-agent", section["version"], "all")
    assert {file.path.decode().lstrip("/") for file in content.files} == MODES.keys()
    assert [file.path for file in content.files if file.conffile] == [b"/etc/apparmor.d/bartizan-agent"]
    assert not content.links


def test_files_are_roots_with_the_right_modes(package: bytes) -> None:
    with archive(package, b"data.tar") as found:
        members = found.getmembers()

    assert {one.name.removeprefix("./"): one.mode for one in members if one.isreg()} == MODES
    assert {one.mode for one in members if one.isdir()} == {0o755}
    assert {(one.uid, one.gid, one.uname, one.gname) for one in members} == {(0, 0, "root", "root")}


def test_it_depends_on_python_alone(package: bytes) -> None:
    with archive(package, b"control.tar") as found:
        control = found.extractfile("./control")
        assert control is not None
        lines = control.read().decode().splitlines()

    assert [line for line in lines if line.startswith("Depends:")] == ["Depends: python3 (>= 3.9)"]


def test_its_scripts_can_be_run_and_make_sense_to_a_shell(package: bytes) -> None:
    with archive(package, b"control.tar") as found:
        scripts = {one.name: one for one in found.getmembers() if one.mode == 0o755 and one.isreg()}
        assert scripts.keys() == {"./postinst", "./prerm", "./postrm"}
        for one in scripts.values():
            stream = found.extractfile(one)
            assert stream is not None
            subprocess.run(["sh", "-n"], input=stream.read(), check=True)


def test_the_agent_in_it_runs(package: bytes, tmp_path: Path) -> None:
    with archive(package, b"data.tar") as found:
        found.extractall(tmp_path, filter="data")
    command: list[str | Path] = [sys.executable, "-I", "-S", tmp_path / PROGRAM, "--version"]
    run = subprocess.run(command, check=True, capture_output=True, text=True)

    assert run.stdout.startswith(f"bartizan-agent {VERSION}, protocol ")
    assert os.access(tmp_path / PROGRAM, os.X_OK)


def test_it_is_the_same_whoever_builds_it(package: bytes, tmp_path: Path) -> None:
    assert build(tmp_path, umask=0o077) == package
