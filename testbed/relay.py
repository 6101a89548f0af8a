"""One connection of a guest, from QEMU's pipe to a port on loopback; QEMU starts one of these for each."""

import os
import select
import socket
import sys

CHUNK = 65536


def relay(port: int) -> None:
    """Pass everything on until one side ends."""
    with socket.create_connection(("127.0.0.1", port)) as service:
        while True:
            ready, _, _ = select.select([0, service.fileno()], [], [])
            if 0 in ready:
                part = os.read(0, CHUNK)
                if not part:
                    return
                service.sendall(part)
            if service.fileno() in ready:
                part = service.recv(CHUNK)
                if not part:
                    return
                while part:
                    part = part[os.write(1, part) :]


if __name__ == "__main__":
    relay(int(sys.argv[1]))
