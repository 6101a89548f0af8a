"""A machine for the agent's tests: the demonstration's, with a command line and a posture of its own. Not a test."""

from dataclasses import dataclass
from pathlib import Path

from bartizan.agent.collector import Machine
from bartizan.agent.keys import tpm_opener
from bartizan.app.demo import host as demo
from bartizan.app.demo.recordings import recorded
from bartizan.connectors.swtpm.process import RunningTpm
from bartizan.model.digest import HashAlg
from tests.unit.ima_lists import ng

POSTURE = b'{"a":1}'
COMMAND_LINE = (
    b"BOOT_IMAGE=/vmlinuz console=ttyS0 quiet ima_policy=tcb ima_template=ima-ng ima_hash=sha256 "
    b"verifier=http://10.0.2.2:18080\n"
)
"""What was measured; a node that reported another one would lie."""


def measured(path: bytes) -> bytes:
    """The line that a file of this name leaves in the list, written by the tests' own hand."""
    return ng(path, HashAlg.SHA256.digest(path)).binary()


@dataclass(slots=True)
class Host:
    """The machine; `posture` is what its collectors say."""

    running: RunningTpm
    root: Path
    posture: bytes = POSTURE

    @property
    def address(self) -> str:
        """Of the TPM, as the agent's options have it."""
        return self._emulated.tpm

    def machine(self) -> Machine:
        """As a collector in process takes it."""
        return Machine(self.root, tpm_opener(self.address), lambda: self.posture)

    def boot(self) -> None:
        """Power off and on, and boot as recorded."""
        self._emulated.boot(recorded("good"))
        (self.root / "proc").mkdir(exist_ok=True)
        (self.root / "proc/cmdline").write_bytes(COMMAND_LINE)

    def measure(self, path: bytes) -> None:
        """Run one more file, whose content is its name."""
        self._emulated.run(path, path)

    @property
    def _emulated(self) -> demo.Host:
        return demo.Host(name="node", running=self.running, root=self.root)
