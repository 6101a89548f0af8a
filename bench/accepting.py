"""A process that does nothing but accept: rows of its own nodes, again and again, for `bench.replicas`."""

import json
import os
import sys
import time

from sqlalchemy import Engine

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


def written(engine: Engine, versions: dict[int, int], batch: int, seconds: float) -> int:
    """Acceptances within so many seconds, so many a transaction. versions: of each node; they go on."""
    mine, end, done = list(versions), time.monotonic() + seconds, 0
    while time.monotonic() < end:
        some = [mine[(done + at) % len(mine)] for at in range(batch)]
        with engine.begin() as connection:
            assert not any(accept(connection, [row(node, versions[node]) for node in some]))
        for node in some:
            versions[node] += 1
        done += batch
    return done


def main(url: str, count: int, seconds: float, number: str) -> None:
    """Make the nodes, say so; each line of input has the size of a transaction and is answered by how many came."""
    with open_database(url) as engine:
        with engine.begin() as connection:
            ensure_default_project(connection)
            made = [add_node(connection, new_node(f"{number}-{one}"), now=0, due=0).id for one in range(count)]
        print(json.dumps({"made": count}), flush=True)
        versions = dict.fromkeys(made, 0)
        for line in sys.stdin:
            print(json.dumps({"written": written(engine, versions, int(line), seconds)}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4])
