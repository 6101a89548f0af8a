"""Emulated TPMs for the tests of this folder, which may connect to 127.0.0.1 and nowhere else."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_socket import socket_allow_hosts

from bartizan.app.roots import load_roots
from bartizan.collect.tpm import Tpm
from bartizan.connectors.swtpm.launch import power_on
from bartizan.connectors.swtpm.manufacture import Factory, manufacture, open_factory
from bartizan.connectors.swtpm.process import RunningTpm, run_tpm
from bench.shares import may_hold
from testbed.image import has_guests
from tests.integration.agent_host import Host
from tests.integration.agent_verifier import Verifier
from tests.integration.importing import ALL, Clock
from tests.simulator.debian_repository import Keys, Repository, throw_away_keys

collect_ignore = [] if shutil.which("ansible-playbook") and os.geteuid() == 0 else ["test_ansible_role.py"]
"""The role is run for real where Ansible is installed, which nothing else here needs."""
collect_ignore += [] if has_guests() else ["test_testbed.py"]
"""The testbed's guests are made of the packages of Debian 12, which its own apt gives alone."""
collect_ignore += [] if may_hold() else ["test_shares.py"]
"""Control groups are made by root, and not in every container."""


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Before any fixture is made, those of the session included; pytest-socket lifts it after the test."""
    assert item.path.parent.name == "integration"
    socket_allow_hosts(["127.0.0.1"], allow_unix_socket=True)


@pytest.fixture(scope="session")
def factory() -> Iterator[Factory]:
    """A factory with a CA of its own."""
    with open_factory() as opened:
        yield opened


@pytest.fixture(scope="session")
def running(factory: Factory) -> Iterator[RunningTpm]:
    """One emulated TPM for the whole session; switched off until somebody resets it."""
    (state,) = manufacture(factory, ["shared"])
    with run_tpm(state) as started:
        yield started


@pytest.fixture
def tpm(running: RunningTpm) -> Iterator[Tpm]:
    """The session's TPM after a fresh power-on at locality 0."""
    with running.connect() as connected:
        power_on(running.control, connected)
        yield connected


@pytest.fixture
def host(running: RunningTpm, tmp_path: Path) -> Host:
    """The session's TPM in a machine that has booted."""
    made = Host(running, tmp_path / "root")
    made.boot()
    return made


@pytest.fixture
def verifier(factory: Factory, host: Host, tmp_path: Path) -> Verifier:
    """One that accepts the factory's CA, which is there once the host's TPM is."""
    assert host.running
    roots = tmp_path / "roots"
    roots.mkdir()
    for certificate in (factory.root_certificate, factory.issuer_certificate):
        shutil.copy(certificate, roots)
    return Verifier(anchors=load_roots(roots))


@pytest.fixture(scope="session")
def keys() -> Iterator[Keys]:
    """The key of a package archive, and somebody else's."""
    with throw_away_keys("archive", "stranger") as made:
        yield made


@pytest.fixture
def repository(tmp_path: Path, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """A small signed repository, current by the clock of the command that imports it."""
    monkeypatch.setattr("bartizan.cli.commands.reference_import.datetime", Clock)
    made = Repository(folder=tmp_path / "mirror", keys=keys, packages=ALL)
    made.publish()
    return made
