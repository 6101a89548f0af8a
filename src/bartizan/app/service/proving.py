"""After a start, nodes go on from what was sealed of them; meanwhile what is kept of each is proved again, bit by bit.

So damage is found before the evidence is needed, and a restart with a large fleet is no storm.
"""

import asyncio
import time
from dataclasses import dataclass

import structlog

from bartizan.app.service.states import States

SHARE = 20
"""It takes this part of one core at most."""
PAUSE = 1.0
"""Seconds after what could not be read."""
log = structlog.get_logger("bartizan.proving")


@dataclass(slots=True, kw_only=True)
class Proving:
    """The use case."""

    states: States

    async def run(self) -> None:
        """Prove what is kept of every node that went on from a seal, until cancelled."""
        while True:
            uid = await self.states.unproved.get()
            begun = time.monotonic()
            try:
                await self.prove(uid)
            except Exception:  # the outermost loop: what stops one node must not stop the next
                log.exception("kept evidence could not be proved; it is tried again", node=uid)
                self.states.unproved.put_nowait(uid)
                await asyncio.sleep(PAUSE)
            await asyncio.sleep((time.monotonic() - begun) * (SHARE - 1))

    async def prove(self, uid: str) -> None:
        """Verify and judge what is kept of a node once more, unless that was done meanwhile."""
        node = self.states.memory.find(uid)
        if node is None:
            return
        async with node.lock:
            if node.state is not None and not node.proved:
                await self.states.prove(node)
            node.waits = False
