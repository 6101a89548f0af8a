"""What nodes sent, kept so that it can be judged again: logs and IMA entries once each, however many nodes share them.

Every function takes the connection of its caller's transaction and runs in the writer's thread alone, for that is who
remembers which IMA entries are stored already. Reading it again is `bartizan.store.kept`.
"""

import hashlib
import zlib
from array import array
from collections.abc import Sequence

from sqlalchemy import Connection, delete, insert, select, update

from bartizan.formats.cbor import encode_cbor
from bartizan.model.protocol import EvidenceRequest, SentBoot
from bartizan.store.alone import Alone, together
from bartizan.store.content import add_missing
from bartizan.store.generations import Held, generation_of
from bartizan.store.parts import in_parts
from bartizan.store.tables import blob, boot, ima_chunk, ima_entry

DIGEST_BYTES = 16
"""Of an IMA entry's SHA-256: 2^64 entries before two of them collide by chance; a list has a whole one of its own."""
AT_ONCE = 500
"""Digests in one look-up."""
REMEMBERED = 1_000_000
"""IMA entries whose number is remembered: about 150 bytes each."""
NO_FINDINGS = zlib.compress(b"[]")


def entry_digest(entry: bytes) -> bytes:
    """What an IMA entry is known by."""
    return hashlib.sha256(entry).digest()[:DIGEST_BYTES]


class Interning:
    """The numbers of IMA entries that are stored already, as far as they are remembered."""

    def __init__(self) -> None:
        self._known: dict[bytes, int] = {}
        self._generation = 0

    def forget(self) -> None:
        """A transaction was rolled back: numbers given in it mean nothing."""
        self._known.clear()

    def numbers(self, connection: Connection, entries: Sequence[bytes]) -> bytes:
        """The numbers of these entries in their order, 8 bytes little-endian each; new ones are stored."""
        self._agree(connection)
        digests = [entry_digest(entry) for entry in entries]
        contents = dict(zip(digests, entries, strict=True))
        if len(self._known) > REMEMBERED:
            self._known.clear()
        self._look_up(connection, [digest for digest in contents if digest not in self._known])
        new = [digest for digest in contents if digest not in self._known]
        if new:
            add_missing(connection, ima_entry, {digest: contents[digest] for digest in new})
            self._look_up(connection, new)
        return array("q", (self._known[digest] for digest in digests)).tobytes()

    def _agree(self, connection: Connection) -> None:
        """Nobody drops entries from here to the end of the transaction; what was dropped before is forgotten."""
        together(connection, Alone.CONTENT)
        generation = generation_of(connection, Held.CONTENT)
        if generation != self._generation:
            self.forget()
            self._generation = generation

    def _look_up(self, connection: Connection, digests: Sequence[bytes]) -> None:
        for some in in_parts(digests, AT_ONCE):
            found = connection.execute(select(ima_entry.c.digest, ima_entry.c.id).where(ima_entry.c.digest.in_(some)))
            self._known.update((digest, number) for digest, number in found)


def add_boot(
    connection: Connection, node_id: int, sent: SentBoot | None, *, stuck: bytes, now: int, ima_start: int = 0
) -> int:
    """A new boot of a node, with its logs; returns its number. stuck: JSON; ima_start: where the node's list begins."""
    row = _boot_row(connection, sent or SentBoot(), stuck) | {"node": node_id, "seen_at": now, "ima_start": ima_start}
    return int(connection.execute(insert(boot).values(row).returning(boot.c.id)).scalar_one())


def replace_boot(connection: Connection, boot_id: int, sent: SentBoot, *, stuck: bytes, ima_start: int = 0) -> None:
    """The same boot with all its logs sent once more: they stand instead of those before, without its IMA entries."""
    row = _boot_row(connection, sent, stuck) | {"ima_start": ima_start}
    connection.execute(update(boot).where(boot.c.id == boot_id).values(row))
    connection.execute(delete(ima_chunk).where(ima_chunk.c.boot == boot_id))


def _boot_row(connection: Connection, sent: SentBoot, stuck: bytes) -> dict[str, object]:
    logs = (sent.boot_log, sent.launch_log, sent.command_line, *sent.other_boot_logs)
    return {
        "boot_log": _blob(connection, sent.boot_log),
        "launch_log": _blob(connection, sent.launch_log),
        "command_line": _blob(connection, sent.command_line),
        "other_logs": encode_cbor([_blob(connection, log) for log in sent.other_boot_logs]),
        "digest": logs_digest(logs),
        "stuck": zlib.compress(stuck),
    }


def logs_digest(logs: Sequence[bytes | None]) -> bytes:
    """What all logs of a boot together are known by."""
    each = [b"" if log is None else hashlib.sha256(log).digest() for log in logs]
    return hashlib.sha256(encode_cbor(each)).digest()


def set_stuck(connection: Connection, boot_id: int, stuck: bytes) -> None:
    """Remember contraindicated findings that a boot's kept evidence would not show again."""
    connection.execute(update(boot).where(boot.c.id == boot_id).values(stuck=zlib.compress(stuck)))


def add_entries(
    connection: Connection, interning: Interning, boot_id: int, entries: Sequence[bytes], *, first: int
) -> None:
    """IMA entries of a boot, from index `first` on."""
    numbers = interning.numbers(connection, entries)
    row = {"boot": boot_id, "first": first, "entries": numbers, "digest": list_digest(entries)}
    connection.execute(insert(ima_chunk).values(row))


def list_digest(entries: Sequence[bytes]) -> bytes:
    """What some entries in their order are known by."""
    return hashlib.sha256(b"".join(entries)).digest()


def add_posture(connection: Connection, posture: bytes | None) -> int | None:
    """The number of a posture document; it is stored once, however often it comes."""
    return _blob(connection, posture)


def encode_quote(request: EvidenceRequest) -> bytes:
    """The quote of an accepted attestation, with all that is needed to verify it once more."""
    return encode_cbor(
        {
            "attest": request.attest,
            "signature": request.signature,
            "pcrs": dict(request.pcrs),
            "nonce": request.nonce,
        }
    )


def _blob(connection: Connection, content: bytes | None) -> int | None:
    if content is None:
        return None
    digest = hashlib.sha256(content).digest()
    together(connection, Alone.CONTENT)
    query = select(blob.c.id).where(blob.c.digest == digest)
    known = connection.execute(query).scalar_one_or_none()
    if known is None:
        add_missing(connection, blob, {digest: zlib.compress(content, 1)})
        known = connection.execute(query).scalar_one()
    return int(known)
