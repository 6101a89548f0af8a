"""A service of a few lines behind `bartizan`: answers by method and path, and everything it was asked. Not a test."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from bartizan.cli import asking, completing
from bartizan.connectors.service.address import Reach
from bartizan.connectors.service.client import ServiceClient

URL = "https://verifier.test:8443"
PROBLEM = "application/problem+json"
Answer = httpx.Response | Exception


def problem(
    status: int, detail: str, *, title: str = "Refused", headers: dict[str, str] | None = None
) -> httpx.Response:
    """A refusal as the service words it."""
    content = json.dumps({"type": "urn:x", "title": title, "status": status, "detail": detail})
    return httpx.Response(status, content=content, headers={"Content-Type": PROBLEM} | (headers or {}))


def page(*items: object, following: str | None = None) -> httpx.Response:
    """A page of a list."""
    return httpx.Response(200, json={"items": list(items), "next": following})


@dataclass
class Double:
    """It. answers: for each `GET /v1/…`, one after the other; the last one stays."""

    answers: dict[str, list[Answer]] = field(default_factory=dict)
    asked: list[httpx.Request] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    reach: Reach = field(default_factory=lambda: Reach(url=URL, token="bzt_secret"))  # noqa: S106

    def on(self, what: str, *answers: Answer | dict[str, Any]) -> None:
        """What to answer to a method and path."""
        self.answers[what] = [httpx.Response(200, json=one) if isinstance(one, dict) else one for one in answers]

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        waiting = self.answers[f"{request.method} {request.url.path}"]
        answer = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    def client(self) -> ServiceClient:
        """A client of it."""
        return ServiceClient(self.reach, transport=httpx.MockTransport(self), pause=self.pauses.append)

    @property
    def bodies(self) -> list[Any]:
        """What was sent as JSON, in order."""
        return [json.loads(request.content) for request in self.asked if request.content]


@pytest.fixture
def double(monkeypatch: pytest.MonkeyPatch) -> Double:
    """One that every command asks."""
    made = Double()
    for name in ("URL", "PIN", "TOKEN", "TOKEN_FILE", "DATA"):
        monkeypatch.delenv(f"BARTIZAN_{name}", raising=False)
    client: Callable[..., ServiceClient] = lambda _, **__: made.client()  # noqa: E731
    for module in (asking, completing):
        monkeypatch.setattr(module, "ServiceClient", client)
    monkeypatch.setenv("BARTIZAN_URL", URL)
    monkeypatch.setenv("BARTIZAN_TOKEN", "bzt_secret")
    return made
