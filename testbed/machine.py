"""A machine under emulation: firmware with Secure Boot, a TPM, two disks, and a network that ends at the Verifier.

QEMU without KVM (`accel=tcg`), q35 with SMM, OVMF with Microsoft's keys. It knows nothing of what is attested.
"""

import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from bartizan.connectors.lifeline import tied
from bartizan.errors import ConnectorError
from testbed.console import Console
from testbed.tap import Tap, tapped
from testbed.tpm import powered

FIRMWARE = Path("/usr/share/OVMF")
CODE = FIRMWARE / "OVMF_CODE_4M.ms.fd"
VARIABLES = {True: FIRMWARE / "OVMF_VARS_4M.ms.fd", False: FIRMWARE / "OVMF_VARS_4M.fd"}
"""The variable store that a new machine starts with, by whether Secure Boot is on."""
MEMORY = 640
"""Mebibytes."""
VERIFIER = "10.0.2.100"
"""Where a guest finds the Verifier, and nothing else."""
UP_SECONDS = 240.0
TAIL = 3000
"""Characters of the console that an error quotes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """What a machine is made of, on the host's disk. verifier: the port on loopback that its network ends at.

    devices: further ones, as QEMU's options have them; tapped: a dynamic launch can be done on its TPM.
    """

    folder: Path
    tpm: Path
    esp: Path
    root: Path
    verifier: int
    devices: tuple[str, ...] = ()
    tapped: bool = False

    @property
    def tpm_socket(self) -> Path:
        """Where QEMU finds the TPM."""
        return self.folder / ("tap.sock" if self.tapped else "tpm.sock")

    @property
    def variables(self) -> Path:
        """The firmware's variables, which outlive a boot."""
        return self.folder / "variables.fd"

    @property
    def serial(self) -> Path:
        """What the kernel's console said in the last boot."""
        return self.folder / "serial.log"

    def reset_variables(self, *, secure_boot: bool) -> None:
        """As it left the factory.

        Raises:
            ConnectorError: there is no such firmware.
        """
        source = VARIABLES[secure_boot]
        if not source.is_file():
            raise ConnectorError(f"{source} is missing: on Debian, `apt-get install ovmf`")
        shutil.copy(source, self.variables)

    def command(self) -> list[str]:
        """QEMU's command line."""
        relay = f"{sys.executable} -ISB {Path(__file__).parent / 'relay.py'} {self.verifier}"
        made = ["qemu-system-x86_64", "-machine", "q35,accel=tcg,smm=on", "-cpu", "max", "-smp", "1"]
        made += ["-m", str(MEMORY), "-display", "none", "-nodefaults", "-no-user-config", "-no-reboot"]
        made += ["-global", "driver=cfi.pflash01,property=secure,value=on", "-global", "ICH9-LPC.disable_s3=0"]
        made += ["-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={CODE}"]
        made += ["-drive", f"if=pflash,format=raw,unit=1,file={self.variables}"]
        made += ["-chardev", f"socket,id=tpm,path={self.tpm_socket}", "-tpmdev", "emulator,id=tpm,chardev=tpm"]
        made += ["-device", "tpm-crb,tpmdev=tpm"]
        for number, disk in enumerate((self.esp, self.root)):
            made += ["-drive", f"if=none,id=d{number},format=raw,file={disk}"]
            made += ["-device", f"virtio-blk-pci,drive=d{number}" + ("" if number else ",bootindex=0")]
        made += ["-serial", f"file:{self.serial}"]
        made += ["-chardev", f"socket,id=console,path={self.folder / 'console.sock'},server=on,wait=off"]
        made += ["-serial", "chardev:console"]
        made += ["-netdev", f"user,id=net,ipv6=off,restrict=on,guestfwd=tcp:{VERIFIER}:8443-cmd:{relay}"]
        made += ["-device", "virtio-net-pci,netdev=net,romfile="]
        made += ["-qmp", f"unix:{self.folder / 'qmp.sock'},server=on,wait=off"]
        return [*made, *self.devices]


