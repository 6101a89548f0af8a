"""Real agents with emulated TPMs beside the software attesters: what the fleet does must hold for these too.

Each agent is the product's own, in a thread, with a TPM process of its own into which the recorded boot was replayed.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bartizan.app.service.settings import Settings
from bartizan.connectors.swtpm.manufacture import Factory, open_factory
from bartizan.store.database import open_database
from bartizan.store.joining import add_token, token_digest
from bench.fleet.prepared import AUTHOR
from bench.fleet.stage import Held
from bench.fleet.verifier import HOST
from tests.integration.agent_host import Host
from tests.integration.crash import FAR, Fleet, machines

NAP = 3600.0


@dataclass(slots=True, kw_only=True)
class RealNodes:
    """Machines that have booted; after `begin`, agents that attest. folder: of their states."""

    hosts: list[Host]
    folder: Path
    fleet: Fleet = field(default_factory=lambda: Fleet(nap=NAP))

    @property
    def names(self) -> list[str]:
        """What they are enrolled as."""
        return [f"real-{number:04d}" for number in range(len(self.hosts))]

    def begin(self, port: int) -> None:
        """Let the agents enrol and attest."""
        for name, host in zip(self.names, self.hosts, strict=True):
            self.fleet.add(name, host, f"http://{HOST}:{port}", self.folder / f"agent-{name}")
        for thread in self.fleet.threads:
            thread.start()

    def end(self) -> None:
        """No more."""
        self.fleet.stop.set()
        for thread in self.fleet.threads:
            thread.join()

    def checks(self) -> list[Held]:
        """What must hold of them."""
        without = [name for name, sent in self.fleet.sent.items() if not sent.accepted]
        return [
            Held("every agent with an emulated TPM was accepted", not without, without),
            Held("none of these agents gave up or broke", not self.fleet.failures, self.fleet.failures),
        ]

    def figures(self) -> dict[str, object]:
        """How often they were accepted, and sent everything."""
        sent = self.fleet.sent.values()
        return {"agents": len(sent), "accepted": sum(s.accepted for s in sent), "full": sum(s.full for s in sent)}


@contextmanager
def real_nodes(folder: Path, count: int) -> Iterator[RealNodes]:
    """So many machines whose TPM CA is in the subfolder `roots`."""
    with open_factory(folder / "factory") as factory, machines(factory, folder, count) as hosts:
        _trust(factory, folder / "roots")
        yield RealNodes(hosts=hosts, folder=folder)


def _trust(factory: Factory, roots: Path) -> None:
    roots.mkdir()
    for certificate in (factory.root_certificate, factory.issuer_certificate):
        shutil.copy(certificate, roots)


def let_in(data: Path, names: list[str]) -> None:
    """Join tokens for these names, in the database of a service that is to run."""
    with open_database(Settings(data=str(data)).database_url) as engine, engine.begin() as connection:
        for name in names:
            digest = token_digest(f"token of {name}")
            add_token(connection, digest, node_name=name, role="compute", expires_at=FAR, author=AUTHOR)
