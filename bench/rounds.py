"""Software nodes that speak the true protocol over HTTP, as fast as it answers: the load of `bench.service`."""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.simulator.attester import Attester, Document, document, message
from tests.simulator.live_boot import live

HOST = "127.0.0.1"


@dataclass
class Connection:
    """One keep-alive connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def call(self, name: str, body: bytes) -> tuple[int, bytes]:
        """One request and its answer."""
        head = f"POST /v1/agent/{name} HTTP/1.1\r\nhost: x\r\ncontent-type: application/cbor\r\ncontent-length: "
        self.writer.write(head.encode() + str(len(body)).encode() + b"\r\n\r\n" + body)
        answer = await self.reader.readuntil(b"\r\n\r\n")
        status = int(answer[9:12])
        size = next(int(line[15:]) for line in answer.split(b"\r\n") if line.lower().startswith(b"content-length:"))
        return status, await self.reader.readexactly(size)


@dataclass
class Load:
    """Nodes and their challenges; latencies in seconds."""

    nodes: list[Attester]
    port: int
    challenges: dict[str, Document] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)

    async def connect(self) -> Connection:
        """A connection to the service."""
        return Connection(*await asyncio.open_connection(HOST, self.port))

    async def enrol(self) -> None:
        """Enrol every node and attest it in full."""
        connection = await self.connect()
        for node in self.nodes:
            opened = await self._good(connection, "enrol", node.enrol())
            enrolled = await self._good(connection, "activate", node.activate(opened))
            node.uid = enrolled["node"]
            answer = await self._good(connection, "evidence", node.evidence(enrolled["challenge"]))
            self.challenges[node.name] = answer["challenge"]
        connection.writer.close()

    async def round(self, connections: Sequence[Connection]) -> float:
        """Every node once, prepared beforehand; returns the seconds it took."""
        prepared = [(node, message(node.evidence(self.challenges[node.name]))) for node in self.nodes]
        begun = time.perf_counter()
        share = [prepared[start :: len(connections)] for start in range(len(connections))]
        await asyncio.gather(*(self._work(*pair) for pair in zip(connections, share, strict=True)))
        return time.perf_counter() - begun

    async def _work(self, connection: Connection, share: Sequence[tuple[Attester, bytes]]) -> None:
        for node, body in share:
            await self.attest(connection, node, body)

    async def attest(self, connection: Connection, node: Attester, body: bytes) -> None:
        """Send evidence, which has to be accepted."""
        begun = time.perf_counter()
        status, raw = await connection.call("evidence", body)
        self.latencies.append(time.perf_counter() - begun)
        if status != 200:
            raise SystemExit(f"{node.name}: {status} {document(raw)}")
        self.challenges[node.name] = document(raw)["challenge"]

    async def _good(self, connection: Connection, name: str, body: Document) -> Document:
        status, raw = await connection.call(name, message(body))
        if status != 200:
            raise SystemExit(f"{name}: {status} {document(raw)}")
        return document(raw)


def nodes(count: int, first: int = 0) -> list[Attester]:
    """So many nodes of the same boot; first: the number of the first."""
    boot = live("good")
    values = boot.pcrs(len(boot.entries))
    found = [Attester(name=f"node-{number:05d}", boot=boot) for number in range(first, first + count)]
    for node in found:
        node.known_pcrs = values
    return found


async def run(port: int, some: list[Attester], rounds: int, connections: int) -> None:
    """Enrol, say so, then one round for each line on standard input."""
    load = Load(some, port)
    await load.enrol()
    some = [await load.connect() for _ in range(connections)]
    print(json.dumps({"enrolled": len(some)}), flush=True)
    loop = asyncio.get_running_loop()
    for _ in range(rounds):
        await loop.run_in_executor(None, sys.stdin.readline)
        load.latencies.clear()
        seconds = await load.round(some)
        ordered = sorted(load.latencies)
        report = {"seconds": seconds, "p50": ordered[len(ordered) // 2], "p99": ordered[len(ordered) * 99 // 100]}
        print(json.dumps(report), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for name in ("port", "nodes", "rounds", "connections"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--first", type=int, default=0, help="number of the first node")
    asked = parser.parse_args()
    asyncio.run(run(asked.port, nodes(asked.nodes, asked.first), asked.rounds, asked.connections))
