"""Bodies of agents' requests: in time, within a limit each, and within one for all that are held at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
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

    @asynccontextmanager
    async def read(self, receive: Receive, *, most: int) -> AsyncIterator[bytes]:
        """A request's body of at most so many bytes; it takes room until the block ends.

        Raises:
            Unusable: it is too large or too slow, or the sender went away. Busy: there is no room for it.
        """
        parts: list[bytes] = []
        size = held = 0
        try:
            async with _patience():
                async for part in _parts(receive):
                    parts.append(part)
                    size += len(part)
                    if size > most:
                        raise Unusable(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"at most {most} bytes expected")
                    if size > LARGE:
                        self._take(size - held)
                        held = size
            yield parts[0] if len(parts) == 1 else b"".join(parts)
        finally:
            self.room += held

    def _take(self, size: int) -> None:
        if size > self.room:
            raise Busy("too many large requests are held already", retry_after=ROOM_BUSY)
        self.room -= size


@asynccontextmanager
async def _patience() -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(BODY_SECONDS):
            yield
    except TimeoutError as error:
        why = f"the whole request within {BODY_SECONDS:g} s expected"
        raise Unusable(HTTPStatus.REQUEST_TIMEOUT, why) from error


async def _parts(receive: Receive) -> AsyncIterator[bytes]:
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise Unusable(HTTPStatus.BAD_REQUEST, "the sender went away")
        yield message["body"]
        more = message.get("more_body", False)
