"""Queries asked in a thread of their own, so that an event loop goes on meanwhile."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection, Engine

Given = TypeVar("Given")


async def reading(engine: Engine, query: Callable[[Connection], Given]) -> Given:
    """What a query finds."""

    def run() -> Given:
        with engine.connect() as connection:
            return query(connection)

    return await asyncio.to_thread(run)
