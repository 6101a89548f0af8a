"""What nodes sent, kept so that it can be judged again: logs and IMA entries once each, however many nodes share them.

Every function takes the connection of its caller's transaction; those that write run in the writer's thread alone, for
they remember which IMA entries are stored already.
"""

import hashlib
import zlib
from array import array
from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, Table, insert, select, update

from bartizan.formats.cbor import decode_cbor, encode_cbor
from bartizan.formats.cbor_shape import Fields, Place, many, octets, unsigned
from bartizan.model.cbor import Map
from bartizan.model.node import KeptBoot
from bartizan.model.protocol import EvidenceRequest, SentBoot
from bartizan.store.tables import blob, boot, ima_chunk, ima_entry, node_state

DIGEST_BYTES = 16
"""Of an IMA entry's SHA-256: 2^64 entries before two of them collide by chance, and both are looked up by content."""
AT_ONCE = 500
"""Digests in one look-up."""
REMEMBERED = 1_000_000
"""IMA entries whose number is remembered: about 150 bytes each."""
NO_FINDINGS = zlib.compress(b"[]")


class Interning:
    """The numbers of IMA entries that are stored already, as far as they are remembered."""

    def __init__(self) -> None:
        self._known: dict[bytes, int] = {}

    def forget(self) -> None:
        """A transaction was rolled back: numbers given in it mean nothing."""
        self._known.clear()

    def numbers(self, connection: Connection, entries: Sequence[bytes]) -> bytes:
        """The numbers of these entries in their order, 8 bytes little-endian each; new ones are stored."""
        digests = [hashlib.sha256(entry).digest()[:DIGEST_BYTES] for entry in entries]
        contents = dict(zip(digests, entries, strict=True))
        if len(self._known) > REMEMBERED:
            self._known.clear()
        self._look_up(connection, [digest for digest in contents if digest not in self._known])
        new = [digest for digest in contents if digest not in self._known]
        if new:
            rows = [{"digest": digest, "content": contents[digest]} for digest in new]
            connection.execute(insert(ima_entry), rows)
            self._look_up(connection, new)
        return array("q", (self._known[digest] for digest in digests)).tobytes()

    def _look_up(self, connection: Connection, digests: Sequence[bytes]) -> None:
        for start in range(0, len(digests), AT_ONCE):
            some = digests[start : start + AT_ONCE]
            found = connection.execute(select(ima_entry.c.digest, ima_entry.c.id).where(ima_entry.c.digest.in_(some)))
            self._known.update((digest, number) for digest, number in found)


def add_boot(connection: Connection, node_id: int, sent: SentBoot | None, *, stuck: bytes, now: int) -> int:
    """A new boot of a node, with its logs; returns its number. stuck: JSON."""
    sent = sent or SentBoot()
    others = [_blob(connection, log) for log in sent.other_boot_logs]
    row = {
        "node": node_id,
        "seen_at": now,
        "boot_log": _blob(connection, sent.boot_log),
        "launch_log": _blob(connection, sent.launch_log),
        "command_line": _blob(connection, sent.command_line),
        "other_logs": encode_cbor(others),
        "stuck": zlib.compress(stuck),
    }
    return int(connection.execute(insert(boot).values(row).returning(boot.c.id)).scalar_one())


def set_stuck(connection: Connection, boot_id: int, stuck: bytes) -> None:
    """Remember contraindicated findings that a boot's kept evidence would not show again."""
    connection.execute(update(boot).where(boot.c.id == boot_id).values(stuck=zlib.compress(stuck)))


def add_entries(
    connection: Connection, interning: Interning, boot_id: int, entries: Sequence[bytes], *, first: int
) -> None:
    """IMA entries of a boot, from index `first` on."""
    numbers = interning.numbers(connection, entries)
    connection.execute(insert(ima_chunk).values(boot=boot_id, first=first, entries=numbers))


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


def kept_boot(connection: Connection, node_id: int) -> KeptBoot | None:
    """Everything of a node's present boot; None if nothing was accepted yet."""
    query = (
        select(node_state.c.evidence, node_state.c.accepted_at, node_state.c.posture, boot)
        .join(boot, boot.c.id == node_state.c.boot)
        .where(node_state.c.node == node_id)
    )
    row = connection.execute(query).one_or_none()
    if row is None or row.evidence is None:
        return None
    quote = Fields(decode_cbor(row.evidence), Place("kept quote"))
    others = many(unsigned, least=0)(decode_cbor(row.other_logs), Place("kept logs"))
    return KeptBoot(
        attest=quote.need("attest", "attest", octets),
        signature=quote.need("signature", "signature", octets),
        pcrs=quote.need("pcrs", "pcrs", _pcrs),
        nonce=quote.need("nonce", "nonce", octets),
        accepted_at=row.accepted_at,
        posture=_content(connection, row.posture),
        boot_log=_content(connection, row.boot_log),
        launch_log=_content(connection, row.launch_log),
        command_line=_content(connection, row.command_line),
        other_logs=tuple(found for found in (_content(connection, number) for number in others) if found is not None),
        ima=_entries(connection, row.id),
        stuck=zlib.decompress(row.stuck),
    )


def _pcrs(value: object, place: Place) -> dict[int, bytes]:
    if not isinstance(value, Map):
        raise place.refuse("a map expected")
    return {unsigned(bank, place): octets(values, place) for bank, values in value.items()}


def _entries(connection: Connection, boot_id: int) -> bytes | None:
    """A boot's IMA list in the kernel's binary form."""
    query = select(ima_chunk.c.entries).where(ima_chunk.c.boot == boot_id).order_by(ima_chunk.c.first)
    chunks = connection.execute(query).scalars().all()
    if not chunks:
        return None
    numbers = array("q")
    for chunk in chunks:
        numbers.frombytes(chunk)
    contents = dict(_rows(connection, ima_entry, sorted(set(numbers))))
    return b"".join([contents[number] for number in numbers])


def _rows(connection: Connection, table: Table, numbers: Sequence[int]) -> Iterable[tuple[int, bytes]]:
    for start in range(0, len(numbers), AT_ONCE):
        some = numbers[start : start + AT_ONCE]
        found = connection.execute(select(table.c.id, table.c.content).where(table.c.id.in_(some))).all()
        yield from ((row.id, row.content) for row in found)


def _blob(connection: Connection, content: bytes | None) -> int | None:
    if content is None:
        return None
    digest = hashlib.sha256(content).digest()
    known = connection.execute(select(blob.c.id).where(blob.c.digest == digest)).scalar_one_or_none()
    if known is not None:
        return int(known)
    row = {"digest": digest, "content": zlib.compress(content, 1)}
    return int(connection.execute(insert(blob).values(row).returning(blob.c.id)).scalar_one())


def _content(connection: Connection, number: int | None) -> bytes | None:
    if number is None:
        return None
    return zlib.decompress(connection.execute(select(blob.c.content).where(blob.c.id == number)).scalar_one())
