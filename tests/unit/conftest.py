"""Databases for the tests of what is stored."""

from collections.abc import Iterator

import pytest

from tests.databases import POSTGRESQL_EVERYWHERE, on_postgresql
from tests.postgresql import Server, running

UNSAFE_AND_FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
BOTH = ("sqlite", "postgresql")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """One server for all tests of a process."""
    with running(UNSAFE_AND_FAST, loopback=False) as server:
        yield server


@pytest.fixture(params=BOTH)
def each_database(request: pytest.FixtureRequest) -> Iterator[str]:
    """SQLite, then PostgreSQL."""
    if request.param == "sqlite":
        yield request.param
        return
    with on_postgresql(request.getfixturevalue("postgresql")):
        yield request.param


@pytest.fixture(autouse=POSTGRESQL_EVERYWHERE)
def _postgresql_everywhere(request: pytest.FixtureRequest) -> Iterator[None]:
    """PostgreSQL for tests that do not choose."""
    if "each_database" in request.fixturenames:
        yield
        return
    with on_postgresql(request.getfixturevalue("postgresql")):
        yield
