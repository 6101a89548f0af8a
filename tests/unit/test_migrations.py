"""The schema's history: from any revision to any other with the data in it, and never half of the way."""

import sqlite3
from array import array
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Connection, Engine, create_engine, event, func, inspect, select, text, update

from bartizan.errors import ConfigError
from bartizan.formats.cbor import encode_cbor
from bartizan.model.protocol import SentBoot
from bartizan.store import database
from bartizan.store.accounts import ensure_default_project
from bartizan.store.database import check_database, downgrade, newest_version, open_database, schema_version, upgrade
from bartizan.store.evidence import Interning, add_boot, add_entries, add_posture, entry_digest
from bartizan.store.kept import kept_boot
from bartizan.store.nodes import add_node, set_boot
from bartizan.store.sweeping import ENTRIES, LOGS, hide
from bartizan.store.tables import blob, ima_chunk, ima_entry, metadata, node_state
from tests.databases import on_postgresql, url_for
from tests.postgresql import Server
from tests.unit.test_writer import new_node

FIRST = "0001"
BEFORE_HIDING = "0003"
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


@pytest.mark.usefixtures("each_database")
def test_the_migrated_tables_are_those_that_the_program_works_with(tmp_path: Path) -> None:
    with open_database(url_for(tmp_path)) as engine, engine.connect() as connection:
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
            after = rows(connection, without=frozenset({"digest", "ima_start"}))
            assert {name: some for name, some in after.items() if name in before} == {
                name: [{key: value for key, value in row.items() if key != "digest"} for row in some]
                for name, some in before.items()
            }
            assert {name: some for name, some in after.items() if name not in before} == {
                name: [] for name in ("generation", "known_key", "lease")
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

        assert connection.execute(text("SELECT DISTINCT ima_start FROM boot")).scalar_one() == 0
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


def test_postgresql_goes_back_to_the_first_schema_and_forward_again(tmp_path: Path, postgresql: Server) -> None:
    with on_postgresql(postgresql), open_database(url_for(tmp_path)) as engine:
        with engine.connect() as connection:
            newest = inspect(connection).get_table_names()
        downgrade(engine, FIRST)
        with engine.connect() as connection:
            assert schema_version(connection) == FIRST
            assert "lease" not in inspect(connection).get_table_names()
        upgrade(engine)
        with engine.connect() as connection:
            assert schema_version(connection) == newest_version()
            assert sorted(inspect(connection).get_table_names()) == sorted(newest)


SENT = SentBoot(boot_log=b"b", launch_log=b"l", command_line=b"c", other_boot_logs=(b"o", b"p", b"o"))
QUOTE = encode_cbor({"attest": b"a", "signature": b"s", "pcrs": {}, "nonce": b"n"})


def sending(connection: Connection, name: str, *entries: bytes, posture: bytes = b"posture", sent: SentBoot) -> int:
    """A node that sent these; its number."""
    node = add_node(connection, new_node(name), now=0, due=0).id
    number = add_boot(connection, node, sent, stuck=b"[]", now=0)
    add_entries(connection, Interning(), number, entries, first=0)
    set_boot(connection, node, number)
    values = {"evidence": QUOTE, "accepted_at": 1, "posture": add_posture(connection, posture)}
    connection.execute(update(node_state).where(node_state.c.node == node).values(values))
    return node


def everything_hidden(connection: Connection) -> None:
    """As a sweep leaves it that ended in the middle, all of it in use."""
    for kept in (ENTRIES, LOGS):
        hide(connection, kept, connection.execute(select(kept.table.c.id)).scalars().all())


def longest(connection: Connection) -> tuple[int, int]:
    found = [connection.execute(select(func.max(func.length(one.c.digest)))).scalar_one() for one in (ima_entry, blob)]
    return found[0], found[1]


@pytest.mark.usefixtures("each_database")
def test_what_a_sweep_hid_is_found_again_by_programs_that_do_not_know_of_hiding(tmp_path: Path) -> None:
    with open_database(url_for(tmp_path)) as engine:
        with engine.begin() as connection:
            ensure_default_project(connection)
            node = sending(connection, "n", b"one", b"two", sent=SENT)
            before = kept_boot(connection, node)
            everything_hidden(connection)
            assert min(longest(connection)) > len(entry_digest(b""))
        downgrade(engine, BEFORE_HIDING)
        with engine.connect() as connection:
            assert longest(connection) == (16, 32)
        upgrade(engine)
        with engine.connect() as connection:
            digests = connection.execute(select(ima_entry.c.digest)).scalars().all()

            assert set(digests) == {entry_digest(b"one"), entry_digest(b"two")}
            assert before is not None
            assert kept_boot(connection, node) == before


@pytest.mark.usefixtures("each_database")
def test_bytes_that_a_sweep_had_stored_twice_are_one_again_before_such_programs(tmp_path: Path) -> None:
    own = SentBoot(boot_log=b"own", other_boot_logs=(b"q", b"o"))
    with open_database(url_for(tmp_path)) as engine:
        with engine.begin() as connection:
            ensure_default_project(connection)
            nodes = [sending(connection, "n0", b"one", b"two", b"one", sent=SENT)]
            everything_hidden(connection)
            nodes.append(sending(connection, "n1", b"three", b"two", posture=b"another", sent=own))
            everything_hidden(connection)
            nodes.append(sending(connection, "n2", b"two", b"one", sent=SENT))
            before = [kept_boot(connection, node) for node in nodes]
        downgrade(engine, BEFORE_HIDING)
        with engine.connect() as connection:
            assert longest(connection) == (16, 32)
        upgrade(engine)
        with engine.connect() as connection:
            contents = connection.execute(select(ima_entry.c.content)).scalars().all()

            assert sorted(contents) == [b"one", b"three", b"two"]
            assert connection.execute(select(func.count()).select_from(blob)).scalar_one() == 9
            assert None not in before
            assert [kept_boot(connection, node) for node in nodes] == before


@pytest.mark.usefixtures("each_database")
def test_damage_does_not_keep_a_database_from_going_back(tmp_path: Path) -> None:
    with open_database(url_for(tmp_path)) as engine:
        with engine.begin() as connection:
            ensure_default_project(connection)
            sending(connection, "n0", b"one", sent=SENT)
            everything_hidden(connection)
            sending(connection, "n1", b"one", sent=SENT)
            connection.execute(text("UPDATE boot SET other_logs = :raw"), {"raw": b"\xff"})
            connection.execute(update(ima_chunk).values(entries=array("q", [1]).tobytes() + b"half"))
        downgrade(engine, BEFORE_HIDING)
        with engine.connect() as connection:
            raw = connection.execute(select(ima_chunk.c.entries)).scalars().all()

            assert longest(connection) == (16, 32)
            assert [one[8:] for one in raw] == [b"half"] * 2
            assert raw[0] == raw[1]


def test_verifiers_that_start_together_on_an_empty_postgresql_make_one_schema(
    tmp_path: Path, postgresql: Server
) -> None:
    def first() -> int:
        with open_database(url_for(tmp_path)) as engine, engine.begin() as connection:
            return ensure_default_project(connection)

    with on_postgresql(postgresql), ThreadPoolExecutor(4) as threads:
        url_for(tmp_path)
        assert [one.result() for one in [threads.submit(first) for _ in range(4)]] == [1] * 4


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("postgresql://bartizan:secret@127.0.0.1/b", "passfile"),
        ("postgresql://bartizan@127.0.0.1/b?password=secret", "passfile"),
        ("mysql://bartizan@127.0.0.1/b", "begins with sqlite:/// or postgresql://"),
    ],
)
def test_a_password_in_a_url_is_refused_and_not_repeated(url: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as refused, open_database(url):
        pass
    assert "secret" not in str(refused.value)


def test_a_postgresql_is_checked_without_a_change_to_it(tmp_path: Path, postgresql: Server) -> None:
    with on_postgresql(postgresql):
        url = url_for(tmp_path)
        assert check_database(url) == check_database(url)
        assert str(check_database(url)).endswith("schema none yet")
        with open_database(url):
            pass
        assert str(check_database(url)).endswith(f"schema {newest_version()}")
    with pytest.raises(ConfigError, match="does not exist"):
        check_database(url)
    assert check_database(f"sqlite:///{tmp_path / 'none.db'}") is None
    assert not (tmp_path / "none.db").exists()


def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "b.db").write_bytes(b"not a database, whatever its name says" * 100)

    with pytest.raises(ConfigError, match="not a database"), open_database(f"sqlite:///{tmp_path / 'b.db'}"):
        pass
    with pytest.raises(ConfigError, match="no URL of a database"), open_database("bartizan.db"):
        pass
