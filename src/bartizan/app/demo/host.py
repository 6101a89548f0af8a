"""A host of the live demonstration: an emulated TPM, its kernel's file tree, and an agent that attests for ever."""

import threading
from dataclasses import dataclass, field
from pathlib import Path

from bartizan.agent.clock import MachineClock
from bartizan.agent.collector import BOOT_LOG, IMA_LIST, LocalCollector, Machine
from bartizan.agent.keys import tpm_opener
from bartizan.agent.loop import Agent, Parts
from bartizan.agent.state import Node, Store
from bartizan.agent.transport import HttpService
from bartizan.app.demo.machine import Machine as Emulated
from bartizan.app.demo.machine import extensions
from bartizan.app.demo.recordings import Boot
from bartizan.connectors.swtpm.process import RunningTpm
from bartizan.formats.ima import encode_entries
from bartizan.model.digest import HashAlg
from bartizan.model.ima import IMA_PCR, ImaEntry

LONGEST_WAIT = 0.5
"""Seconds between two looks at whether to stop."""
TEMPLATE = "ima-ng"


@dataclass(slots=True, kw_only=True)
class Host:
    """One machine; `root` holds what its kernel shows below /sys and /proc. lock: its TPM serves one at a time."""

    name: str
    running: RunningTpm
    root: Path
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def tpm(self) -> str:
        """Where its TPM is, as the agent's options have it."""
        return f"tcp:{self.running.address[0]}:{self.running.address[1]}"

    def boot(self, boot: Boot) -> None:
        """Power off and on, and measure what was recorded."""
        with self.lock, self.running.connect() as tpm:
            emulated = Emulated(name=self.name, role="", tpm=tpm, control=self.running.control)
            emulated.boot(boot)
            self._write(BOOT_LOG, emulated.files["bios_at_quote.bin"])
            self._write(IMA_LIST, emulated.files["ima_at_quote.bin"])

    def run(self, path: bytes, content: bytes) -> None:
        """Run a file: the kernel measures it before its first instruction."""
        digest = HashAlg.SHA256.digest(content)
        data = _sized(b"sha256:\0" + digest) + _sized(path + b"\0")
        entry = ImaEntry(
            index=0,
            pcr=IMA_PCR,
            reported_template_digest=HashAlg.SHA1.digest(data),
            template=TEMPLATE,
            template_data=data,
            digest_alg="sha256",
            digest=digest,
            path=path,
        )
        with self.lock, self.running.connect() as tpm:
            tpm.pcr_extend(IMA_PCR, extensions(entry))
            with (self.root / IMA_LIST).open("ab") as stream:
                stream.write(b"".join(encode_entries([entry])))

    def _write(self, name: str, content: bytes) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _sized(field_: bytes) -> bytes:
    return len(field_).to_bytes(4, "little") + field_


@dataclass(slots=True)
class LiveAgent:
    """A host's agent in a thread, as `bartizan-agent run` has it in a process."""

    host: Host
    agent: Agent
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Attest until stopped."""
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, name=f"agent of {self.host.name}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Fall silent."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self.agent.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            with self.host.lock:
                wait = self.agent.step()
            self._stop.wait(min(wait, LONGEST_WAIT))


def agent_for(host: Host, *, url: str, pin: str | None, role: str, token: str, folder: Path) -> LiveAgent:
    """An agent that will enrol by this token. folder: where it keeps its state."""
    store = Store(folder)
    store.prepare()
    opener = tpm_opener(host.tpm)
    parts = Parts(
        HttpService(url, pin),
        LocalCollector(Machine(host.root, opener, None), store),
        store,
        MachineClock(),
        lambda _said: None,
    )
    return LiveAgent(host, Agent(Node(url, pin, host.name, role, None, token), parts))
