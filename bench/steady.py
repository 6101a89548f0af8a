"""Software nodes that attest one right after the other, with no connection idle: the load of `bench.replicas`.

It begins with the first line on standard input and answers each other one with what has been accepted by then, so that
whoever writes the lines measures in the midst of the load, without its first and last moments.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence

from bench.rounds import Connection, Load, nodes
from tests.simulator.attester import Attester, message


async def attest(load: Load, connection: Connection, some: Sequence[Attester]) -> None:
    """These nodes over and over, one at a time."""
    while True:
        for node in some:
            await load.attest(connection, node, message(node.evidence(load.challenges[node.name])))


async def run(load: Load, connections: int) -> None:
    """Enrol, say so, begin when told to, report when asked, end with standard input."""
    await load.enrol()
    some = [await load.connect() for _ in range(connections)]
    print(json.dumps({"enrolled": len(load.nodes)}), flush=True)
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    if not await lines.readline():
        return
    work = [
        asyncio.create_task(attest(load, connection, load.nodes[number::connections]))
        for number, connection in enumerate(some)
    ]
    while await lines.readline():
        print(json.dumps({"accepted": len(load.latencies), "at": time.monotonic()}), flush=True)
    for task in work:
        task.cancel()
    await asyncio.gather(*work, return_exceptions=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for name in ("port", "nodes", "connections"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--first", type=int, default=0, help="number of the first node")
    asked = parser.parse_args()
    asyncio.run(run(Load(nodes(asked.nodes, asked.first), asked.port), asked.connections))
