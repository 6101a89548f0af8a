"""A service whose writing thread ended does not stay: it ends as failed, and the next one goes on with everything."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from bartizan.cli.console import OUTSIDE
from tests.architecture.tree import ROOT

PROGRAM = Path(__file__).with_name("short_of_memory.py")
PATIENCE = 60


def test_it_ends_by_itself_with_a_status_after_which_it_is_started_again(tmp_path: Path) -> None:
    data, log = tmp_path / "data", tmp_path / "log"
    command = [sys.executable, str(PROGRAM), "serve", "--data", str(data), "--port", "0", "--plain"]
    with (
        log.open("w") as said,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, text=True, env=_environment()) as process,
    ):
        assert process.stdout is not None
        assert next(line for line in process.stdout if line.startswith("data "))
        process.send_signal(signal.SIGUSR1)

        assert process.wait(PATIENCE) == OUTSIDE

    words = log.read_text()
    assert '"event": "the writer has ended: nothing can be accepted any more", "level": "critical"' in words
    assert "outside failure: nothing can be written any more: MemoryError" in words


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
