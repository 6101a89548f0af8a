"""Counters of what Verifiers on one database hold in memory: each compares them with those of its last reading.

Every function takes the connection of its caller's transaction.
"""

import hmac
from enum import StrEnum

from sqlalchemy import Connection, select

from bartizan.store.dialect import inserting
from bartizan.store.tables import generation, known_key


class Held(StrEnum):
    """What is held: the rules in force, the key of challenges, the numbers of IMA entries that are stored."""

    RULES = "rules"
    NONCES = "nonces"
    CONTENT = "content"


def bump(connection: Connection, what: Held) -> None:
    """Whoever holds this has to read it again."""
    row = inserting(connection, generation).values(name=what.value, value=1)
    connection.execute(row.on_conflict_do_update(index_elements=["name"], set_={"value": generation.c.value + 1}))


def generations(connection: Connection) -> dict[Held, int]:
    """Every counter."""
    found: dict[str, int] = {row.name: row.value for row in connection.execute(select(generation))}
    return {what: found.get(what.value, 0) for what in Held}


def generation_of(connection: Connection, what: Held) -> int:
    """One of them."""
    query = select(generation.c.value).where(generation.c.name == what.value)
    return connection.execute(query).scalar_one_or_none() or 0


def agreed_key(connection: Connection, name: str, digest: bytes) -> bool:
    """This key is the one that Verifiers on this database share; the first one to ask says which it is."""
    connection.execute(inserting(connection, known_key).values(name=name, digest=digest).on_conflict_do_nothing())
    known = connection.execute(select(known_key.c.digest).where(known_key.c.name == name)).scalar_one()
    return hmac.compare_digest(known, digest)
