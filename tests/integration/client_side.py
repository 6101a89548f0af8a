"""A service as a process on loopback, and nodes of software that enrol and attest there over real HTTP. Not a test."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from bartizan.app.demo.verifier_process import VerifierProcess
from bartizan.app.service.settings import Settings
from bartizan.connectors.service.address import tls_context
from bartizan.store.accounts import ensure_default_project
from bartizan.store.database import open_database
from bartizan.store.joining import register_eks
from bartizan.store.rules import Author
from tests.simulator.attester import Attester, Document, document, message

PATIENCE = 60


@dataclass(kw_only=True)
class Service:
    """It, and where it is. nodes: those that were let in, each with what it was told last."""

    data: Path
    url: str
    pin: str | None
    nodes: dict[str, tuple[Attester, Document]] = field(default_factory=dict)

    def enrol(self, node: Attester, token: str | None) -> None:
        """Let a node in."""
        with self._http() as http:
            opened = self._call(http, "enrol", node.enrol(token))
            enrolled = self._call(http, "activate", node.activate(opened))
            node.uid = enrolled["node"]
            self.nodes[node.name] = node, enrolled["challenge"]

    def attest(self, name: str) -> Document:
        """One attestation of a node."""
        node, challenge = self.nodes[name]
        with self._http() as http:
            answer = self._call(http, "evidence", node.evidence(challenge))
        self.nodes[name] = node, answer["challenge"]
        return answer

    def _http(self) -> httpx.Client:
        context = False if self.pin is None else tls_context(self.pin)
        return httpx.Client(base_url=f"{self.url}/v1/agent/", verify=context, trust_env=False, timeout=PATIENCE)

    @staticmethod
    def _call(http: httpx.Client, name: str, body: Document) -> Document:
        answer = http.post(name, content=message(body), headers={"Content-Type": "application/cbor"})
        assert answer.status_code == 200, document(answer.content)
        return document(answer.content)


@contextmanager
def served(data: Path, *more: str) -> Iterator[Service]:
    """`bartizan serve` on this folder, until the block ends."""
    with VerifierProcess(data=data, options=("--data", str(data), *more)) as process:
        yield Service(data=data, url=process.url, pin=process.pin)


def known(data: Path, nodes: Sequence[Attester]) -> None:
    """Register these nodes' EKs in the database of a service that is to run."""
    author = Author(project=1, account="tests", now=1)
    with open_database(Settings(data=str(data)).database_url) as engine, engine.begin() as connection:
        ensure_default_project(connection)
        register_eks(connection, [(node.ek.name, node.name, node.role) for node in nodes], author=author)
