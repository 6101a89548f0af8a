"""Bytes known by their digest, put in once however many Verifiers do so at the same time."""

from collections.abc import Mapping

from sqlalchemy import ARRAY, Connection, LargeBinary, Table, bindparam, column, func, select

from bartizan.store.dialect import inserting, is_shared

BYTES = LargeBinary()


def add_missing(connection: Connection, table: Table, contents: Mapping[bytes, bytes]) -> None:
    """Put in what is not there yet. table: with columns `digest`, unique, and `content`.

    In the order of their digests, so that of two Verifiers that put in the same one waits and neither for the other.
    """
    digests = sorted(contents)
    if not is_shared(connection):
        rows = [{"digest": digest, "content": contents[digest]} for digest in digests]
        connection.execute(inserting(connection, table).on_conflict_do_nothing(), rows)
        return
    arrays = [bindparam(name, type_=ARRAY(BYTES)) for name in ("digests", "contents")]
    sent = (
        func.unnest(*arrays).table_valued(column("digest", BYTES), column("content", BYTES)).render_derived(name="sent")
    )
    made = inserting(connection, table).from_select(["digest", "content"], select(sent.c.digest, sent.c.content))
    values = {"digests": digests, "contents": [contents[digest] for digest in digests]}
    connection.execute(made.on_conflict_do_nothing(), values)
