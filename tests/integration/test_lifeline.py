"""Whoever is killed takes along what it started: the service, emulated TPMs and machines."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bartizan.connectors.lifeline import tied
from tests.architecture.tree import ROOT
from tests.integration.crash import until

SERVICE = """
import sys, threading
from pathlib import Path
from bartizan.app.demo.verifier_process import VerifierProcess
where = Path(sys.argv[1])
service = VerifierProcess(data=where, options=("--data", str(where), "--plain"), log=where / "log")
starting = threading.Thread(target=service.start)
starting.start()
starting.join()
"""
"""A thread that has ended since may have started it, as where several are started at once."""
PAUSED = SERVICE + "service.pause()\n"
TPM = """
import sys
from pathlib import Path
from testbed.tpm import powered
where = Path(sys.argv[1])
tpm = powered(where, where / "control")
tpm.__enter__()
"""
MACHINE = """
import sys
from pathlib import Path
from testbed.machine import Hardware, switched_on
from tests.integration.crash import until
where = Path(sys.argv[1])
hardware = Hardware(folder=where, tpm=where, esp=where / "esp", root=where / "root", verifier=1)
hardware.reset_variables(secure_boot=False)
for disk in (hardware.esp, hardware.root):
    disk.write_bytes(bytes(1 << 20))
machine = switched_on(hardware)
guest = machine.__enter__()
until("QEMU is there", (where / "qmp.sock").exists)
guest.monitor("query-status")
"""
FIRMWARE = Path("/usr/share/OVMF/OVMF_VARS_4M.fd")
OWNERS = {"service": SERVICE, "paused service": PAUSED, "TPM": TPM} | (
    {"machine": MACHINE} if FIRMWARE.exists() else {}
)
"""Machines need the firmware that the testbed has from Debian 12's packages."""
STAYS = '\nprint("up", flush=True)\nsys.stdin.read()\n'


@contextmanager
def owner(text: str, folder: Path) -> Iterator["subprocess.Popen[str]"]:
    """A process that has started what it says, and stays."""
    path = f"{ROOT / 'src'}{os.pathsep}{ROOT}"
    with subprocess.Popen(
        [sys.executable, "-c", text + STAYS, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": path},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        yield process


def running(folder: Path) -> list[str]:
    """Command lines of processes that name this folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return [line for line in found if str(folder) in line]


@pytest.mark.parametrize("text", OWNERS.values(), ids=OWNERS)
def test_what_a_process_started_ends_when_it_is_killed(text: str, tmp_path: Path) -> None:
    with owner(text, tmp_path) as process:
        assert len(running(tmp_path)) > 1
        process.kill()
        process.wait()

        until("nothing of it runs", lambda: not running(tmp_path))


def test_a_program_that_its_owner_ends_in_order_is_not_killed(tmp_path: Path) -> None:
    script = f'trap "echo ended > {tmp_path / "said"}; exit 7" TERM; echo up; while true; do sleep 0.05; done'
    with subprocess.Popen(tied(["/bin/sh", "-c", script]), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)

        assert process.wait() == 7
    assert (tmp_path / "said").read_text() == "ended\n"
    until("the watcher has ended", lambda: not running(tmp_path))


def test_what_it_says_and_how_it_ends_is_its_own() -> None:
    end, held = os.pipe()
    command = tied(["/bin/sh", "-c", 'cat; echo "$0 $1"; exit 3', "a b", "*"])
    ran = subprocess.run(command, stdin=end, capture_output=True, text=True, check=False)
    for pipe in (end, held):
        os.close(pipe)

    assert (ran.returncode, ran.stdout, ran.stderr) == (3, "a b *\n", "")
