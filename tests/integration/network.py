"""A way to the database through a network namespace, which can be cut as a cable is: packets vanish, nobody is told.

Needs root. A relay in the namespace takes connections on its address and hands them to the server's Unix socket.
"""

import asyncio
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

CHUNK = 64 * 1024
PORT = 5432
ROOT = Path(__file__).parents[2]


def may() -> bool:
    """This process may make namespaces."""
    return os.geteuid() == 0


class Cable:
    """One namespace with one address. number: which of them, below 64."""

    def __init__(self, socket: Path, number: int) -> None:
        self.port = PORT
        self.host = f"10.231.{number}.2"
        self._near, self._far, self._space = (f"bz{number}{end}{os.getpid() % 10_000}" for end in "nfs")
        _ip("netns", "add", self._space)
        _ip("link", "add", self._near, "type", "veth", "peer", "name", self._far, "netns", self._space)
        _ip("addr", "add", f"10.231.{number}.1/30", "dev", self._near)
        _ip("link", "set", self._near, "up")
        _ip("-n", self._space, "addr", "add", f"{self.host}/30", "dev", self._far)
        _ip("-n", self._space, "link", "set", self._far, "up")
        relay = [sys.executable, "-m", "tests.integration.network", self.host, str(self.port), str(socket)]
        self._relay = subprocess.Popen(
            ["ip", "netns", "exec", self._space, *relay], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert self._relay.stdout is not None
        assert self._relay.stdout.readline() == "ready\n"

    def cut(self) -> None:
        """Pull the cable at its far end."""
        _ip("-n", self._space, "link", "set", self._far, "down")

    def mend(self) -> None:
        """Put it back."""
        _ip("-n", self._space, "link", "set", self._far, "up")

    def close(self) -> None:
        """The namespace and all in it is gone."""
        self._relay.terminate()
        self._relay.wait()
        assert self._relay.stdout is not None
        self._relay.stdout.close()
        _ip("link", "del", self._near)
        _ip("netns", "del", self._space)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


async def _relay(host: str, port: int, socket: str) -> None:
    async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            far_reader, far_writer = await asyncio.open_unix_connection(socket)
            await asyncio.gather(_pass(reader, far_writer), _pass(far_reader, writer))
        writer.close()

    server = await asyncio.start_server(join, host, port)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await server.serve_forever()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while part := await reader.read(CHUNK):
            writer.write(part)
            await writer.drain()
    writer.close()


if __name__ == "__main__":
    asyncio.run(_relay(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
