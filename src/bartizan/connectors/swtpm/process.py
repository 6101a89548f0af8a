"""A running swtpm: started on loopback, ready when it says so, ended with its owner whatever happens to the owner.

It leaves power to `control` and everything about TPM commands to `bartizan.collect`.
"""

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bartizan.collect.tpm import Tpm
from bartizan.collect.transport import SocketTransport
from bartizan.connectors.lifeline import STDOUT, tied
from bartizan.connectors.swtpm.control import Control
from bartizan.connectors.swtpm.manufacture import find_program
from bartizan.errors import ConnectorError

HOST = "127.0.0.1"
ATTEMPTS = 10
"""Ports tried: swtpm cannot choose one itself, so another process may take the free one we found."""
PORT_TAKEN = "Address already in use"
SECONDS_TO_END = 10.0
LOG = "swtpm.log"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningTpm:
    """A live emulated TPM; it has no power until `control.reset()`.

    address: host and port for TPM commands, one connection at a time; pid: of the swtpm process.
    """

    address: tuple[str, int]
    control: Control
    pid: int

    def connect(self) -> Tpm:
        """The TPM, for whoever is to use it; close it before anyone else connects.

        Raises:
            TpmError: it cannot be reached.
        """
        return Tpm(SocketTransport(self.address))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Child:
    """The swtpm process and our end of its lifeline."""

    process: subprocess.Popen[bytes]
    lifeline: int

    def end(self) -> None:
        """End it in order, or kill it if it does not end; then nobody has to hold the lifeline."""
        self.process.terminate()
        try:
            self.process.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self.lifeline)


@contextmanager
def run_tpm(state: Path) -> Iterator[RunningTpm]:
    """The TPM of a state folder, while the block runs.

    Raises:
        ConnectorError: swtpm is missing or does not start; what it said is part of the message.
    """
    if not state.is_dir():
        raise ConnectorError(f"there is no TPM state in {state}")
    for _ in range(ATTEMPTS):
        port = _free_port()
        child, control = _spawn(state, port)
        try:
            if _is_ready(control, state):
                yield RunningTpm(address=(HOST, port), control=control, pid=child.process.pid)
                return
        finally:
            child.end()
    raise ConnectorError(f"swtpm found no free port in {ATTEMPTS} attempts")


def _is_ready(control: Control, state: Path) -> bool:
    """True once swtpm answers, False when it ended because somebody else took its port."""
    try:
        control.wait_until_ready()
    except ConnectorError as error:
        said = (state / LOG).read_text(encoding="utf-8", errors="replace").strip()
        if PORT_TAKEN in said:
            return False
        raise ConnectorError(f"swtpm does not start on {state}: {said or error}") from error
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _spawn(state: Path, port: int) -> tuple[_Child, Control]:
    command = [find_program("swtpm"), "socket", "--tpm2", "--tpmstate", f"dir={state}", "--ctrl", "type=tcp,fd=0"]
    command += ["--server", f"type=tcp,port={port},bindaddr={HOST}"]
    with socket.create_server((HOST, 0)) as listener, (state / LOG).open("wb") as log:
        shell_end, lifeline = os.pipe()
        try:
            process = subprocess.Popen(  # noqa: S603  a fixed script; the arguments are ours
                tied(command, by=STDOUT),
                stdin=listener.fileno(),
                stdout=shell_end,
                stderr=log,
                env={**os.environ, "LC_ALL": "C"},
            )
        except OSError as error:
            os.close(lifeline)
            raise ConnectorError(f"swtpm cannot be started: {error}") from error
        finally:
            os.close(shell_end)
        return _Child(process=process, lifeline=lifeline), Control(listener.getsockname())
