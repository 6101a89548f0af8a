"""Bodies of agents' requests: in time, within a limit each, and within one for all that are held at once."""

import asyncio
from dataclasses import dataclass
from http import HTTPStatus

from litestar.types import Receive

from bartizan.app.service.refusals import Busy
from bartizan.web.api.agent_answers import Unusable

BODY_SECONDS = 60.0
"""Patience with a request's body."""
LARGE = 64 * 1024
"""Bytes from which a request is taken for a full attestation; what is beyond them counts against the room."""
ROOM = 512 * 1024 * 1024
"""Bytes of large requests that are held at once; small ones always have room."""
ROOM_BUSY = 10
"""Seconds after which to come back when there is no room."""


@dataclass(slots=True)
class Bodies:
    """Reads bodies. room: bytes that large ones may still take."""

    room: int = ROOM

    def read(self, receive: Receive, *, most: int) -> "Body":
        """A request's body of at most so many bytes; it takes room until the block ends.

        Entering raises:
            Unusable: it is too large or too slow, or the sender went away. Busy: there is no room for it.
        """
        return Body(self, receive, most)


class Body:
    """One body, as long as it is held."""

    __slots__ = ("_bodies", "_held", "_most", "_receive")

    def __init__(self, bodies: Bodies, receive: Receive, most: int) -> None:
        self._bodies = bodies
        self._receive = receive
        self._most = most
        self._held = 0

    async def __aenter__(self) -> bytes:
        try:
            async with asyncio.timeout(BODY_SECONDS):
                return await self._whole()
        except TimeoutError as error:
            self._let_go()
            why = f"the whole request within {BODY_SECONDS:g} s expected"
            raise Unusable(HTTPStatus.REQUEST_TIMEOUT, why) from error
        except BaseException:
            self._let_go()
            raise

    async def __aexit__(self, *_: object) -> None:
        self._let_go()

    async def _whole(self) -> bytes:
        parts: list[bytes] = []
        size, more = 0, True
        while more:
            message = await self._receive()
            if message["type"] != "http.request":
                raise Unusable(HTTPStatus.BAD_REQUEST, "the sender went away")
            parts.append(message["body"])
            size += len(parts[-1])
            if size > self._most:
                raise Unusable(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"at most {self._most} bytes expected")
            if size > LARGE:
                self._take(size - self._held)
            more = message.get("more_body", False)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _take(self, size: int) -> None:
        if size > self._bodies.room:
            raise Busy("too many large requests are held already", retry_after=ROOM_BUSY)
        self._bodies.room -= size
        self._held += size

    def _let_go(self) -> None:
        self._bodies.room += self._held
        self._held = 0
