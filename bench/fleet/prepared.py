"""A data folder in which the whole fleet is enrolled and has attested once; made once, then kept and copied.

The nodes come in as over HTTP, through the service's own use cases in this process: registered EK, credential
activation, and one full attestation that is verified, judged and kept. Nothing is written around them.
"""

import asyncio
import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path

from sqlalchemy import Engine, create_engine, select

from bartizan.app.service.service import Service, open_service
from bartizan.app.service.settings import Attestation, Settings, Storage
from bartizan.formats.agent_message import decode_enrol, decode_evidence, encode_reply
from bartizan.formats.reference_file import encode_reference
from bartizan.model.reference import ReferenceFile, ReferenceState
from bartizan.store.database import newest_version
from bartizan.store.joining import register_eks
from bartizan.store.rules import Author, add_set
from bartizan.store.tables import node as node_table
from bench.fleet.attester import Node, node
from bench.fleet.shapes import Shapes, update_files
from tests.simulator.attester import Attester, document, message
from tests.simulator.machine import reference

AUTHOR = Author(project=1, account="fleet", now=1)
AT_ONCE = 200
"""Nodes that come in side by side, so that they share transactions."""
KEPT_STATES = 1000
"""Of nodes, in memory while they come in."""
DONE = "fleet.json"
Say = Callable[[str], None]


def names(count: int) -> Iterator[str]:
    """The names of so many nodes."""
    return (f"node-{number:06d}" for number in range(count))


def content(count: int, files: int, new: int) -> str:
    """What names a prepared folder: everything that decides what is in it."""
    said = f"{newest_version()} {count} {files} {new}"
    return f"{count}-{hashlib.sha256(said.encode()).hexdigest()[:12]}"


def reference_of(files: int, new: int) -> bytes:
    """Reference Values for the recorded boot and the update, filled up to so many files."""
    known = reference().set
    update = [
        ReferenceFile(path=path, alg="sha256", digest=hashlib.sha256(data).digest()) for path, data in update_files(new)
    ]
    others = (
        ReferenceFile(
            path=b"/opt/other/%d" % number, alg="sha256", digest=hashlib.sha256(b"other %d" % number).digest()
        )
        for number in range(max(0, files - len(known.files) - len(update)))
    )
    return encode_reference(replace(known, files=(*known.files, *update, *others)))


def prepared(cache: Path, *, count: int, files: int, new: int, say: Say) -> Path:
    """The folder with so many nodes, from the cache or made now."""
    folder = cache / content(count, files, new)
    if (folder / DONE).is_file():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    begun = time.monotonic(), time.process_time()
    asyncio.run(_make(folder, count=count, document=reference_of(files, new), say=say))
    wall, cpu = time.monotonic() - begun[0], time.process_time() - begun[1]
    figures = {"nodes": count, "seconds": wall, "cpu_seconds": cpu}
    (folder / DONE).write_text(json.dumps(figures))
    say(f"{count:,} nodes enrolled and attested once in {wall:.0f} s, {cpu / count * 1e3:.1f} ms CPU each, theirs too")
    return folder


async def _make(folder: Path, *, count: int, document: bytes, say: Say) -> None:
    settings = Settings(
        data=str(folder), attestation=Attestation(full_waiting=AT_ONCE), storage=Storage(states=KEPT_STATES)
    )
    async with open_service(settings) as service:
        await service.write(
            lambda connection: add_set(connection, "fleet", document, ReferenceState.APPROVED, author=AUTHOR)
        )
        await service.read(service.rules.read)
        waiting, done, said = names(count), 0, time.monotonic()
        values: Attester = Attester(name="first")
        pcrs = values.boot.pcrs(values.count)
        while some := list(islice(waiting, AT_ONCE)):
            batch = [Attester(name=name, known_pcrs=pcrs) for name in some]
            rows = [(one.ek.name, one.name, one.role) for one in batch]
            await service.write(lambda connection, rows=rows: register_eks(connection, rows, author=AUTHOR))
            await asyncio.gather(*(_join(service, one) for one in batch))
            done += len(batch)
            if time.monotonic() - said > 10:
                said = time.monotonic()
                say(f"  {done:,} of {count:,} nodes are in")


async def _join(service: Service, node: Attester) -> None:
    """Enrol one node, and attest it in full."""
    raw = message(node.enrol())
    opened = await service.enrolling.enrol(decode_enrol(raw), raw)
    fields = {name: getattr(opened, name) for name in ("enrolment", "id_object", "encrypted_secret")}
    enrolled = await service.enrolling.activate(opened.enrolment, node.activate(fields)["secret"])
    node.uid = enrolled.record.uid
    offer = await service.attesting.challenge(node.uid)
    challenge = document(encode_reply({}, offer))["challenge"]
    await service.attesting.attest(decode_evidence(message(node.evidence(challenge))))


def fleet_in(engine: Engine, shapes: Shapes) -> list[Node]:
    """The attesters of the nodes that a database knows."""
    query = select(node_table.c.uid, node_table.c.name, node_table.c.ek_name, node_table.c.ak_name)
    with engine.connect() as connection:
        rows = connection.execute(query.where(node_table.c.retired_at.is_(None)).order_by(node_table.c.id)).all()
    return [node(row.uid, row.name, ek_name=row.ek_name, ak_name=row.ak_name, shape=shapes.first) for row in rows]


@contextmanager
def looking_at(url: str) -> Iterator[Engine]:
    """The database of a service that runs, to read from."""
    engine = create_engine(url)
    try:
        yield engine
    finally:
        engine.dispose()
