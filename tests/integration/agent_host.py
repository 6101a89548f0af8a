"""A machine for the agent: an emulated TPM that a recorded boot was replayed into, and the file tree of its kernel."""

from dataclasses import dataclass
from pathlib import Path

from bartizan.agent.collector import IMA_LIST, Machine
from bartizan.agent.keys import tpm_opener
from bartizan.app.demo.machine import Machine as Emulated
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
SECURITY = "sys/kernel/security"
FILES = {
    f"{SECURITY}/tpm0/binary_bios_measurements": "bios_at_quote.bin",
    f"{SECURITY}/ima/binary_runtime_measurements": "ima_at_quote.bin",
}


@dataclass(slots=True)
class Host:
    """The machine; `posture` is what its collectors say."""

    running: RunningTpm
    root: Path
    posture: bytes = POSTURE

    @property
    def address(self) -> str:
        """Of the TPM, as the agent's options have it."""
        return f"tcp:{self.running.address[0]}:{self.running.address[1]}"

    def machine(self) -> Machine:
        """As a collector in process takes it."""
        return Machine(self.root, tpm_opener(self.address), lambda: self.posture)

    def boot(self) -> None:
        """Power off and on, and boot as recorded."""
        with self.running.connect() as tpm:
            emulated = Emulated(name="node", role="compute", tpm=tpm, control=self.running.control)
            emulated.boot(recorded("good"))
        for path, name in FILES.items():
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
            (self.root / path).write_bytes(emulated.files[name])
        (self.root / "proc").mkdir(exist_ok=True)
        (self.root / "proc/cmdline").write_bytes(COMMAND_LINE)

    def measure(self, path: bytes) -> None:
        """Run one more file."""
        line = ng(path)
        with self.running.connect() as tpm:
            digests = {bank: bank.digest(line.data) for bank in (HashAlg.SHA1, HashAlg.SHA256)}
            tpm.pcr_extend(10, {**digests, HashAlg.SHA384: HashAlg.SHA1.digest(line.data).ljust(48, b"\0")})
        with (self.root / IMA_LIST).open("ab") as file:
            file.write(line.binary())
