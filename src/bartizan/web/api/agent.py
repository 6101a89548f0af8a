"""The agents' side of the API (docs/reference/protocol.md): CBOR in, CBOR out, every refusal with what to do next.

Plain ASGI: these few calls are nearly all that the service does, and none of them needs what a framework brings.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

import structlog
from litestar.types import HTTPScope, Receive, Send
from sqlalchemy.exc import SQLAlchemyError

from bartizan.app.service.refusals import InReview, LogsWanted, NonceError
from bartizan.app.service.service import Service
from bartizan.errors import BartizanError, DecodeError, VerifyError
from bartizan.formats.agent_message import (
    MAX_ENROL,
    MAX_MESSAGE,
    MAX_SHORT,
    decode_activate,
    decode_challenge,
    decode_enrol,
    decode_evidence,
)
from bartizan.store.writer import WriterLost
from bartizan.web.api.agent_answers import AT_ONCE, Answer, Unusable, failed, good, refused, waiting
from bartizan.web.api.agent_body import LARGE, Bodies

PREFIX = "/v1/agent/"
CBOR = b"application/cbor"
STORE_BUSY = 5
"""Seconds after which to come back when the database cannot be written."""
log = structlog.get_logger("bartizan.agent")


@dataclass(frozen=True, slots=True)
class _Call:
    """What one path does. most: bytes of its requests."""

    handler: Callable[[bytes], Awaitable[Answer]]
    most: int


@dataclass(slots=True)
class AgentEndpoint:
    """Everything below `/v1/agent/`, as one ASGI application."""

    service: Service
    bodies: Bodies = field(default_factory=Bodies)
    calls: dict[str, _Call] = field(init=False)

    def __post_init__(self) -> None:
        self.calls = {
            "enrol": _Call(self._enrol, MAX_ENROL),
            "activate": _Call(self._activate, MAX_SHORT),
            "challenge": _Call(self._challenge, MAX_SHORT),
            "evidence": _Call(self._evidence, MAX_MESSAGE),
        }

    async def __call__(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            answer = await self._answer(scope, receive)
        except Exception:  # the outermost loop: a bug must not take the connection, or anyone else, with it
            log.exception("bug", path=scope["path"])
            answer = failed(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", "the service failed; its log says how")
        headers = [(b"content-type", CBOR), (b"content-length", str(len(answer.body)).encode())]
        if answer.retry_after is not None:
            headers.append((b"retry-after", str(answer.retry_after).encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body, "more_body": False})

    async def _answer(self, scope: HTTPScope, receive: Receive) -> Answer:
        try:
            call = self._called(scope)
            async with self.bodies.read(receive, most=call.most) as body:
                return await call.handler(body)
        except InReview as review:
            return waiting(review)
        except BartizanError as error:
            return refused(error)
        except (SQLAlchemyError, WriterLost) as error:
            log.error("database", why=str(error))  # noqa: TRY400  the trace says nothing that the words do not
            why = "the database cannot be written"
            return failed(HTTPStatus.SERVICE_UNAVAILABLE, "busy", why, retry_after=STORE_BUSY)

    def _called(self, scope: HTTPScope) -> _Call:
        """Who answers a request, judged by its head.

        Raises:
            Unusable: nobody. Busy: it will be a full attestation, and too many of them wait already.
        """
        name = scope["path"].removeprefix(PREFIX).strip("/")
        call = self.calls.get(name)
        if call is None:
            raise Unusable(HTTPStatus.NOT_FOUND, f"no such call: {', '.join(self.calls)} expected")
        if scope["method"] != "POST":
            raise Unusable(HTTPStatus.METHOD_NOT_ALLOWED, "POST expected")
        headers = dict(scope["headers"])
        if headers.get(b"content-type", b"").partition(b";")[0].strip().lower() != CBOR:
            raise Unusable(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "application/cbor expected")
        size = _declared(headers, most=call.most)
        if name == "evidence" and (size is None or size > LARGE):
            self.service.attesting.storm.check()
        return call

    async def _enrol(self, raw: bytes) -> Answer:
        opened = await self.service.enrolling.enrol(decode_enrol(raw), raw)
        return good(
            {
                "enrolment": opened.enrolment,
                "id_object": opened.id_object,
                "encrypted_secret": opened.encrypted_secret,
                "expires_in": opened.expires_in,
            }
        )

    async def _activate(self, raw: bytes) -> Answer:
        request = decode_activate(raw)
        enrolled = await self.service.enrolling.activate(request.enrolment, request.secret)
        for uid in enrolled.replaced:
            self.service.memory.forget(uid)
        log.info("node enrolled", node=enrolled.record.name, role=enrolled.record.role)
        return good({"node": enrolled.record.uid}, await self.service.attesting.challenge(enrolled.record.uid))

    async def _challenge(self, raw: bytes) -> Answer:
        return good({}, await self.service.attesting.challenge(decode_challenge(raw).node))

    async def _evidence(self, raw: bytes) -> Answer:
        request = decode_evidence(raw)
        attesting = self.service.attesting
        try:
            accepted = await attesting.attest(request)
        except (NonceError, LogsWanted, VerifyError, DecodeError) as error:
            offer = await attesting.refused_offer(request.node, at_once=type(error) in AT_ONCE)
            log.info("attestation refused", node=request.node, why=str(error))
            return refused(error, offer)
        return good({"result": accepted.told}, accepted.offer)


def _declared(headers: Mapping[bytes, bytes], *, most: int) -> int | None:
    """The size that a request announces.

    Raises:
        Unusable: it is over the limit.
    """
    said = headers.get(b"content-length", b"")
    size = int(said) if said.isdigit() and len(said) < 20 else None  # noqa: PLR2004  more digits than a size has
    if size is not None and size > most:
        raise Unusable(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"at most {most} bytes expected, found {size}")
    return size
