"""Who answers a request: agents' calls their endpoint, others the API; and who is believed to ask for others."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from bartizan.web.app import create_app
from tests.simulator.attester import document
from tests.unit.service_side import side

PROBLEM = "application/problem+json"


def fetched(folder: Path, method: str, path: str, *, peer: str = "127.0.0.1", **options: Any) -> httpx.Response:  # noqa: ANN401
    """The whole application's answer to one request of this peer."""

    async def run() -> httpx.Response:
        async with side(folder) as found:
            transport = httpx.ASGITransport(create_app(found.service), client=(peer, 4711))
            async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
                return await client.request(method, path, **options)

    return asyncio.run(run())


def test_agents_calls_are_answered_in_their_own_form(tmp_path: Path) -> None:
    answer = fetched(tmp_path, "POST", "/v1/agent/challenge", content=b"\xff")
    assert answer.status_code == 415
    assert document(answer.content)["error"]["why"] == "application/cbor expected"


@pytest.mark.parametrize("path", ["/v1/agent", "/v1/agents/challenge", "/v1/nodes"])
def test_other_paths_are_answered_by_the_api(path: str, tmp_path: Path) -> None:
    answer = fetched(tmp_path, "GET", path)
    assert answer.status_code in (401, 404)
    assert answer.headers["content-type"] == PROBLEM


@pytest.mark.parametrize(("peer", "named"), [("127.0.0.1", "203.0.113.7"), ("192.0.2.1", "192.0.2.1")])
def test_only_a_proxy_on_this_machine_says_for_whom_it_asks(peer: str, named: str, tmp_path: Path) -> None:
    seen: list[Any] = []

    async def run() -> None:
        async with side(tmp_path) as found:
            app = create_app(found.service)

            async def watched(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401
                await app(scope, receive, send)
                seen.append(scope["client"][0])

            transport = httpx.ASGITransport(watched, client=(peer, 4711))
            async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
                await client.get("/v1/nodes", headers={"X-Forwarded-For": "203.0.113.7"})

    asyncio.run(run())
    assert seen == [named]
