"""Real emulated TPMs, real agents, a real service that is killed again and again: what was promised must be kept.

`make crash-test` runs it with 200 nodes and 50 kills; the suite with a few. What each node sent and what it was
answered is written down by the node's side, and held against the database after every kill:

(1) no accepted result is lost: the database holds at least what nodes were told was accepted;
(2) none is invented: the quote that stands is one that this node sent, and no more were accepted than were sent;
(3) state continues: a node is asked for full logs only before its first acceptance;
(4) no node needs a person: in the end every node is accepted again.
"""

import json
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Connection, select

from bartizan.agent.clock import MachineClock
from bartizan.agent.collector import LocalCollector
from bartizan.agent.loop import Agent, Parts
from bartizan.agent.state import Node, Store
from bartizan.agent.transport import HttpService, Reply
from bartizan.app.service.settings import Settings
from bartizan.connectors.swtpm.manufacture import Factory, manufacture, open_factory
from bartizan.connectors.swtpm.process import run_tpm
from bartizan.formats.cbor import decode_cbor
from bartizan.store.accounts import ensure_default_project
from bartizan.store.database import open_database
from bartizan.store.joining import add_token, token_digest
from bartizan.store.rules import Author
from bartizan.store.tables import node, node_state
from tests.integration.agent_host import Host

PERIOD = 1
EVIDENCE = "/v1/agent/evidence"
FAR = 1 << 50
PATIENCE = 180
"""Seconds for a condition that must come true."""
LONGEST_LIFE = 2.5
"""Seconds that the service lives between two kills at most."""


@dataclass
class Sent:
    """What one node sent and was told: nonces of its evidence, answers, and how often it sent everything."""

    nonces: set[bytes] = field(default_factory=set)
    accepted: int = 0
    full: int = 0
    statuses: dict[int, int] = field(default_factory=dict)
    last: float = 0.0


class Witness:
    """The way to the service, with a witness who writes down what passes before and after."""

    def __init__(self, service: HttpService, sent: Sent) -> None:
        self._service = service
        self._sent = sent

    def post(self, path: str, body: bytes) -> Reply:
        if path != EVIDENCE:
            return self._service.post(path, body)
        message = decode_cbor(body)
        assert isinstance(message, dict)
        self._sent.nonces.add(message["nonce"])
        self._sent.full += "boot" in message
        reply = self._service.post(path, body)
        self._sent.statuses[reply.status] = self._sent.statuses.get(reply.status, 0) + 1
        if reply.status == 200:
            self._sent.accepted += 1
            self._sent.last = time.monotonic()
        return reply

    def close(self) -> None:
        self._service.close()


@dataclass
class Fleet:
    """Agents, each in a thread of its own. nap: seconds that one waits at most between two steps."""

    nap: float = 5.0
    sent: dict[str, Sent] = field(default_factory=dict)
    stop: threading.Event = field(default_factory=threading.Event)
    threads: list[threading.Thread] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def add(self, name: str, host: Host, url: str, folder: Path) -> None:
        store = Store(folder)
        store.prepare()
        sent = self.sent.setdefault(name, Sent())
        parts = Parts(
            Witness(HttpService(url, None), sent),
            LocalCollector(host.machine(), store),
            store,
            MachineClock(),
            lambda _text: None,
        )
        agent = Agent(Node(url, None, name, "compute", None, f"token of {name}"), parts)
        self.threads.append(threading.Thread(target=self._live, args=(name, agent), name=name))

    def _live(self, name: str, agent: Agent) -> None:
        try:
            while not self.stop.is_set():
                wait = agent.step()
                if agent.is_over:
                    self.failures.append(f"{name} gave up: {agent.progress.last_error}")
                    return
                self.stop.wait(min(wait, self.nap))
        except Exception as error:  # noqa: BLE001  whatever ends an agent is a finding
            self.failures.append(f"{name} broke: {error!r}")
        finally:
            agent.close()


@dataclass
class Verifier:
    """The service as a process on one data folder and one port."""

    data: Path
    config: Path
    port: int = 0
    process: "subprocess.Popen[str] | None" = None

    def start(self) -> None:
        command = [sys.executable, "-m", "bartizan", "serve", "--config", str(self.config), "--plain", "--json"]
        log = (self.data / "service.log").open("a")
        self.process = subprocess.Popen(
            [*command, "--port", str(self.port)], stdout=subprocess.PIPE, stderr=log, text=True
        )
        log.close()
        assert self.process.stdout is not None
        said = ""
        for line in self.process.stdout:
            said += line
            if line.startswith("}"):
                break
        assert said, (self.data / "service.log").read_text()[-2000:]
        self.port = int(json.loads(said)["url"].rpartition(":")[2])

    def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        assert self.process is not None
        self.process.send_signal(how)
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


