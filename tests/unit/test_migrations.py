"""The schema's history: from any revision to any other with the data in it, and never half of the way."""

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Connection, Engine, create_engine, event, inspect, text

from bartizan.errors import ConfigError
from bartizan.store import database
from bartizan.store.accounts import ensure_default_project
from bartizan.store.database import downgrade, newest_version, open_database, schema_version, upgrade
from bartizan.store.tables import metadata

FIRST = "0001"
NODE = (
    "INSERT INTO node (id, uid, name, role, project, ek_name, ak_name, identity, registered, banks, pinned,"
    " enrolled_at, created_at, created_by)"
    " VALUES (1, 'u', 'n1', 'compute', 1, x'01', x'02', x'03', 1, x'000b', 11, 5, 5, 'a test')"
)
DATA = (
    "INSERT INTO project (id, name) VALUES (1, 'default')",
    NODE,
    "INSERT INTO boot (id, node, seen_at, other_logs, stuck) VALUES (7, 1, 6, x'80', x'00')",
    "INSERT INTO ima_chunk (boot, first, entries) VALUES (7, 0, x'0100000000000000')",
    (
        "INSERT INTO review (id, kind, why, node_name, role, ek_name, ak_name, state, project, created_at, created_by)"
        " VALUES (3, 'other-tpm', 'why', 'n1', 'compute', x'04', x'05', 'open', 1, 9, 'agent')"
    ),
)


@contextmanager
def opened(path: Path) -> Iterator[Engine]:
    """A database as the service opens it, at whatever revision it is."""
    engine = create_engine(f"sqlite:///{path}")
    event.listen(engine, "connect", database._set_up_sqlite)
    event.listen(engine, "begin", database._begin_sqlite)
    yield engine
    engine.dispose()


def at_first(path: Path) -> None:
    """A database of the first revision, with data in it."""
    with opened(path) as engine:
        upgrade(engine, FIRST)
        with engine.begin() as connection:
            for statement in DATA:
                connection.execute(text(statement))


def rows(connection: Connection, *, without: frozenset[str] = frozenset()) -> dict[str, list[dict[str, object]]]:
    """Everything that a database holds."""
    names = [name for name in inspect(connection).get_table_names() if name != "alembic_version"]
    return {
        name: [
            {key: value for key, value in row.items() if key not in without}
            for row in connection.execute(text(f"SELECT * FROM {name}")).mappings()  # noqa: S608  # our own names
        ]
        for name in names
    }


def schema(path: Path) -> list[tuple[str, str]]:
    """Every statement that made a database."""
    with sqlite3.connect(path) as connection:
        found = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name").fetchall()
    connection.close()
    return found


def said(item: Mapping[str, Any]) -> str:
    """An index or constraint in words, with the text of its condition."""
    options = {key: str(value) for key, value in item.get("dialect_options", {}).items()}
    return str({**item, "dialect_options": options})


def test_the_migrated_tables_are_those_that_the_program_works_with(tmp_path: Path) -> None:
    with open_database(f"sqlite:///{tmp_path / 'b.db'}") as engine, engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})

        assert compare_metadata(context, metadata) == []
        assert schema_version(connection) == newest_version()


def test_a_migrated_database_has_every_table_column_index_and_constraint_of_one_made_at_once(tmp_path: Path) -> None:
    at_first(tmp_path / "old.db")
    with open_database(f"sqlite:///{tmp_path / 'old.db'}"):
        pass
    at_once = create_engine(f"sqlite:///{tmp_path / 'new.db'}")
    metadata.create_all(at_once)
    migrated = create_engine(f"sqlite:///{tmp_path / 'old.db'}")

    one, other = inspect(at_once), inspect(migrated)
    for name in one.get_table_names():
        assert {c["name"]: (str(c["type"]), c["nullable"]) for c in one.get_columns(name)} == {
            c["name"]: (str(c["type"]), c["nullable"]) for c in other.get_columns(name)
        }
        for what in ("get_indexes", "get_unique_constraints", "get_foreign_keys", "get_check_constraints"):
            found, wanted = (sorted(map(said, getattr(where, what)(name))) for where in (other, one))
            assert found == wanted
    at_once.dispose()
    migrated.dispose()


