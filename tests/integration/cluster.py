"""Several real Verifiers on one real PostgreSQL, each behind a wire that can be cut, each with whatever clock."""

import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from bartizan.app.demo.verifier_process import BARTIZAN, VerifierProcess
from tests.integration.network import Cable
from tests.postgresql import Server
from tests.unit.enrolling_side import ca_roots

DATABASE = "bartizan"
SKEWED = Path(__file__).with_name("skewed.py")
PERIOD = 1
CHUNK = 64 * 1024
STARTING = 60.0
"""Seconds for a Verifier to start."""
HOST = "127.0.0.1"


class Way(Protocol):
    """A way to the database that can be cut."""

    host: str
    port: int

    def cut(self) -> None:
        """From now on nothing passes."""

    def mend(self) -> None:
        """It passes again."""

    def close(self) -> None:
        """It is gone."""


class Wire:
    """A way to the database through a port of its own, which can be cut: nothing passes any more, in no direction.

    Those who talk over it are not told: what they send is taken and lost, as on a network that swallows it. New
    connections are not answered either.
    """

    def __init__(self, port: int) -> None:
        self.host = HOST
        self._target = port
        self._listener = socket.create_server((HOST, 0))
        self._whole = threading.Event()
        self._whole.set()
        self._ended = threading.Event()
        self._open: list[socket.socket] = []
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """From now on nothing passes."""
        self._whole.clear()

    def mend(self) -> None:
        """What was lost stays lost: connections of before are closed, new ones pass."""
        for one in self._open:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self._open.clear()
        self._whole.set()

    def close(self) -> None:
        """Nothing listens any more."""
        self._ended.set()
        self._listener.close()
        self.mend()

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(near)
            threading.Thread(target=self._join, args=(near,), daemon=True).start()

    def _join(self, near: socket.socket) -> None:
        self._whole.wait()
        with near:
            try:
                far = socket.create_connection((HOST, self._target))
            except OSError:
                return
            self._open.append(far)
            with far:
                back = threading.Thread(target=self._pass, args=(far, near), daemon=True)
                back.start()
                self._pass(near, far)
                back.join()

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while part := source.recv(CHUNK):
                if self._whole.is_set():
                    target.sendall(part)
        with suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)


@dataclass
class Replica:
    """One Verifier as a process, and its way to the database."""

    wire: Way
    process: VerifierProcess

    def start(self, *, offset: int = 0) -> None:
        """Start it, on the port that it had before. offset: seconds by which its machine's clock is wrong."""
        self.process.program = ("-P", str(SKEWED), str(offset)) if offset else BARTIZAN
        self.process.start()

    @property
    def port(self) -> int:
        """Where it listens on loopback; 0 before its first start."""
        return self.process.port

    def log(self) -> str:
        """What it has logged so far."""
        return self.process.log.read_text()


@dataclass
class Cluster:
    """The database and its Verifiers. cables: their ways to it lead through network namespaces."""

    server: Server
    folder: Path
    cables: bool = False
    replicas: list[Replica] = field(default_factory=list)

    def add(self, name: str, way: Way | None = None) -> Replica:
        """Another Verifier, not started yet. way: to the database, by default one that can be cut."""
        folder = self.folder / name
        folder.mkdir()
        number = len(self.replicas)
        wire = way or (Cable(self.server.socket, number) if self.cables else Wire(self.server.port))
        config = folder / "bartizan.toml"
        url = self.server.url(DATABASE, host=wire.host, port=wire.port)
        config.write_text(
            f'data = "{folder}"\n[attestation]\nperiod = {PERIOD}\nlate = 60\nfull_waiting = 400\n'
            f'[storage]\ndatabase = "{url}"\n[trust]\nkeys = "{self.folder / "keys"}"\n'
            f'roots = "{ca_roots(self.folder / "roots")}"\n'
        )
        options = ("--config", str(config), "--plain")
        made = Replica(wire, VerifierProcess(data=folder, options=options, log=folder / "service.log"))
        self.replicas.append(made)
        return made

    def rows(self, query: str) -> list[list[str]]:
        """What the database says, asked by its own client."""
        said = self.server.sql(query, database=DATABASE)
        return [line.split("|") for line in said.splitlines()]


@contextmanager
def cluster(server: Server, folder: Path, names: Sequence[str], *, cables: bool = False) -> Iterator[Cluster]:
    """Verifiers of these names on a new database of this server, all started at once, ended afterwards."""
    server.create(DATABASE)
    made = Cluster(server, folder, cables)
    with ExitStack() as stack:
        for name in names:
            one = made.add(name)
            stack.callback(one.wire.close)
            stack.callback(one.process.kill)
        threads = [threading.Thread(target=one.start) for one in made.replicas]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert all(one.port for one in made.replicas), [one.log()[-1000:] for one in made.replicas]
        yield made


def until(what: str, holds: Callable[[], bool], *, patience: float = STARTING) -> float:
    """Wait for a condition; the seconds that it took."""
    begun, tick = time.monotonic(), threading.Event()
    while not holds():
        assert time.monotonic() - begun < patience, f"{what}: not within {patience} s"
        tick.wait(0.02)
    return time.monotonic() - begun