@contextmanager
def machines(factory: Factory, folder: Path, count: int) -> Iterator[list[Host]]:
    """So many machines that have booted, each with a TPM of its own."""
    with ExitStack() as stack:
        hosts = []
        for number, state in enumerate(manufacture(factory, [f"tpm-{number}" for number in range(count)])):
            host = Host(stack.enter_context(run_tpm(state)), folder / f"root-{number}")
            host.boot()
            hosts.append(host)
        yield hosts


def prepare(data: Path, factory: Factory, names: Sequence[str]) -> Verifier:
    """A service that will let these nodes in."""
    roots = data / "roots"
    roots.mkdir(parents=True)
    for certificate in (factory.root_certificate, factory.issuer_certificate):
        shutil.copy(certificate, roots)
    config = data / "bartizan.toml"
    config.write_text(
        f'data = "{data}"\n[attestation]\nperiod = {PERIOD}\nlate = 60\nfull_waiting = 400\n'
        f'[trust]\nroots = "{roots}"\n'
    )
    with open_database(Settings(data=str(data)).database_url) as engine, engine.begin() as connection:
        ensure_default_project(connection)
        author = Author(project=1, account="crash", now=1)
        for name in names:
            digest = token_digest(f"token of {name}")
            add_token(connection, digest, node_name=name, role="compute", expires_at=FAR, author=author)
    return Verifier(data=data, config=config)


def until(what: str, holds: Callable[[], bool]) -> float:
    """Wait for a condition; the seconds that it took."""
    begun = time.monotonic()
    tick = threading.Event()
    while not holds():
        assert time.monotonic() - begun < PATIENCE, f"{what}: not within {PATIENCE} s"
        tick.wait(0.02)
    return time.monotonic() - begun


def check(data: Path, fleet: Fleet, promised: dict[str, int]) -> dict[str, int]:
    """Hold the database against what the nodes were told before the kill; what it has accepted of each."""
    with open_database(Settings(data=str(data)).database_url) as engine, engine.connect() as connection:
        rows = _rows(connection)
    assert len({row[0] for row in rows}) == len(rows), "a node is enrolled twice"
    for name, accepted, nonce in rows:
        sent = fleet.sent[name]
        assert accepted >= promised[name], f"{name}: {promised[name]} were promised, {accepted} are kept"
        assert accepted <= len(sent.nonces), f"{name}: {accepted} are kept, {len(sent.nonces)} were sent"
        assert nonce is None or nonce in sent.nonces, f"{name}: a quote is kept that it never sent"
    return {name: accepted for name, accepted, _ in rows}


def _rows(connection: Connection) -> list[tuple[str, int, bytes | None]]:
    query = select(node.c.name, node_state.c.accepted, node_state.c.evidence).join(node_state)
    found = []
    for row in connection.execute(query.where(node.c.retired_at.is_(None))):
        quote = None if row.evidence is None else decode_cbor(row.evidence)
        found.append((row.name, row.accepted, quote["nonce"] if isinstance(quote, dict) else None))
    return found


def crash(folder: Path, *, nodes: int, kills: int, seed: int) -> dict[str, float]:
    """The whole test; figures about it."""
    chance = random.Random(seed)  # noqa: S311  when to kill, repeatable by its seed
    names = [f"node-{number}" for number in range(nodes)]
    with open_factory(folder / "factory") as factory, machines(factory, folder, nodes) as hosts:
        verifier = prepare(folder / "service", factory, names)
        verifier.start()
        fleet, tick = Fleet(), threading.Event()
        try:
            url = f"http://127.0.0.1:{verifier.port}"
            for name, host in zip(names, hosts, strict=True):
                fleet.add(name, host, url, folder / f"agent-{name}")
            for thread in fleet.threads:
                thread.start()
            until("the first acceptance", lambda: any(sent.accepted for sent in fleet.sent.values()))
            for _ in range(kills):
                tick.wait(chance.uniform(0.05, LONGEST_LIFE))
                promised = {name: sent.accepted for name, sent in fleet.sent.items()}
                verifier.kill()
                check(verifier.data, fleet, promised)
                verifier.start()
            back = time.monotonic()
            recovery = until(
                "everybody is accepted after the last kill",
                lambda: bool(fleet.failures) or all(sent.last > back for sent in fleet.sent.values()),
            )
        finally:
            fleet.stop.set()
            for thread in fleet.threads:
                thread.join()
            verifier.kill(signal.SIGTERM)
        assert not fleet.failures, fleet.failures
        kept = check(verifier.data, fleet, {name: sent.accepted for name, sent in fleet.sent.items()})
    for name, sent in fleet.sent.items():
        lost = sum(count for status, count in sent.statuses.items() if status not in (200, 409, 503))
        assert not lost, f"{name}: answered {sent.statuses}"
    return {
        "nodes": nodes,
        "kills": kills,
        "accepted": sum(kept.values()),
        "told": sum(sent.accepted for sent in fleet.sent.values()),
        "sent": sum(len(sent.nonces) for sent in fleet.sent.values()),
        "full": sum(sent.full for sent in fleet.sent.values()),
        "recovery_seconds": round(recovery, 1),
    }