@dataclass(slots=True, kw_only=True)
class Guest:
    """A machine that is switched on."""

    hardware: Hardware
    process: "subprocess.Popen[str]"
    tap: Tap | None = None
    console: Console = field(init=False)

    def __post_init__(self) -> None:
        self.console = Console(path=self.hardware.folder / "console.sock", failed=self.why_ended)

    def why_ended(self) -> str | None:
        """Why the guest does not run any more, with the end of its console; None while it does."""
        if self.process.poll() is None:
            return None
        return f"QEMU ended with {self.process.returncode}; its console said last:\n{self.said[-TAIL:]}"

    @property
    def said(self) -> str:
        """The console's text, without what moves the cursor."""
        raw = self.hardware.serial.read_bytes() if self.hardware.serial.exists() else b""
        text = raw.decode("ascii", "replace").replace("\r", "")
        return "".join(letter for letter in text if letter == "\n" or letter.isprintable())

    def wait_until_up(self, seconds: float = UP_SECONDS) -> None:
        """Until its services run.

        Raises:
            ConnectorError: they do not by then; the end of the console is part of the message.
        """
        try:
            self.console.wait_until_ready(seconds)
        except ConnectorError as error:
            raise ConnectorError(f"{error}\n{self.said[-TAIL:]}") from error

    def wait_until_off(self, seconds: float = 120.0) -> None:
        """Until it has switched itself off.

        Raises:
            ConnectorError: it did not by then.
        """
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise ConnectorError(f"the guest did not end within {seconds:g} s:\n{self.said[-TAIL:]}") from error

    def power_off(self) -> None:
        """Pull the plug."""
        self.process.kill()
        self.process.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()

    def monitor(self, command: str, **arguments: object) -> dict[str, object]:
        """What QEMU answers to a command; QEMU Machine Protocol.

        Raises:
            ConnectorError: it says no, or has gone.
        """
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(30)
            line.connect(str(self.hardware.folder / "qmp.sock"))
            with line.makefile("rw", encoding="utf-8") as stream:
                stream.readline()
                _asked(stream, {"execute": "qmp_capabilities"})
                return _asked(stream, {"execute": command, "arguments": arguments})

    def suspend(self) -> None:
        """Suspend to memory and wake up again.

        Raises:
            ConnectorError: it does not fall asleep.
        """
        self.console.say("echo mem > /sys/power/state")
        deadline = time.monotonic() + UP_SECONDS
        while self.monitor("query-status").get("status") != "suspended":
            if time.monotonic() > deadline:
                raise ConnectorError(f"the guest does not fall asleep:\n{self.said[-TAIL:]}")
            time.sleep(0.2)
        self.monitor("system_wakeup")
        self.console.finish()

    def wait_until_said(self, text: str, seconds: float = 60.0) -> None:
        """Until the console shows this.

        Raises:
            ConnectorError: it does not by then.
        """
        deadline = time.monotonic() + seconds
        while text not in self.said:
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise ConnectorError(f"the console does not say {text!r}:\n{self.said[-TAIL:]}")
            time.sleep(0.1)


def _asked(stream: TextIO, question: dict[str, object]) -> dict[str, object]:
    """The answer to one question, past events."""
    stream.write(json.dumps(question) + "\n")
    stream.flush()
    for line in stream:
        found: dict[str, dict[str, object]] = json.loads(line)
        if "error" in found:
            raise ConnectorError(f"QEMU refused {question['execute']}: {found['error']}")
        if "return" in found:
            return found["return"]
    raise ConnectorError(f"QEMU ended at {question['execute']}")


@contextmanager
def switched_on(hardware: Hardware) -> Iterator[Guest]:
    """The machine, running, while the block does; it need not have come up yet.

    Raises:
        ConnectorError: its TPM or QEMU does not start.
    """
    for name in ("console.sock", "qmp.sock", "serial.log"):
        (hardware.folder / name).unlink(missing_ok=True)
    with ExitStack() as stack:
        control = hardware.folder / "tpm.sock"
        stack.enter_context(powered(hardware.tpm, control))
        tap = stack.enter_context(tapped(control, hardware.tpm_socket)) if hardware.tapped else None
        log = stack.enter_context((hardware.folder / "qemu.log").open("w"))
        try:
            command = tied(hardware.command())
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log, text=True)
        except OSError as error:
            raise ConnectorError(f"QEMU cannot be started: {error}") from error
        guest = Guest(hardware=hardware, process=process, tap=tap)
        stack.callback(guest.console.close)
        stack.callback(guest.power_off)
        yield guest