def test_an_upgrade_keeps_the_data_and_a_downgrade_gives_it_back(tmp_path: Path) -> None:
    path = tmp_path / "b.db"
    at_first(path)
    before_schema = schema(path)
    with opened(path) as engine:
        with engine.connect() as connection:
            before = rows(connection)
        upgrade(engine)
        with engine.connect() as connection:
            assert schema_version(connection) == newest_version() != FIRST
            assert rows(connection, without=frozenset({"digest"})) == {
                name: [{key: value for key, value in row.items() if key != "digest"} for row in some]
                for name, some in before.items()
            }
            assert connection.execute(text("PRAGMA foreign_key_check")).all() == []
        downgrade(engine, FIRST)
        with engine.connect() as connection:
            assert schema_version(connection) == FIRST
            assert rows(connection) == before
    assert [name for name, _ in schema(path)] == [name for name, _ in before_schema]


def test_the_newest_revision_adds_what_the_program_needs(tmp_path: Path) -> None:
    at_first(tmp_path / "b.db")
    with open_database(f"sqlite:///{tmp_path / 'b.db'}") as engine, engine.connect() as connection:
        found = inspect(connection)

        assert connection.execute(text("SELECT digest FROM boot UNION ALL SELECT digest FROM ima_chunk")).all() == [
            (None,),
            (None,),
        ]
        assert "ix_review_state" in {index["name"] for index in found.get_indexes("review")}
        plan = connection.execute(text("EXPLAIN QUERY PLAN SELECT count(*) FROM review WHERE state = 'open'")).all()
        assert "ix_review_state" in plan[0][3]


def test_a_second_opening_changes_nothing(tmp_path: Path) -> None:
    url, path = f"sqlite:///{tmp_path / 'b.db'}", tmp_path / "b.db"
    with open_database(url) as engine, engine.begin() as connection:
        ensure_default_project(connection)
    before = schema(path)

    with open_database(url) as engine, engine.connect() as connection:
        assert len(rows(connection)["project"]) == 1
    assert schema(path) == before


@pytest.mark.parametrize("move", [upgrade, lambda engine: downgrade(engine, FIRST)], ids=["upgrade", "downgrade"])
def test_a_newer_database_is_refused_and_left_alone(tmp_path: Path, move: Callable[[Engine], None]) -> None:
    path = tmp_path / "b.db"
    at_first(path)
    with opened(path) as engine:
        with engine.begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        before = schema(path)

        with pytest.raises(ConfigError, match=f"revision 9999, .* at {newest_version()}, does not know; run the"):
            move(engine)

    assert schema(path) == before
    with pytest.raises(ConfigError, match="9999"), open_database(f"sqlite:///{path}"):
        pass


def test_a_migration_that_is_killed_leaves_the_old_schema_with_its_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "b.db"
    at_first(path)
    before = schema(path)

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with opened(path) as engine:
        with monkeypatch.context() as patch:
            patch.setattr(Operations, "create_index", killed)
            with pytest.raises(KeyboardInterrupt):
                upgrade(engine)
        assert schema(path) == before

        upgrade(engine)
        with engine.connect() as connection:
            assert schema_version(connection) == newest_version()
            assert len(rows(connection)["node"]) == 1


def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "b.db").write_bytes(b"not a database, whatever its name says" * 100)

    with pytest.raises(ConfigError, match="not a database"), open_database(f"sqlite:///{tmp_path / 'b.db'}"):
        pass
    with pytest.raises(ConfigError, match="no URL of a database"), open_database("bartizan.db"):
        pass
