"""A guest's TPM: an swtpm of its own behind QEMU, ended with whoever started it."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bartizan.connectors.lifeline import tied
from bartizan.connectors.swtpm.manufacture import find_program
from bartizan.errors import ConnectorError

SECONDS = 10.0


@contextmanager
def powered(state: Path, control: Path) -> Iterator[None]:
    """The TPM of a state folder, at a socket for QEMU, while the block runs. It loses power when QEMU goes.

    Raises:
        ConnectorError: it does not start; what it said is part of the message.
    """
    control.unlink(missing_ok=True)
    log = state / "swtpm.log"
    command = [find_program("swtpm"), "socket", "--tpm2", "--tpmstate", f"dir={state}"]
    command += ["--ctrl", f"type=unixio,path={control}", "--log", f"file={log},level=1"]
    with subprocess.Popen(tied(command), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + SECONDS
            while not control.exists():
                if process.poll() is not None or time.monotonic() > deadline:
                    said = log.read_text(errors="replace").strip() if log.exists() else ""
                    raise ConnectorError(f"swtpm does not start on {state}: {said[-1000:]}")
                time.sleep(0.01)
            yield
        finally:
            process.terminate()
