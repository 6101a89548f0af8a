"""A service in this process, asked over its JSON API by people of each role. Not a test."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from litestar import Litestar

from bartizan.app.service.service import Service
from bartizan.app.service.signing_in import digest_of
from bartizan.model.node import Role
from bartizan.store.accounts import NewApiToken, add_account, add_api_token, audit_after, ensure_project
from bartizan.store.rules import Author
from bartizan.web.app import create_api
from tests.simulator.attester import Attester
from tests.unit.service_side import ADMIN, HandClock, Side, side

BASE = "http://bartizan.test"
PROBLEM = "application/problem+json"


@dataclass(kw_only=True)
class Api:
    """The service with its API. tokens: one for each account that was made."""

    side: Side
    app: Litestar
    client: httpx.AsyncClient
    tokens: dict[str, str] = field(default_factory=dict)

    @property
    def service(self) -> Service:
        return self.side.service

    @property
    def clock(self) -> HandClock:
        return self.side.clock

    async def account(self, name: str, role: Role, *, project: str = "default", password: str | None = None) -> str:
        """An account with a token of its role; returns the token."""
        token = f"bzt_{name}"

        def run(connection: Any) -> None:  # noqa: ANN401
            author = Author(project=ensure_project(connection, project), account="tester", now=ADMIN.now)
            made = add_account(connection, name, role, password=password, author=author)
            new = NewApiToken(account=made.id, label=name, digest=digest_of(token), role=role, expires_at=None)
            add_api_token(connection, new, author=author)

        await self.service.write(run)
        self.tokens[name] = token
        return token

    async def ask(self, method: str, path: str, *, by: str | None = None, **more: Any) -> httpx.Response:  # noqa: ANN401
        """A request; by: the account, whose token it comes with."""
        headers = dict(more.pop("headers", {}))
        if by is not None:
            headers["Authorization"] = f"Bearer {self.tokens[by]}"
        return await self.client.request(method, path, headers=headers, **more)

    async def get(self, path: str, *, by: str = "viewer", status: int = 200, **more: Any) -> Any:  # noqa: ANN401
        """The document that a GET finds."""
        return _document(await self.ask("GET", path, by=by, **more), status)

    async def post(
        self,
        path: str,
        body: object = None,
        *,
        by: str = "operator",
        status: int = 201,
        **more: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        """The document that a POST answers."""
        sent = more if body is None else {"json": body} | more
        return _document(await self.ask("POST", path, by=by, **sent), status)

    async def audit(self) -> list[tuple[str, str, str]]:
        """Who did what to what, in its order."""
        rows = await self.service.read(lambda connection: list(audit_after(connection, 0, limit=1000)))
        return [(row.account, row.action, row.target) for row in rows]

    async def enrolled(self, name: str, *, attested: bool = True, **shape: Any) -> Attester:  # noqa: ANN401
        """A node that is enrolled, and attested if not said otherwise."""
        node = Attester(name=name, **shape)
        challenge = await self.side.enrol(node)
        if attested:
            await self.side.attest(node, challenge)
        return node


def _document(answer: httpx.Response, status: int) -> Any:  # noqa: ANN401
    assert answer.status_code == status, (answer.status_code, answer.text)
    if status >= 400:
        assert answer.headers["content-type"] == PROBLEM
        assert answer.json()["status"] == status
    return answer.json() if answer.content else None


@asynccontextmanager
async def api(folder: Path, *, scheme: str = "http", **settings: Any) -> AsyncIterator[Api]:  # noqa: ANN401
    """A service on a folder, with an account and a token of each role."""
    async with side(folder, **settings) as found:
        app = create_api(found.service)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=BASE.replace("http:", f"{scheme}:")) as client:
            made = Api(side=found, app=app, client=client)
            for role in Role:
                await made.account(role.value, role)
            yield made


def asked(play: Callable[[Api], Awaitable[None]], folder: Path, **settings: Any) -> None:  # noqa: ANN401
    """Run a scene against a new service."""

    async def run() -> None:
        async with api(folder, **settings) as found:
            await play(found)

    asyncio.run(run())
