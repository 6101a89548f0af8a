"""Queries asked in threads of their own, so that an event loop goes on; each sees one state of everything."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection, Engine

from bartizan.store.dialect import is_shared

Given = TypeVar("Given")


async def reading(engine: Engine, query: Callable[[Connection], Given]) -> Given:
    """What a query finds. Who is cancelled meanwhile waits for it: its connection is to be given back."""

    def run() -> Given:
        with engine.connect() as connection:
            if is_shared(connection):  # SQLite's readers see one state anyway
                connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            return query(connection)

    asked = asyncio.ensure_future(asyncio.to_thread(run))
    try:
        return await asyncio.shield(asked)
    except asyncio.CancelledError:
        await asyncio.gather(asked, return_exceptions=True)
        raise
