"""A running service asked over its JSON API: one request, one typed answer. It shows nothing and knows no command.

Lists are followed to their end. Only a GET is sent again, and only where the service itself says when to come back.
"""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self, TypeVar

import httpx
import msgspec

from bartizan.connectors.service.address import Reach, checked_url, tls_context
from bartizan.connectors.service.faults import out_of_reach, refusal
from bartizan.errors import ConfigError, ConnectorError

Kind = TypeVar("Kind")
Query = Sequence[tuple[str, str | int | bool | None]]

CONNECT_SECONDS, ANSWER_SECONDS = 10.0, 60.0
MAX_ANSWER = 128 * 1024 * 1024
PAGE = 500
"""Items that are asked for at once; the most that the service gives."""
TRIES = 3
LONGEST_PAUSE = 30
"""Seconds that are waited for a service that is busy; asked for longer than that, it counts as one that failed."""
SECONDS = re.compile(r"[0-9]{1,6}")
JSON = "application/json"
JSON_LINES = "application/jsonl"
PROBLEM = "application/problem+json"


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A page of a list, its items as they came."""

    items: list[msgspec.Raw]
    next: str | None = None


class ServiceClient:
    """A way to one service. Every method raises DeclinedError where it says no, ConnectorError where it cannot."""

    def __init__(
        self,
        reach: Reach,
        *,
        transport: httpx.BaseTransport | None = None,
        pause: Callable[[float], None] = time.sleep,
        seconds: float = ANSWER_SECONDS,
    ) -> None:
        self.url = checked_url(reach.url)
        if reach.pin is not None and not self.url.startswith("https:"):
            raise ConfigError(f"{self.url}: plain http shows no key that a pin could be held to; leave the pin out")
        headers = {"Accept": JSON, "User-Agent": "bartizan"}
        if reach.token is not None:
            headers["Authorization"] = f"Bearer {reach.token}"
        self._pause = pause
        self._http = httpx.Client(
            base_url=self.url,
            headers=headers,
            transport=transport or httpx.HTTPTransport(verify=tls_context(reach.pin)),
            timeout=httpx.Timeout(seconds, connect=min(seconds, CONNECT_SECONDS)),
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, path: str, kind: type[Kind], query: Query | None = None) -> Kind:
        """One document."""
        return self._decoded(self._read(path, query or (), JSON), kind)

    def text(self, path: str, media_type: str, query: Query | None = None) -> str:
        """A document of another media type, as text."""
        raw = self.content(path, media_type, query)
        try:
            return raw.decode()
        except UnicodeDecodeError as error:
            raise ConnectorError(f"{self.url}: its answer is no text: {error}") from error

    def content(self, path: str, media_type: str, query: Query | None = None) -> bytes:
        """A document of another media type, as it is."""
        return self._read(path, query or (), media_type)

    def items(
        self, path: str, kind: type[Kind], query: Query | None = None, *, most: int | None = None
    ) -> Iterator[Kind]:
        """The items of a list, page after page; most: how many at most."""
        left = most
        asked = (("limit", PAGE if most is None else min(most, PAGE)), *(query or ()))
        raw = self._read(path, asked, JSON)
        seen: set[str] = set()
        while True:
            page = self._decoded(raw, Part)
            for item in page.items[:left]:
                yield self._decoded(bytes(item), kind)
            left = None if left is None else left - len(page.items)
            if page.next is None or (left is not None and left <= 0):
                return
            if page.next in seen or not page.next.startswith("/v1/"):
                raise ConnectorError(f"{self.url}: its list goes on at {page.next!a:.200}, which is no next page")
            seen.add(page.next)
            raw = self._read(page.next, (), JSON)

    def send(self, method: str, path: str, kind: type[Kind], body: object = None) -> Kind:
        """What a change answers. body: what is sent as JSON; nothing where it is None."""
        content = None if body is None else msgspec.json.encode(body)
        return self._decoded(self._write(method, path, content, JSON), kind)

    def upload(self, path: str, kind: type[Kind], content: bytes, media_type: str, query: Query | None = None) -> Kind:
        """What a file answers that was sent as it is."""
        return self._decoded(self._write("POST", path, content, media_type, query), kind)

    def lines(self, path: str, kind: type[Kind], content: bytes, media_type: str) -> Iterator[Kind]:
        """What is answered line by line to what was sent, while it comes."""
        headers = {"Content-Type": media_type, "Accept": JSON_LINES}
        try:
            with self._http.stream("POST", path, content=content, headers=headers) as answer:
                if not answer.is_success:
                    self._good(answer, answer.read())
                for line in _bounded(answer.iter_bytes(), self.url):
                    yield self._decoded(line, kind)
        except httpx.HTTPError as error:
            raise out_of_reach(self.url, error) from error

    def _write(self, method: str, path: str, content: bytes | None, kind: str, query: Query | None = None) -> bytes:
        headers = {} if content is None else {"Content-Type": kind}
        answer, raw = self._once(
            self._http.build_request(method, path, params=_given(query or ()) or None, content=content, headers=headers)
        )
        return self._good(answer, raw)

    def _read(self, path: str, query: Query, media_type: str) -> bytes:
        request = self._http.build_request("GET", path, params=_given(query) or None, headers={"Accept": media_type})
        for _ in range(TRIES - 1):
            answer, raw = self._once(request)
            wait = _retry_after(answer)
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE or wait is None or wait > LONGEST_PAUSE:
                return self._good(answer, raw)
            self._pause(wait)
        return self._good(*self._once(request))

    def _once(self, request: httpx.Request) -> tuple[httpx.Response, bytes]:
        raw = bytearray()
        try:
            answer = self._http.send(request, stream=True)
            try:
                for chunk in answer.iter_bytes():
                    raw += chunk
                    if len(raw) > MAX_ANSWER:
                        raise ConnectorError(f"{self.url}: its answer is over the limit of {MAX_ANSWER} bytes")
            finally:
                answer.close()
        except httpx.HTTPError as error:
            raise out_of_reach(self.url, error) from error
        return answer, bytes(raw)

    def _good(self, answer: httpx.Response, raw: bytes) -> bytes:
        if answer.is_success:
            return raw
        is_ours = answer.headers.get("content-type", "").partition(";")[0] == PROBLEM
        raise refusal(self.url, answer.status_code, raw if is_ours else None, retry_after=_retry_after(answer))

    def _decoded(self, raw: bytes, kind: type[Kind]) -> Kind:
        if kind is type(None):
            return msgspec.convert(None, kind)
        try:
            return msgspec.json.decode(raw, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ConnectorError(
                f"{self.url}: its answer is not what was expected: {error}; are service and client of the same version?"
            ) from error


def _bounded(chunks: Iterator[bytes], url: str) -> Iterator[bytes]:
    """Whole lines without their ends; one that does not end makes no memory full."""
    held = bytearray()
    for chunk in chunks:
        held += chunk
        *whole, rest = held.split(b"\n")
        held = bytearray(rest)
        if len(held) > MAX_ANSWER:
            raise ConnectorError(f"{url}: its answer is over the limit of {MAX_ANSWER} bytes")
        yield from (bytes(line) for line in whole)


def _given(query: Query) -> dict[str, Any]:
    """What of a query was given, as it is sent."""
    kept = {name: value for name, value in query if value is not None}
    return {name: str(value).lower() if isinstance(value, bool) else value for name, value in kept.items()}


def _retry_after(answer: httpx.Response) -> int | None:
    said = answer.headers.get("retry-after", "").strip()
    return int(said) if SECONDS.fullmatch(said) else None
