"""A process that does nothing but accept: rows of its own nodes, again and again, for `bench.replicas`."""

import json
import os
import sys
import time

from bartizan.model.digest import HashAlg
from bartizan.store.accepting import accept
from bartizan.store.accounts import ensure_default_project
from bartizan.store.database import open_database
from bartizan.store.nodes import NewNode, add_node
from bartizan.store.writer import Row

EVIDENCE = 600
"""Bytes of a quote with its PCRs, as they are kept."""


def row(node: int, version: int) -> Row:
    """An acceptance."""
    at = time.time_ns() // 1_000_000
    return {
        "of_node": node,
        "of_version": version,
        "accepted": version + 1,
        "accepted_at": at,
        "nonce_issued": at * 1000,
        "due": at + 60_000,
        "evidence": os.urandom(EVIDENCE),
        "posture": None,
        "agent": "bench",
        "notes": None,
    }


def new_node(name: str) -> NewNode:
    """A node that attests nothing."""
    return NewNode(
        uid=name,
        name=name,
        role="compute",
        project=1,
        ek_name=name.encode(),
        ak_name=name.encode(),
        identity=b"",
        registered=True,
        banks=(HashAlg.SHA256,),
        pinned=HashAlg.SHA256,
        enrolled_by="bench",
    )


def main(url: str, batch: int, count: int, seconds: float, number: str) -> None:
    """Make the nodes, say so, wait for a line, write for so long, say how much, wait for another line."""
    with open_database(url) as engine:
        with engine.begin() as connection:
            ensure_default_project(connection)
            mine = [
                add_node(connection, new_node(f"{os.getpid()}-{number}-{one}"), now=0, due=0).id for one in range(count)
            ]
        print(json.dumps({"made": count}), flush=True)
        sys.stdin.readline()
        end, written, versions = time.monotonic() + seconds, 0, dict.fromkeys(mine, 0)
        while time.monotonic() < end:
            some = [mine[(written + at) % count] for at in range(batch)]
            with engine.begin() as connection:
                assert not any(accept(connection, [row(node, versions[node]) for node in some]))
            for node in some:
                versions[node] += 1
            written += batch
        print(json.dumps({"written": written}), flush=True)
        sys.stdin.readline()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]), sys.argv[5])
