"""Software nodes that attest one right after the other, with no connection idle: the load of `bench.replicas`.

Told by lines on standard input to work (`on`), to say what has been accepted so far (`count`) and to rest (`off`), so
that whoever writes them measures in the midst of the load, without its first and last moments. Each is answered by a
line; with the end of the input the process ends.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.rounds import Load, nodes
from tests.simulator.attester import Attester, message


@dataclass
class Steady:
    """A fleet over so many connections, each of which has its own nodes."""

    load: Load
    connections: int
    _ended: asyncio.Event = field(default_factory=asyncio.Event)
    _work: Sequence["asyncio.Task[None]"] = ()

    async def tell(self, word: str) -> dict[str, Any]:
        """Do as told; what has been accepted since the beginning, and the moment in seconds."""
        if word == "on":
            self._ended.clear()
            shares = (self.load.nodes[start :: self.connections] for start in range(self.connections))
            self._work = [asyncio.create_task(self._attest(share)) for share in shares if share]
        elif word == "off":
            self._ended.set()
            await asyncio.gather(*self._work)
        return {"accepted": len(self.load.latencies), "at": time.monotonic()}

    async def _attest(self, share: Sequence[Attester]) -> None:
        connection = await self.load.connect()
        while not self._ended.is_set():
            for node in share:
                await self.load.attest(connection, node, message(node.evidence(self.load.challenges[node.name])))
        connection.writer.close()


async def run(steady: Steady) -> None:
    """Enrol, say so, then one answer for each line."""
    await steady.load.enrol()
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    said = "enrolled"
    while said:
        print(json.dumps(await steady.tell(said)), flush=True)
        said = (await lines.readline()).decode().strip()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for name in ("port", "nodes", "connections"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--first", type=int, default=0, help="number of the first node")
    asked = parser.parse_args()
    asyncio.run(run(Steady(Load(nodes(asked.nodes, asked.first), asked.port), asked.connections)))
