"""A service in a process of its own with little patience: `slow_server.py FOLDER EK-NAME…`. Not a test.

It says its port when it is ready, and that it has ended in order when it has.
"""

import asyncio
import sys
from pathlib import Path

from bartizan.app.service.service import open_service
from bartizan.app.service.settings import Settings
from bartizan.store.joining import register_eks
from bartizan.store.rules import Author
from bartizan.web import server
from bartizan.web.api import agent_body
from bartizan.web.app import create_app

PATIENCE = 0.5


def say(what: object) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


async def main(folder: Path, names: list[str]) -> None:
    server.HEADER_SECONDS = server.BODY_SECONDS = server.KEEP_ALIVE = PATIENCE
    agent_body.BODY_SECONDS = PATIENCE / 2
    if (folder / "patient").exists():
        server.BODY_SECONDS = server.KEEP_ALIVE = server.HEADER_SECONDS = agent_body.BODY_SECONDS = 30
    if (folder / "crowded").exists():
        server.BODY_SECONDS = server.KEEP_ALIVE = server.HEADER_SECONDS = agent_body.BODY_SECONDS = 30
        server.CROWDED, server.CROWDED_KEEP_ALIVE = 3, PATIENCE
    rows = [(bytes.fromhex(name), f"n{number}", "compute") for number, name in enumerate(names)]
    with server.listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        async with open_service(Settings(data=str(folder))) as service:
            author = Author(project=1, account="tester", now=0)
            await service.write(lambda connection: register_eks(connection, rows, author=author))
            made = server.server_for(create_app(service), tls=None)
            with server.stopped_by_signals(made):
                await server.serve(made, listener, ready=lambda: say(port))
    say("ended")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2:]))
