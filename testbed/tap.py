"""A tap between QEMU and swtpm: lets a dynamic launch happen on the TPM of a running guest, as CPU and chipset would.

QEMU speaks to swtpm over a control socket and hands over one end of a pair for commands. The tap stands in both, so
that commands of the guest and of the launch never mix. It changes nothing that passes through.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bartizan.collect.tpm import Tpm
from bartizan.connectors.swtpm.control import Control, Request
from bartizan.connectors.swtpm.launch import Measurement, dynamic_launch
from bartizan.errors import ConnectorError
from bartizan.formats.tcg_log_writer import encode_agile_log
from bartizan.model.boot_log import BootLog, EventType, LogFormat
from bartizan.model.digest import HashAlg

BANKS = (HashAlg.SHA1, HashAlg.SHA256, HashAlg.SHA384)
CHUNK = 8192
HEAD = 10
"""Bytes of a TPM command or response up to its code; the size stands in bytes 2 to 6."""
SECONDS = 30.0
MODULE = b"authenticated code module" * 64
MEASUREMENTS = (
    Measurement(locality=3, pcr=17, event_type=EventType.TXT_SINIT_PUBKEY_HASH, data=b"SINIT public key"),
    Measurement(locality=3, pcr=18, event_type=EventType.TXT_MLE_HASH, data=b"measured launch environment"),
    Measurement(locality=2, pcr=18, event_type=EventType.TBOOT_MODULE, data=b"kernel and command line"),
    Measurement(locality=2, pcr=19, event_type=EventType.TBOOT_MODULE, data=b"initramfs"),
)
"""What the launch measures behind its module."""


@dataclass(slots=True, kw_only=True)
class Tap:
    """One guest's TPM, tapped. lock: held for each exchange of the guest, and for the whole of a launch."""

    swtpm: socket.socket
    lock: threading.RLock = field(default_factory=threading.RLock)
    commands: socket.socket | None = None

    def serve(self, listener: socket.socket) -> None:
        """Pass on what QEMU says, until it goes."""
        with listener:
            qemu, _ = listener.accept()
        with qemu:
            while True:
                message, handles, _, _ = socket.recv_fds(qemu, CHUNK, 4)
                if not message:
                    break
                with self.lock:
                    self._pass_on(message, handles)
                    qemu.sendall(self.swtpm.recv(CHUNK))
        self.swtpm.close()

    def _pass_on(self, message: bytes, handles: list[int]) -> None:
        if not handles:
            self.swtpm.sendall(message)
            return
        ours, theirs = socket.socketpair()
        self.commands = ours
        socket.send_fds(self.swtpm, [message], [theirs.fileno()])
        theirs.close()
        guest = socket.socket(fileno=handles[0])
        threading.Thread(target=self._relay, args=(guest,), daemon=True).start()

    def _relay(self, guest: socket.socket) -> None:
        """Commands of the guest, one at a time."""
        with guest:
            while command := _whole(guest):
                guest.sendall(self.exchange(command))

    # What a launch needs: a transport, and the control channel.

    def exchange(self, command: bytes) -> bytes:
        """The TPM's response."""
        if self.commands is None:
            raise ConnectorError("the guest's TPM has not been started yet")
        with self.lock:
            self.commands.sendall(command)
            return _whole(self.commands)

    def close(self) -> None:
        """The guest goes on with its TPM."""

    def launch(self) -> bytes:
        """Do a dynamic launch; its log."""
        with self.lock:
            events = dynamic_launch(_TappedControl(self), Tpm(self), module=MODULE, measurements=MEASUREMENTS)
        return encode_agile_log(BootLog(format=LogFormat.TXT, algorithms=tuple(BANKS), events=events))


class _TappedControl(Control):
    """The control channel over the connection that QEMU holds: swtpm takes one at a time."""

    def __init__(self, tap: Tap) -> None:
        super().__init__(("", 0))
        self._tap = tap

    def _ask(self, request: Request, payload: bytes = b"", *, answer: int = 0) -> bytes:
        with self._tap.lock:
            self._tap.swtpm.sendall(request.to_bytes(4, "big") + payload)
            said = self._tap.swtpm.recv(CHUNK)
        if any(said[:4]):
            raise ConnectorError(f"swtpm refused {request.name} with 0x{said[:4].hex()}")
        return said[4 : 4 + answer]


def _whole(line: socket.socket) -> bytes:
    """A command or response; empty when the other side has gone."""
    found = b""
    while len(found) < HEAD or len(found) < int.from_bytes(found[2:6], "big"):
        part = line.recv(CHUNK)
        if not part:
            return b""
        found += part
    return found


@contextmanager
def tapped(control: Path, front: Path) -> Iterator[Tap]:
    """A tap at `front` before the swtpm at `control`, while the block runs."""
    front.unlink(missing_ok=True)
    swtpm = socket.socket(socket.AF_UNIX)
    swtpm.settimeout(SECONDS)
    swtpm.connect(str(control))
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(front))
    listener.listen(1)
    tap = Tap(swtpm=swtpm)
    threading.Thread(target=tap.serve, args=(listener,), daemon=True).start()
    try:
        yield tap
    finally:
        listener.close()
