"""Bytes that are stored once, by their digest, and that nothing refers to any more: found and dropped in short steps.

Nodes attest while they are looked for: what nothing referred to a moment ago may be wanted again. So what seems unused
is first hidden, then looked for once more, and only then dropped:

(1) read, page by page, what there is and what is referred to; what is left over is suspected;
(2) hide the suspects: with their number behind their digest nobody finds them, so that no new reference to them begins.
    Whoever is in the middle of a transaction is waited for, and who remembers their numbers is told to forget them;
(3) read once more what is referred to: whatever came to refer to a suspect before it was hidden is seen by now;
(4) give the digests back to those that are, unless the same bytes were stored anew meanwhile;
(5) drop the others.

A sweep may end anywhere. What stays hidden can be read where it is used, and is suspected again where it is not. One
sweep goes on at a time: its caller sees to that, by the fencing number of a lease. Every function takes the connection
of its caller's transaction and is one step.
"""

from array import array
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, bindparam, delete, func, select, tuple_, update

from bartizan.formats.cbor import decode_cbor
from bartizan.formats.cbor_shape import Place, many, unsigned
from bartizan.store.alone import Alone, serially
from bartizan.store.evidence import DIGEST_BYTES
from bartizan.store.generations import Held, bump
from bartizan.store.kept import BLOB_DIGEST_BYTES, NUMBER_BYTES
from bartizan.store.tables import blob, boot, ima_chunk, ima_entry, node_state

AT_ONCE = 500
"""Rows with references read, or rows written, in one step."""
NUMBERS_AT_ONCE = 20_000
"""Numbers read in one step."""
Key = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Referring:
    """Rows that refer to what is swept, read in the order of `key`. named: the numbers that the columns name."""

    key: tuple[ColumnElement[int], ...]
    columns: tuple[ColumnElement[Any], ...]
    named: Callable[[Sequence[Any]], Collection[int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What is swept. size: bytes of a digest that can be found; remembered: Verifiers hold numbers in memory."""

    table: Table
    size: int
    referring: tuple[Referring, ...]
    remembered: bool = False


def _list(row: Sequence[Any]) -> Collection[int]:
    numbers = array("q")
    numbers.frombytes(row[0])
    return numbers


def _logs(row: Sequence[Any]) -> Collection[int]:
    *alone, others = row
    return {*_present(alone), *many(unsigned, least=0)(decode_cbor(others), Place("kept logs"))}


def _present(row: Sequence[Any]) -> Collection[int]:
    return [number for number in row if number is not None]


ENTRIES = Kept(
    table=ima_entry,
    size=DIGEST_BYTES,
    referring=(Referring(key=(ima_chunk.c.boot, ima_chunk.c.first), columns=(ima_chunk.c.entries,), named=_list),),
    remembered=True,
)
"""IMA entries, which the lists of boots hold."""
LOGS = Kept(
    table=blob,
    size=BLOB_DIGEST_BYTES,
    referring=(
        Referring(
            key=(boot.c.id,),
            columns=(boot.c.boot_log, boot.c.launch_log, boot.c.command_line, boot.c.other_logs),
            named=_logs,
        ),
        Referring(key=(node_state.c.node,), columns=(node_state.c.posture,), named=_present),
    ),
)
"""Logs and postures, which boots and the states of nodes refer to."""


def known(connection: Connection, kept: Kept, after: int) -> list[int]:
    """(1) The numbers that there are behind this one, in their order; less than `NUMBERS_AT_ONCE` at the end."""
    number = kept.table.c.id
    return list(
        connection.execute(select(number).where(number > after).order_by(number).limit(NUMBERS_AT_ONCE)).scalars()
    )


def referred(connection: Connection, referring: Referring, after: Key | None) -> tuple[set[int], Key | None]:
    """(1), (3) What some rows behind a key refer to, and the key to go on behind; None at the end."""
    query = select(*referring.key, *referring.columns).order_by(*referring.key).limit(AT_ONCE)
    if after is not None:
        query = query.where(tuple_(*referring.key) > tuple_(*after))
    found, last, count = set[int](), after, 0
    for row in connection.execute(query):
        last, count = tuple(row[: len(referring.key)]), count + 1
        found.update(referring.named(row[len(referring.key) :]))
    return found, last if count == AT_ONCE else None


def hide(connection: Connection, kept: Kept, numbers: Collection[int]) -> None:
    """(2) Nobody finds these by their digests any more."""
    serially(connection, Alone.CONTENT)
    if kept.remembered:
        bump(connection, Held.CONTENT)
    found = _digests(connection, kept, numbers)
    _rename(connection, kept, {number: _hidden(digest, number) for number, digest in found})


def show(connection: Connection, kept: Kept, numbers: Collection[int]) -> None:
    """(4) They are found again."""
    serially(connection, Alone.CONTENT)
    hidden = _digests(connection, kept, numbers, hidden=True)
    found = {digest[: kept.size]: number for number, digest in hidden}
    column = kept.table.c.digest
    for digest in connection.execute(select(column).where(column.in_(list(found)))).scalars():
        del found[digest]
    _rename(connection, kept, {number: digest for digest, number in found.items()})


def drop(connection: Connection, kept: Kept, numbers: Collection[int]) -> int:
    """(5) They are gone; how many."""
    hidden = func.length(kept.table.c.digest) > kept.size
    return connection.execute(delete(kept.table).where(kept.table.c.id.in_(numbers), hidden)).rowcount


def _hidden(digest: bytes, number: int) -> bytes:
    """Longer than any that is looked for, and of this row alone: rows of the same bytes may be hidden together."""
    return digest + number.to_bytes(NUMBER_BYTES, "big")


def _digests(
    connection: Connection, kept: Kept, numbers: Collection[int], *, hidden: bool = False
) -> list[tuple[int, bytes]]:
    query = select(kept.table.c.id, kept.table.c.digest).where(kept.table.c.id.in_(numbers))
    return [(row.id, row.digest) for row in connection.execute(query) if (len(row.digest) > kept.size) == hidden]


def _rename(connection: Connection, kept: Kept, digests: dict[int, bytes]) -> None:
    if digests:
        renamed = update(kept.table).where(kept.table.c.id == bindparam("number")).values(digest=bindparam("other"))
        connection.execute(renamed, [{"number": number, "other": digest} for number, digest in digests.items()])
