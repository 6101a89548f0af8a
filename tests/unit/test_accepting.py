"""A row's version decides who changes it; what comes second comes to nothing, and takes nobody with it."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, select, text

from bartizan.store.accepting import Outdated, accept, claim
from bartizan.store.accounts import ensure_default_project
from bartizan.store.alarms import alarms, raise_alarm
from bartizan.store.database import open_database
from bartizan.store.nodes import add_node, find_node, retire_node, version_of
from bartizan.store.rules import Author, activate_policy, active_policy, add_policy
from bartizan.store.tables import node_state
from bartizan.store.writer import Row, Untouched, Writer
from tests.databases import url_for
from tests.unit.test_writer import new_node

pytestmark = pytest.mark.usefixtures("each_database")


def nodes(connection: Connection, count: int) -> list[int]:
    ensure_default_project(connection)
    return [add_node(connection, new_node(f"n{number}"), now=0, due=0).id for number in range(count)]


def row(number: int, version: int, **values: Any) -> Row:  # noqa: ANN401  # any column
    evidence: dict[str, Any] = {"evidence": b"quote", "posture": None, "agent": "test", "notes": None}
    times = {"accepted": version + 1, "accepted_at": 5, "nonce_issued": 6, "due": 7}
    return {"of_node": number, "of_version": version} | times | evidence | values


def versions(connection: Connection) -> list[tuple[int, int]]:
    query = select(node_state.c.accepted, node_state.c.version).order_by(node_state.c.node)
    return [(found.accepted, found.version) for found in connection.execute(query)]


def test_rows_are_accepted_together_and_each_has_its_own_values(tmp_path: Path) -> None:
    with open_database(url_for(tmp_path)) as engine, engine.begin() as connection:
        numbers = nodes(connection, 3)
        assert accept(connection, [row(one, 0, agent=f"a{one}") for one in numbers]) == [None] * 3
        assert accept(connection, [row(numbers[1], 1, notes=b"n")]) == [None]

        assert versions(connection) == [(1, 1), (2, 2), (1, 1)]
        agents = connection.execute(select(node_state.c.agent).order_by(node_state.c.node)).scalars().all()
        assert agents == [f"a{numbers[0]}", "test", f"a{numbers[2]}"]


def test_who_comes_second_changes_nothing_and_is_told_so_alone(tmp_path: Path) -> None:
    async def play(engine: Any) -> list[Any]:  # noqa: ANN401  # SQLAlchemy's
        writer = Writer(engine, rolled_back=lambda: None)
        with engine.begin() as connection:
            numbers = nodes(connection, 3)
        first = [writer.submit_row(accept, row(one, 0)) for one in numbers]
        await asyncio.gather(*first)
        second = [writer.submit_row(accept, row(one, number)) for number, one in enumerate(numbers)]
        found = await asyncio.gather(*second, return_exceptions=True)
        writer.close()
        return found

    with open_database(url_for(tmp_path)) as engine:
        found = asyncio.run(play(engine))
        with engine.connect() as connection:
            assert versions(connection) == [(1, 1), (2, 2), (1, 1)]
    assert [type(one) for one in found] == [Outdated, type(None), Outdated]


def test_a_claim_holds_against_the_version_that_was_read(tmp_path: Path) -> None:
    with open_database(url_for(tmp_path)) as engine, engine.begin() as connection:
        (number,) = nodes(connection, 1)

        assert claim(connection, number, 0) == 1
        with pytest.raises(Outdated):
            claim(connection, number, 0)
        assert versions(connection) == [(0, 1)]


def test_a_retired_node_is_another_one_for_whoever_judged_it(tmp_path: Path) -> None:
    with open_database(url_for(tmp_path)) as engine, engine.begin() as connection:
        (number,) = nodes(connection, 1)
        assert version_of(connection, "n0") == 0
        retire_node(connection, number, at=9)

        assert accept(connection, [row(number, 0)]) != [None]
        assert (version_of(connection, "n0"), find_node(connection, "n0")) == (None, None)


def test_a_job_that_touched_nothing_takes_no_other_with_it(tmp_path: Path) -> None:
    async def play(engine: Any) -> tuple[list[Any], int]:  # noqa: ANN401  # SQLAlchemy's
        undone: list[int] = []
        writer = Writer(engine, rolled_back=lambda: undone.append(1))

        def refuses(_: Connection) -> None:
            raise Untouched("somebody else was first")

        waiting = [writer.submit(ensure_default_project), writer.submit(refuses), writer.submit(lambda _: 3)]
        found = await asyncio.gather(*waiting, return_exceptions=True)
        writer.close()
        return found, len(undone)

    with open_database(url_for(tmp_path)) as engine:
        (project, error, three), undone = asyncio.run(play(engine))
    assert (project, type(error), three, undone) == (1, Untouched, 3, 0)


def test_one_policy_at_most_is_in_force(tmp_path: Path) -> None:
    with open_database(url_for(tmp_path)) as engine, engine.begin() as connection:
        author = Author(project=ensure_default_project(connection), account="a", now=1)
        first, second = (add_policy(connection, "p", document, author=author) for document in (b"1", b"2"))
        activate_policy(connection, first.id)
        activate_policy(connection, second.id)

        assert active_policy(connection) is not None
        counted = connection.execute(text("SELECT count(*) FROM policy WHERE active")).scalar_one()
        assert counted == 1


def test_text_with_a_zero_in_it_is_stored(tmp_path: Path) -> None:
    with open_database(url_for(tmp_path)) as engine, engine.begin() as connection:
        raise_alarm(connection, "damaged", "a\0b", now=1)

        assert [one.why for one in alarms(connection, standing=True)] == ["a\N{REPLACEMENT CHARACTER}b"]
