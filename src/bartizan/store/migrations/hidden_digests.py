"""Gives hidden digests back, for programs that know nothing of hiding: to them a longer digest is damage.

A sweep hides what seems unused by bytes behind its digest (`bartizan.store.sweeping`). What is used after all may stay
hidden, while the same bytes are stored once more under the digest itself. There can be one row of a digest: what
referred to the hidden one then refers to the other, and the hidden one goes.
"""

from array import array
from collections.abc import Mapping
from contextlib import suppress

from sqlalchemy import (
    BigInteger,
    Connection,
    LargeBinary,
    TableClause,
    bindparam,
    column,
    delete,
    func,
    select,
    table,
    update,
)

from bartizan.errors import DecodeError
from bartizan.formats.cbor import decode_cbor, encode_cbor
from bartizan.formats.cbor_shape import Place, many, unsigned

NUMBER_BYTES = 8
"""Of an entry in a chunk."""
ENTRY, BLOB = (table(name, column("id", BigInteger), column("digest", LargeBinary)) for name in ("ima_entry", "blob"))
SIZES = {ENTRY: 16, BLOB: 32}
"""Bytes of a digest that is not hidden."""
BOOT = table(
    "boot",
    *(column(name, BigInteger) for name in ("id", "boot_log", "launch_log", "command_line")),
    column("other_logs", LargeBinary),
)
CHUNK = table("ima_chunk", column("boot", BigInteger), column("first", BigInteger), column("entries", LargeBinary))
STATE = table("node_state", column("posture", BigInteger))
LOGS = ((BOOT, "boot_log"), (BOOT, "launch_log"), (BOOT, "command_line"), (STATE, "posture"))
"""Columns that name one log or posture each."""


def give_back(connection: Connection) -> None:
    """Leave no digest hidden, in the caller's transaction."""
    repeated = {stored: _show(connection, stored, size) for stored, size in SIZES.items()}
    _name_other_logs(connection, repeated[BLOB])
    _name_other_entries(connection, repeated[ENTRY])
    for stored, others in repeated.items():
        if others:
            gone = delete(stored).where(stored.c.id == bindparam("hidden"))
            connection.execute(gone, [{"hidden": number} for number in others])


def _show(connection: Connection, stored: TableClause, size: int) -> dict[int, int]:
    """Give back the digests that are free; the other rows, each with the one that has its digest."""
    repeated = dict[int, int]()
    hidden = select(stored.c.id, stored.c.digest).where(func.length(stored.c.digest) > size).order_by(stored.c.id)
    for number, digest in connection.execute(hidden).all():
        own = digest[:size]
        other = connection.execute(select(stored.c.id).where(stored.c.digest == own)).scalar_one_or_none()
        if other is None:
            connection.execute(update(stored).where(stored.c.id == number).values(digest=own))
        else:
            repeated[number] = other
    return repeated


def _name_other_logs(connection: Connection, others: Mapping[int, int]) -> None:
    if not others:
        return
    numbers = [{"hidden": number, "other": other} for number, other in others.items()]
    for stored, name in LOGS:
        named = update(stored).where(stored.c[name] == bindparam("hidden")).values({name: bindparam("other")})
        connection.execute(named, numbers)
    for boot, raw in connection.execute(select(BOOT.c.id, BOOT.c.other_logs)).all():
        with suppress(DecodeError):  # damaged: it names nothing, and is found to be so where it is read
            before = many(unsigned, least=0)(decode_cbor(raw), Place("kept logs"))
            after = [others.get(number, number) for number in before]
            if after != list(before):
                connection.execute(update(BOOT).where(BOOT.c.id == boot).values(other_logs=encode_cbor(after)))


def _name_other_entries(connection: Connection, others: Mapping[int, int]) -> None:
    if not others:
        return
    for boot in connection.execute(select(BOOT.c.id)).scalars().all():
        for first, raw in connection.execute(select(CHUNK.c.first, CHUNK.c.entries).where(CHUNK.c.boot == boot)).all():
            whole = len(raw) - len(raw) % NUMBER_BYTES
            numbers = array("q", raw[:whole])
            if not others.keys().isdisjoint(numbers):
                entries = array("q", (others.get(number, number) for number in numbers)).tobytes() + raw[whole:]
                this = update(CHUNK).where(CHUNK.c.boot == boot, CHUNK.c.first == first)
                connection.execute(this.values(entries=entries))
