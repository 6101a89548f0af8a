"""A service in this process, spoken to as agents do: its endpoint is called without a network. Not a test."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Connection, event

from bartizan.app.service.clock import Now
from bartizan.app.service.service import Service, open_service
from bartizan.app.service.settings import Settings
from bartizan.store.joining import add_token, register_eks, token_digest
from bartizan.store.rules import Author
from bartizan.web.api.agent import AgentEndpoint
from tests.databases import settled
from tests.simulator.attester import Attester, Document, document, message
from tests.simulator.tpm_ca import NOW

START = int(NOW.timestamp() * 1_000_000)
SECOND = 1_000_000
ADMIN = Author(project=1, account="tester", now=START // 1000)
ROOTS = Path(__file__).parent.parent / "vectors" / "boots"


@dataclass
class HandClock:
    """A clock that goes on when it is told to, and by a microsecond each time it is read."""

    microseconds: int = START

    def __call__(self) -> Now:
        self.microseconds += 1
        return Now(self.microseconds)

    def forward(self, seconds: float) -> None:
        self.microseconds += int(seconds * SECOND)


@dataclass(kw_only=True)
class Side:
    """The service, its clock, and the calls of agents."""

    service: Service
    clock: HandClock
    endpoint: AgentEndpoint = field(init=False)

    def __post_init__(self) -> None:
        self.endpoint = AgentEndpoint(self.service)

    async def call(self, name: str, body: Document | bytes, **headers: str) -> tuple[int, Document]:
        """One call of an agent: its status and the decoded answer."""
        status, _, answer = await self.exchange(name, body if isinstance(body, bytes) else message(body), **headers)
        return status, document(answer)

    async def exchange(self, name: str, body: bytes, **headers: str) -> tuple[int, dict[bytes, bytes], bytes]:
        """The same, with the headers and bytes of the answer."""
        said = {"content-type": "application/cbor", "content-length": str(len(body))} | headers
        scope = {
            "type": "http",
            "method": "POST",
            "path": f"/v1/agent/{name}",
            "headers": [(key.replace("_", "-").encode(), value.encode()) for key, value in said.items()],
        }
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(part: dict[str, Any]) -> None:
            sent.append(part)

        await cast("Callable[..., Awaitable[None]]", self.endpoint)(scope, receive, send)
        return int(sent[0]["status"]), dict(sent[0]["headers"]), b"".join(part.get("body", b"") for part in sent[1:])

    @asynccontextmanager
    async def together(self, jobs: int) -> AsyncIterator[list[object]]:
        """The writer waits until the block has submitted so many jobs and ends; a list of the commits that follow."""
        writer, begun, go_on, commits = self.service.writer, threading.Event(), threading.Event(), list[object]()

        def hold(_: Connection) -> None:
            begun.set()
            go_on.wait(10)

        held = writer.submit(hold)
        begun.wait(10)
        try:
            yield commits
            while writer.backlog < jobs:  # noqa: ASYNC110  # the writer's queue wakes nobody here
                await asyncio.sleep(0)
            event.listen(self.service.engine, "commit", commits.append)
        finally:
            go_on.set()
            await held

    async def wait(self, seconds: int) -> None:
        """Let time pass, with the service looking at its nodes all the while."""
        while seconds > 0:
            step = min(seconds, 30)
            self.clock.forward(step)
            await self.service.watch.look()
            seconds -= step

    async def allow(self, *nodes: Attester) -> None:
        """Register the EKs of these nodes beforehand."""
        rows = [(node.ek.name, node.name, node.role) for node in nodes]
        await self.service.write(lambda connection: register_eks(connection, rows, author=ADMIN))

    async def token(self, secret: str, name: str, role: str = "compute", *, seconds: int = 3600) -> None:
        """Make a join token."""
        ends = self.clock().milliseconds + seconds * 1000
        await self.service.write(
            lambda connection: add_token(
                connection, token_digest(secret), node_name=name, role=role, expires_at=ends, author=ADMIN
            )
        )

    async def enrol(self, node: Attester) -> Document:
        """Enrol a node whose EK is registered; its first challenge."""
        await self.allow(node)
        status, opened = await self.call("enrol", node.enrol())
        assert status == 200, opened
        status, enrolled = await self.call("activate", node.activate(opened))
        assert status == 200, enrolled
        node.uid = enrolled["node"]
        challenge: Document = enrolled["challenge"]
        return challenge

    async def attest(self, node: Attester, challenge: Document | None = None) -> Document:
        """An attestation that is accepted; its answer."""
        if challenge is None:
            _, answer = await self.call("challenge", node.ask())
            challenge = answer["challenge"]
        status, answer = await self.call("evidence", node.evidence(challenge))
        assert status == 200, answer
        return answer


@asynccontextmanager
async def side(folder: Path, *, clock: HandClock | None = None, **settings: Any) -> AsyncIterator[Side]:  # noqa: ANN401
    """A service on a folder, which it finds again when it is opened a second time."""
    hand = clock or HandClock()
    async with open_service(settled(Settings(data=str(folder), **settings)), clock=hand) as service:
        yield Side(service=service, clock=hand)


def played(play: Callable[[Side], Awaitable[None]], folder: Path, **settings: Any) -> None:  # noqa: ANN401
    """Run a scene against a new service."""

    async def run() -> None:
        async with side(folder, **settings) as found:
            await play(found)

    asyncio.run(run())
