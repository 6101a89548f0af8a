"""What nodes sent, read again as it was kept: every part is held against its digest, for disks fail and people edit.

Every function takes the connection of its caller's transaction. A digest has a number behind it while what it is of
seems to be used no more (`sweeping`).
"""

import hashlib
import hmac
import os
import zlib
from array import array
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Row, Table, bindparam, select, update

from bartizan.errors import DecodeError
from bartizan.formats.cbor import decode_cbor
from bartizan.formats.cbor_shape import Fields, Place, many, octets, unsigned
from bartizan.model.cbor import Map
from bartizan.model.node import KeptBoot
from bartizan.model.sealed import KeptState
from bartizan.store.alone import Alone, serially
from bartizan.store.evidence import AT_ONCE, DIGEST_BYTES, entry_digest, list_digest, logs_digest
from bartizan.store.generations import Held, bump
from bartizan.store.parts import in_parts
from bartizan.store.tables import blob, boot, ima_chunk, ima_entry, node_state, result

BLOB_DIGEST_BYTES = 32
NUMBER_BYTES = 8
MAX_UNPACKED = 256 * 1024 * 1024
"""Bytes that anything kept may have: a request has at most a quarter of it."""


_SEALED = (
    select(node_state.c.evidence, node_state.c.posture, node_state.c.sealed, boot.c.id, boot.c.stuck)
    .add_columns(result.c.digest, result.c.document, result.c.last_at, blob.c.digest.label("posture_digest"))
    .join(boot, boot.c.id == node_state.c.boot)
    .join(result, result.c.id == node_state.c.result)
    .outerjoin(blob, blob.c.id == node_state.c.posture)
    .where(node_state.c.node == bindparam("of_node"), node_state.c.sealed.is_not(None))
)


def kept_boot(connection: Connection, node_id: int) -> KeptBoot | None:
    """Everything of a node's present boot; None if nothing was accepted yet.

    Raises:
        DecodeError: it is not what was kept.
    """
    row = _boot_row(connection, node_id)
    if row is None or row.evidence is None:
        return None
    logs = [_content(connection, number) for number in _log_numbers(row)]
    if row.digest is not None and not hmac.compare_digest(row.digest, logs_digest(logs)):
        raise _damaged("kept logs", "other logs than those of this boot")
    boot_log, launch_log, command_line, *others = logs
    return KeptBoot(
        **_quote(row.evidence),
        accepted_at=row.accepted_at,
        posture=_content(connection, row.posture),
        boot_log=boot_log,
        launch_log=launch_log,
        command_line=command_line,
        other_logs=tuple(log for log in others if log is not None),
        ima=_entries(connection, row.id),
        ima_start=row.ima_start,
        stuck=_unpacked(row.stuck, "kept findings"),
    )


def kept_state(connection: Connection, node_id: int) -> KeptState | None:
    """A node's sealed state with what it speaks of; None if there is none.

    Raises:
        DecodeError: it is not what was kept.
    """
    row = connection.execute(_SEALED, {"of_node": node_id}).one_or_none()
    if row is None or row.evidence is None:
        return None
    return KeptState(
        **_quote(row.evidence),
        sealed=row.sealed,
        boot=row.id,
        posture=row.posture,
        posture_digest=row.posture_digest and row.posture_digest[:BLOB_DIGEST_BYTES],
        verdict=row.digest,
        given_at=row.last_at,
        document=_unpacked(row.document, "kept result"),
        stuck=_unpacked(row.stuck, "kept findings"),
    )


def set_aside(connection: Connection, node_id: int) -> int:
    """Make what is damaged in a node's present boot unfindable, so that it is stored anew; returns how many parts.

    If there are any, the node has no present boot then, as if it had not attested yet, and its row has another version:
    no Verifier goes on by what it remembers of it. A damaged posture is the node's no more: a state that named it for
    ever could never be read again.
    """
    row = _boot_row(connection, node_id)
    if row is None:
        return 0
    logs, entries = _damaged_logs(connection, row), _damaged_entries(connection, row.id)
    if not (logs or entries):
        return 0
    state = update(node_state).where(node_state.c.node == node_id)
    connection.execute(state.values(boot=None, version=node_state.c.version + 1))
    connection.execute(state.where(node_state.c.posture.in_(logs)).values(posture=None))
    serially(connection, Alone.CONTENT)
    if entries:
        bump(connection, Held.CONTENT)
    return _lose(connection, blob, logs) + _lose(connection, ima_entry, entries)


def _damaged_logs(connection: Connection, row: Row[Any]) -> list[int]:
    """Numbers of a boot's logs, and of its node's posture, that are not what their digests say."""
    found = list[int]()
    for number in {*_log_numbers(row, strict=False), row.posture} - {None}:
        try:
            _content(connection, number)
        except DecodeError:
            found.append(number)
    return found


