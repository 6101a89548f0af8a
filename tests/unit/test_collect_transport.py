"""Devices and sockets that answer well, badly or not at all; a pseudo-terminal and a Unix socket stand in for a TPM."""

import os
import pty
import socket
import tty
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

import pytest

from bartizan.collect import transport
from bartizan.collect.codes import TpmError
from bartizan.collect.transport import MAX_RESPONSE, DeviceTransport, SocketTransport, open_device
from tests.unit.scripted_tpm import done, framed

COMMAND = framed(0x8001, 0x144, b"\0\0")


class Device:
    """A pseudo-terminal in raw mode: what a test writes to it is what the transport reads."""

    def __init__(self) -> None:
        self.end, self._terminal = pty.openpty()
        tty.setraw(self._terminal)
        self.path = os.ttyname(self._terminal)

    def close(self) -> None:
        os.close(self.end)
        os.close(self._terminal)


@pytest.fixture
def device() -> Iterator[Device]:
    opened = Device()
    yield opened
    opened.close()


def test_a_device_is_written_to_and_read_from(device: Device) -> None:
    opened = DeviceTransport(device.path, timeout=5)
    os.write(device.end, done(b"answer"))

    assert opened.exchange(COMMAND) == done(b"answer")
    assert os.read(device.end, 100) == COMMAND
    opened.close()
    opened.close()


def test_a_device_that_is_not_there_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(TpmError, match="cannot be opened: No such file"):
        DeviceTransport(str(tmp_path / "tpm0"))


def test_a_silent_device_is_closed(device: Device) -> None:
    opened = DeviceTransport(device.path, timeout=0.01)
    with pytest.raises(TpmError, match=r"no answer within 0\.01 s"):
        opened.exchange(COMMAND)
    with pytest.raises(TpmError, match="is closed"):
        opened.exchange(COMMAND)


@pytest.mark.parametrize(
    ("response", "why"),
    [
        (done()[:9], "a response of 9 bytes is shorter than its header"),
        (done() + b"\0", "a response of 11 bytes says it has 10"),
        (done(b"12345")[:-1], "a response of 14 bytes says it has 15"),
    ],
)
def test_a_device_whose_response_has_the_wrong_size_is_closed(device: Device, response: bytes, why: str) -> None:
    opened = DeviceTransport(device.path, timeout=5)
    os.write(device.end, response)
    with pytest.raises(TpmError, match=why):
        opened.exchange(COMMAND)
    with pytest.raises(TpmError, match="is closed"):
        opened.exchange(COMMAND)


def test_a_device_that_fails_is_closed(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_file: int, _data: bytes) -> int:
        raise OSError(62, "Timer expired")

    opened = DeviceTransport(device.path)
    monkeypatch.setattr(os, "write", fail)
    with pytest.raises(TpmError, match="failed: Timer expired"):
        opened.exchange(COMMAND)
    with pytest.raises(TpmError, match="is closed"):
        opened.exchange(COMMAND)


def test_a_device_that_takes_half_a_command_is_closed(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = DeviceTransport(device.path)
    monkeypatch.setattr(os, "write", lambda _file, data: len(data) - 1)
    with pytest.raises(TpmError, match="took only a part"):
        opened.exchange(COMMAND)


def test_the_resource_manager_is_preferred(device: Device, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(transport, "RESOURCE_MANAGER", device.path)
    open_device().close()
    monkeypatch.setattr(transport, "RESOURCE_MANAGER", str(tmp_path / "none"))
    monkeypatch.setattr(transport, "RAW_DEVICE", str(tmp_path / "raw"))
    with pytest.raises(TpmError, match="raw: cannot be opened"):
        open_device()


Serve = Callable[..., SocketTransport]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts a server that takes one command and sends these parts, and connects to it."""
    threads: list[Thread] = []
    opened: list[SocketTransport] = []

    def start(*parts: bytes, stays: bool = False, timeout: float = 5) -> SocketTransport:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(tmp_path / "tpm"))
        listener.listen()

        def answer() -> None:
            with listener, listener.accept()[0] as connection:
                assert connection.recv(100) == COMMAND
                for part in parts:
                    connection.sendall(part)
                if stays:
                    connection.recv(1)

        threads.append(Thread(target=answer))
        threads[0].start()
        opened.append(SocketTransport(str(tmp_path / "tpm"), timeout=timeout))
        return opened[0]

    yield start
    for connection in opened:
        connection.close()
    for thread in threads:
        thread.join()


def test_a_response_in_parts_is_put_together(serve: Serve) -> None:
    response = done(b"answer")
    assert serve(response[:3], response[3:12], response[12:]).exchange(COMMAND) == response


def test_the_longest_response_is_accepted(serve: Serve) -> None:
    response = done(bytes(MAX_RESPONSE - 10))
    assert serve(response).exchange(COMMAND) == response


@pytest.mark.parametrize(
    ("response", "why"),
    [
        (framed(0x8001, 0)[:2] + (MAX_RESPONSE + 1).to_bytes(4, "big") + bytes(4), "says it has 4097"),
        (framed(0x8001, 0)[:2] + b"\xff" * 4 + bytes(4), "says it has 4294967295"),
        (framed(0x8001, 0)[:2] + (9).to_bytes(4, "big") + bytes(4), "says it has 9"),
        (done()[:4], "closed in the middle of a response"),
        (done(b"answer")[:-1], "closed in the middle of a response"),
        (b"", "closed in the middle of a response"),
    ],
)
def test_a_response_out_of_bounds_ends_the_connection(serve: Serve, response: bytes, why: str) -> None:
    connection = serve(response)
    with pytest.raises(TpmError, match=why):
        connection.exchange(COMMAND)
    with pytest.raises(TpmError, match="is closed"):
        connection.exchange(COMMAND)


def test_a_silent_server_ends_the_connection(serve: Serve) -> None:
    connection = serve(done()[:4], stays=True, timeout=0.05)
    with pytest.raises(TpmError, match=r"no answer within 0\.05 s"):
        connection.exchange(COMMAND)
    with pytest.raises(TpmError, match="is closed"):
        connection.exchange(COMMAND)


def test_a_socket_that_is_not_there_cannot_be_reached(tmp_path: Path) -> None:
    with pytest.raises(TpmError, match="cannot be reached"):
        SocketTransport(str(tmp_path / "none"))


def test_a_connection_that_breaks_is_closed(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "tpm"))
        listener.listen()
        connection = SocketTransport(str(tmp_path / "tpm"))
        listener.accept()[0].close()

        with pytest.raises(TpmError, match=r"failed: .*Broken pipe"):
            connection.exchange(COMMAND)
        with pytest.raises(TpmError, match="is closed"):
            connection.exchange(COMMAND)
