"""Shuts the network for every test but those of `tests/integration`, which talk to emulated TPMs on this machine."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from pytest_socket import disable_socket, enable_socket

structlog.configure(
    processors=[structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)]
)
os.environ.pop("COLUMNS", None)  # pytest-xdist gives its workers 80; what the commands print is as wide as in a pipe
INTEGRATION = Path(__file__).parent / "integration"


@pytest.fixture(autouse=True)
def _no_network(request: pytest.FixtureRequest) -> Iterator[None]:
    """Internet sockets raise; Unix sockets stay open, since worker processes talk over them."""
    if request.path.is_relative_to(INTEGRATION):
        yield
        return
    disable_socket(allow_unix_socket=True)
    yield
    enable_socket()
