"""A policy change over ten thousand stored nodes: none is asked, each is verified and judged from what is kept."""

import argparse
import asyncio
import resource
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from sqlalchemy import Connection

from bartizan.app.service.service import Service, open_service
from bartizan.app.service.settings import Settings, Storage
from bartizan.formats.agent_message import decode_evidence
from bartizan.formats.ima import decode_ima, encode_entries
from bartizan.formats.reference_file import encode_reference
from bartizan.model.digest import HashAlg
from bartizan.model.reference import ReferenceState
from bartizan.store.evidence import Interning, add_boot, add_entries, encode_quote
from bartizan.store.nodes import NewNode, add_node, attested, set_boot, set_rules
from bartizan.store.rules import Author, add_set
from bench.rounds import nodes
from tests.simulator.attester import Attester, message
from tests.simulator.machine import reference

AUTHOR = Author(project=1, account="bench", now=1)
AT_ONCE = 500


def store_node(
    connection: Connection, interning: Interning, service: Service, node: Attester, entries: list[bytes]
) -> None:
    """A node as it is kept after one full attestation; it was not judged, only written down."""
    now = service.clock()
    new = NewNode(
        uid=f"{node.name:0>32}".replace("-", "0"),
        name=node.name,
        role=node.role,
        project=1,
        ek_name=node.ek.name,
        ak_name=node.ak.name,
        identity=message(node.enrol()),
        registered=True,
        banks=tuple(HashAlg(bank) for bank in sorted(node.boot.static)),
        pinned=HashAlg.SHA256,
        enrolled_by="bench",
    )
    record = add_node(connection, new, now=now.milliseconds, due=now.milliseconds)
    node.uid = record.uid
    request = decode_evidence(message(node.evidence({"nonce": bytes(56)})))
    boot = add_boot(connection, record.id, request.boot, stuck=b"[]", now=now.milliseconds)
    set_boot(connection, record.id, boot)
    set_rules(connection, record.id, bytes(32))
    add_entries(connection, interning, boot, entries, first=0)
    row = {
        "of_node": record.id,
        "accepted": 1,
        "accepted_at": now.milliseconds,
        "nonce_issued": 1,
        "due": now.milliseconds,
        "evidence": encode_quote(request),
        "posture": None,
        "agent": "bench",
        "notes": None,
    }
    connection.execute(attested, row)


async def run(folder: Path, count: int) -> None:
    """Store, change the rules, wait until everybody is judged."""
    settings = Settings(data=str(folder), storage=Storage(states=1000))
    async with open_service(settings) as service:
        fleet, interning = nodes(count), Interning()
        entries = encode_entries(decode_ima(fleet[0].boot.list_bytes()).entries)
        for start in range(0, count, AT_ONCE):
            some = fleet[start : start + AT_ONCE]
            await service.write(
                lambda connection, some=some: [
                    store_node(connection, interning, service, node, entries) for node in some
                ]
            )
        print(f"{count:,} nodes stored; the policy changes", flush=True)
        known = encode_reference(replace(reference().set, name="bench"))
        await service.write(
            lambda connection: add_set(connection, "bench", known, ReferenceState.APPROVED, author=AUTHOR)
        )
        await service.read(service.rules.read)
        wall, cpu = time.perf_counter(), time.process_time()
        task = asyncio.create_task(service.reappraising.reappraise())
        while not task.done():
            await asyncio.wait((task,), timeout=5)
            progress = service.reappraising.progress
            print(f"  {progress.done:,} of {progress.total:,}, {progress.changed:,} with another verdict", flush=True)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{count:,} nodes re-appraised: {wall:.1f} s, CPU {cpu / count * 1e3:.2f} ms each, peak {peak:,.0f} MiB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=10_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bartizan-bench-") as scratch:
        asyncio.run(run(Path(scratch), asked.nodes))
