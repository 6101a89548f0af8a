"""Emulated TPMs for the tests of this folder, which may connect to 127.0.0.1 and nowhere else."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_socket import socket_allow_hosts

from bartizan.collect.tpm import Tpm
from bartizan.connectors.swtpm.launch import power_on
from bartizan.connectors.swtpm.manufacture import Factory, manufacture, open_factory
from bartizan.connectors.swtpm.process import RunningTpm, run_tpm
from tests.integration.importing import ALL, Clock
from tests.simulator.debian_repository import Keys, Repository, throw_away_keys


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
