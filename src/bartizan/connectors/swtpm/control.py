"""swtpm's control channel: the pins and buses around a TPM that no TPM command reaches.

Power, locality and hash sequences: what chipset, CPU and firmware do to a real TPM. Each request opens its own
connection, because swtpm serves one at a time. Numbers are those of swtpm's `tpm_ioctl.h`.
"""

import socket
from enum import IntEnum

from bartizan.errors import ConnectorError

SECONDS = 30.0
RESULT = 4
"""Bytes of the result code that every answer begins with."""
CHUNK = 4096
"""Most bytes of one HASH_DATA request."""
LOCALITIES = range(5)


class Request(IntEnum):
    """Control commands (the PTM_… numbers)."""

    GET_CAPABILITY = 1
    INIT = 2
    GET_ESTABLISHED = 4
    SET_LOCALITY = 5
    HASH_START = 6
    HASH_DATA = 7
    HASH_END = 8


class Control:
    """The control channel of one running swtpm at `(host, port)`."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.address = address

    def _ask(self, request: Request, payload: bytes = b"", *, answer: int = 0) -> bytes:
        """What follows the result code: `answer` bytes."""
        try:
            with socket.create_connection(self.address, timeout=SECONDS) as connection:
                connection.sendall(request.to_bytes(4, "big") + payload)
                code = int.from_bytes(_receive(connection, RESULT), "big")
                if code:
                    raise ConnectorError(f"swtpm refused {request.name} with 0x{code:x}")
                return _receive(connection, answer)
        except OSError as error:
            raise ConnectorError(f"swtpm's control channel failed at {request.name}: {error}") from error

    def wait_until_ready(self) -> None:
        """Returns when swtpm answers.

        Raises:
            ConnectorError: it ended instead.
        """
        self._ask(Request.GET_CAPABILITY, answer=4)

    def reset(self) -> None:
        """Power off and on: PCRs, sessions and loaded keys are gone; the TPM waits for TPM2_Startup."""
        self._ask(Request.INIT, bytes(4))

    def set_locality(self, locality: int) -> None:
        """The locality of all TPM commands from now on."""
        if locality not in LOCALITIES:
            raise ValueError(f"localities are 0 to 4, not {locality}")
        self._ask(Request.SET_LOCALITY, bytes([locality]))

    def is_established(self) -> bool:
        """Whether a hash sequence has run since the TPM was made or the flag was reset."""
        return bool(self._ask(Request.GET_ESTABLISHED, answer=1)[0])

    def hash_sequence(self, module: bytes) -> None:
        """What the CPU does at locality 4: `_TPM_Hash_Start`, `_TPM_Hash_Data`, `_TPM_Hash_End`; Part 3, 22.9 to 22.11.

        Before TPM2_Startup it is the H-CRTM and goes into PCR 0; later it is a dynamic launch and goes into PCR 17.
        """
        self._ask(Request.HASH_START)
        for start in range(0, len(module), CHUNK):
            part = module[start : start + CHUNK]
            self._ask(Request.HASH_DATA, len(part).to_bytes(4, "big") + part)
        self._ask(Request.HASH_END)


def _receive(connection: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size:
        part = connection.recv(size - len(received))
        if not part:
            raise ConnectionResetError("the connection was closed")
        received += part
    return received
