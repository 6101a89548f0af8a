"""Ways to hand one command to a TPM and get one response: a device file, or a socket of an emulated TPM.

A transport moves whole messages and bounds their size; it understands nothing but the header. After any failure it
closes itself, because a late answer must never be taken for the answer to the next command.
"""

from __future__ import annotations

import os
import select
import socket
import time
from pathlib import Path
from typing import Protocol

from bartizan.collect.codes import TpmError

HEADER = 10
"""Bytes of a response header: tag, size, code; TPM 2.0 Part 1, 18."""
MAX_RESPONSE = 4096
"""Longest response accepted in bytes: TPM2_MAX_RESPONSE_SIZE of PC Client TPMs, and the kernel's own buffer."""
DEFAULT_TIMEOUT = 120.0
"""Seconds to wait for a response; slow chips need most of a minute to make an RSA key."""

RESOURCE_MANAGER = "/dev/tpmrm0"
RAW_DEVICE = "/dev/tpm0"


class Transport(Protocol):
    """What `Tpm` needs from a way to a TPM."""

    def exchange(self, command: bytes) -> bytes:
        """The response to one command.

        Raises:
            TpmError: the TPM is gone, silent, or its message is out of bounds.
        """

    def close(self) -> None:
        """Let go of the TPM; more than once does no harm."""


class DeviceTransport:
    """A kernel device: `/dev/tpmrm0` (the kernel's resource manager swaps and flushes for us) or `/dev/tpm0`."""

    def __init__(self, path: str = RESOURCE_MANAGER, *, timeout: float = DEFAULT_TIMEOUT) -> None:
        self._path = path
        self._timeout = timeout
        self._device: int | None = None
        try:
            # Non-blocking, so that the wait can be bounded; kernels before 4.20 ignore it and block in write().
            self._device = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise TpmError(path, f"cannot be opened: {error.strerror}") from error

    def exchange(self, command: bytes) -> bytes:
        """The response to one command.

        Raises:
            TpmError: the device failed, stayed silent, or its message is out of bounds.
        """
        if self._device is None:
            raise TpmError(self._path, "is closed")
        try:
            return self._exchange(self._device, command)
        except OSError as error:
            self.close()
            raise TpmError(self._path, f"failed: {error.strerror}") from error
        except BaseException:
            self.close()
            raise

    def _exchange(self, device: int, command: bytes) -> bytes:
        if os.write(device, command) != len(command):
            raise TpmError(self._path, "took only a part of the command")
        poll = select.poll()
        poll.register(device, select.POLLIN)
        if not poll.poll(self._timeout * 1000):
            raise TpmError(self._path, f"no answer within {self._timeout:g} s")
        return _checked(os.read(device, MAX_RESPONSE + 1), self._path)

    def close(self) -> None:
        """Close the device; the resource manager then flushes whatever was loaded through it."""
        device, self._device = self._device, None
        if device is not None:
            os.close(device)


class SocketTransport:
    """An emulated TPM behind a TCP `(host, port)` or a Unix socket's path; it serves one connection at a time."""

    def __init__(self, address: tuple[str, int] | str, *, timeout: float = DEFAULT_TIMEOUT) -> None:
        self._name = address if isinstance(address, str) else f"{address[0]}:{address[1]}"
        self._timeout = timeout
        self._socket: socket.socket | None = None
        try:
            self._socket = _connect(address, timeout)
        except OSError as error:
            raise TpmError(self._name, f"cannot be reached: {error}") from error

    def exchange(self, command: bytes) -> bytes:
        """The response to one command.

        Raises:
            TpmError: the connection broke, no answer came in time, or the message is out of bounds.
        """
        if self._socket is None:
            raise TpmError(self._name, "is closed")
        try:
            return self._exchange(self._socket, command)
        except socket.timeout as error:
            self.close()
            raise TpmError(self._name, f"no answer within {self._timeout:g} s") from error
        except OSError as error:
            self.close()
            raise TpmError(self._name, f"failed: {error}") from error
        except BaseException:
            self.close()
            raise

    def _exchange(self, connection: socket.socket, command: bytes) -> bytes:
        deadline = time.monotonic() + self._timeout
        connection.settimeout(self._timeout)
        connection.sendall(command)
        response = self._read(connection, HEADER, deadline)
        size = declared_size(response)
        if HEADER <= size <= MAX_RESPONSE:
            response += self._read(connection, size - HEADER, deadline)
        return _checked(response, self._name)

    def _read(self, connection: socket.socket, size: int, deadline: float) -> bytes:
        received = b""
        while len(received) < size:
            connection.settimeout(max(deadline - time.monotonic(), 0.001))
            part = connection.recv(size - len(received))
            if not part:
                raise TpmError(self._name, "the connection was closed in the middle of a response")
            received += part
        return received

    def close(self) -> None:
        """Close the connection; keys and sessions stay loaded in the TPM."""
        connection, self._socket = self._socket, None
        if connection is not None:
            connection.close()


def open_device() -> DeviceTransport:
    """This machine's TPM: through the kernel's resource manager, or directly where there is none.

    Raises:
        TpmError: neither device can be opened.
    """
    if Path(RESOURCE_MANAGER).exists():
        return DeviceTransport(RESOURCE_MANAGER)
    return DeviceTransport(RAW_DEVICE)


def declared_size(response: bytes) -> int:
    """The size that a response's header states, in bytes."""
    return int.from_bytes(response[2:6], "big")


def _connect(address: tuple[str, int] | str, timeout: float) -> socket.socket:
    if not isinstance(address, str):
        connection = socket.create_connection(address, timeout=timeout)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout)
        connection.connect(address)
    except OSError:
        connection.close()
        raise
    return connection


def _checked(response: bytes, name: str) -> bytes:
    if len(response) < HEADER:
        raise TpmError(name, f"a response of {len(response)} bytes is shorter than its header")
    size = declared_size(response)
    if size != len(response) or size > MAX_RESPONSE:
        raise TpmError(
            name, f"a response of {len(response)} bytes says it has {size}; {HEADER} to {MAX_RESPONSE} allowed"
        )
    return response