def _damaged_entries(connection: Connection, boot_id: int) -> list[int]:
    """The same for the entries of its IMA list."""
    chunks = _chunks(connection, boot_id)
    numbers = {number for chunk in chunks for number in _numbers(chunk.entries, strict=False)}
    rows = _rows(connection, sorted(numbers))
    return [row.id for row in rows if entry_digest(row.content) != row.digest[:DIGEST_BYTES]]


def _lose(connection: Connection, table: Table, numbers: Sequence[int]) -> int:
    """Nobody finds these any more; how many there were. A digest of chance is as long as one that can be found."""
    if not numbers:
        return 0
    size = BLOB_DIGEST_BYTES if table is blob else DIGEST_BYTES
    lost = update(table).where(table.c.id == bindparam("number")).values(digest=bindparam("other"))
    return connection.execute(lost, [{"number": one, "other": os.urandom(size)} for one in numbers]).rowcount


def _boot_row(connection: Connection, node_id: int) -> Row[Any] | None:
    query = (
        select(node_state.c.evidence, node_state.c.accepted_at, node_state.c.posture, boot)
        .join(boot, boot.c.id == node_state.c.boot)
        .where(node_state.c.node == node_id)
    )
    return connection.execute(query).one_or_none()


def _log_numbers(row: Row[Any], *, strict: bool = True) -> list[int | None]:
    """Blob numbers of a boot's logs. strict: others that cannot be read are an error, else there are none."""
    try:
        others = many(unsigned, least=0)(decode_cbor(row.other_logs), Place("kept logs"))
    except DecodeError:
        if strict:
            raise
        others = ()
    return [row.boot_log, row.launch_log, row.command_line, *others]


def _quote(raw: bytes) -> dict[str, Any]:
    """The quote that was accepted last: its members of what is kept."""
    quote = Fields(decode_cbor(raw), Place("kept quote"))
    found = {name: quote.need(name, name, octets) for name in ("attest", "signature", "nonce")}
    return found | {"pcrs": quote.need("pcrs", "pcrs", _pcrs)}


def _pcrs(value: object, place: Place) -> dict[int, bytes]:
    if not isinstance(value, Map):
        raise place.refuse("a map expected")
    return {unsigned(bank, place): octets(values, place) for bank, values in value.items()}


def _entries(connection: Connection, boot_id: int) -> bytes | None:
    """A boot's IMA list in the kernel's binary form."""
    chunks = _chunks(connection, boot_id)
    if not chunks:
        return None
    numbers = [_numbers(chunk.entries) for chunk in chunks]
    contents = {row.id: row.content for row in _rows(connection, sorted({one for some in numbers for one in some}))}
    lists: list[bytes] = []
    held = 0
    for chunk, some in zip(chunks, numbers, strict=True):
        entries = [contents[number] for number in some if number in contents]
        if chunk.first != held or len(entries) != len(some):
            raise _damaged("kept IMA list", f"entries are missing behind entry {held}")
        if chunk.digest is not None and not hmac.compare_digest(chunk.digest, list_digest(entries)):
            raise _damaged("kept IMA list", f"other entries than those kept, from entry {held} on")
        held += len(entries)
        lists.append(b"".join(entries))
    return b"".join(lists)


def _chunks(connection: Connection, boot_id: int) -> Sequence[Row[Any]]:
    return connection.execute(select(ima_chunk).where(ima_chunk.c.boot == boot_id).order_by(ima_chunk.c.first)).all()


def _numbers(raw: bytes, *, strict: bool = True) -> "array[int]":
    if len(raw) % NUMBER_BYTES:
        if strict:
            raise _damaged("kept IMA list", f"a multiple of {NUMBER_BYTES} bytes expected, found {len(raw)}")
        raw = raw[: -(len(raw) % NUMBER_BYTES)]
    numbers = array("q")
    numbers.frombytes(raw)
    return numbers


def _rows(connection: Connection, numbers: Sequence[int]) -> Iterator[Row[Any]]:
    for some in in_parts(numbers, AT_ONCE):
        yield from connection.execute(select(ima_entry).where(ima_entry.c.id.in_(some)))


def _content(connection: Connection, number: int | None) -> bytes | None:
    if number is None:
        return None
    row = connection.execute(select(blob).where(blob.c.id == number)).one_or_none()
    if row is None:
        raise _damaged("kept log", f"number {number} is missing")
    content = _unpacked(row.content, "kept log")
    if not hmac.compare_digest(hashlib.sha256(content).digest(), row.digest[:BLOB_DIGEST_BYTES]):
        raise _damaged("kept log", f"number {number} is not what its digest says")
    return content


def _unpacked(raw: bytes, what: str) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        content = unpacker.decompress(raw, MAX_UNPACKED)
    except zlib.error as error:
        raise _damaged(what, str(error)) from error
    if not unpacker.eof or unpacker.unused_data:
        raise _damaged(what, "the end of compressed bytes expected")
    return content


def _damaged(what: str, why: str) -> DecodeError:
    return DecodeError(what, 0, why)
