"""Statements beside verdicts are believed as the service signed them; what somebody writes into the database is not."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, text

from bartizan.app.service.clock import Now
from bartizan.app.service.key_stores import FolderKeys
from bartizan.app.service.signing import Signer
from bartizan.app.service.statements import ALARM, Statements
from bartizan.formats.ear_claims import decode_ear
from bartizan.formats.jws import decode_jws
from bartizan.model.node import Role
from bartizan.model.statement import Statement, StatementKind
from bartizan.store.tables import acknowledgement, maintenance
from tests.unit.api_side import Api, asked
from tests.unit.jose_side import public_key
from tests.unit.service_side import START
from tests.unit.test_api_findings import days, fleet

NOW_MS = START // 1000
HOUR = 3_600_000
WINDOW = Statement(
    kind=StatementKind.MAINTENANCE,
    project=1,
    scope="all",
    reason="update",
    begins_at=NOW_MS,
    ends_at=NOW_MS + HOUR,
    created_at=NOW_MS,
    created_by="ann",
)


def statements(folder: Path) -> Statements:
    return Statements(signer=Signer(store=FolderKeys(folder / "ear"), lifetime=300))


async def said(api: Api) -> tuple[list[int], list[int]]:
    """Windows and acknowledgements that somebody is shown on a node."""
    found = await api.get("/v1/nodes/compute-01/findings")
    windows = [one["id"] for one in found["maintenance"]]
    return windows, sorted({one["id"] for item in found["items"] for one in item["acknowledged"]})


async def alarm(api: Api) -> list[str]:
    """The standing alarms about statements."""
    await api.service.check_statements()
    return [one["why"] for one in (await api.get("/v1/alarms?standing=true"))["items"] if one["kind"] == ALARM]


async def both(api: Api) -> str:
    """A window and an acknowledgement over everything."""
    check = await fleet(api)
    await api.post("/v1/maintenance", {"scope": "all", "reason": "update", "ends_at": days(1)})
    body = {"check": check, "scope": "all", "reason": "known", "ends_at": days(1)}
    await api.post("/v1/acknowledgements", body)
    return check


def test_what_was_said_over_the_api_counts_and_raises_no_alarm(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        await both(api)
        assert await said(api) == ([1], [1])
        assert await alarm(api) == []

    asked(play, tmp_path)


EDITS = {
    "another scope": "UPDATE {table} SET scope = 'node:compute-01'",
    "another reason": "UPDATE {table} SET reason = 'nothing to see here'",
    "somebody else": "UPDATE {table} SET created_by = 'admin'",
    "another project": "UPDATE {table} SET project = 2",
    "a longer time": "UPDATE {table} SET {end} = {end} + 1",
    "no signature": "UPDATE {table} SET signature = NULL",
    "a damaged signature": "UPDATE {table} SET signature = CAST(replace(CAST(signature AS TEXT), '.', '.A') AS BLOB)",
    "an empty signature": "UPDATE {table} SET signature = x''",
}


@pytest.mark.parametrize("table", [maintenance, acknowledgement], ids=lambda table: str(table.name))
@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_an_edited_row_counts_for_nothing_and_is_told(tmp_path: Path, table: Any, edit: str) -> None:  # noqa: ANN401
    end = "ends_at" if table is maintenance else "expires_at"

    async def play(api: Api) -> None:
        await both(api)
        await api.account("x", Role.VIEWER, project="another")
        statement = text(edit.format(table=table.name, end=end))
        await api.service.write(lambda connection: connection.execute(statement))

        assert await said(api) == (([], [1]) if table is maintenance else ([1], []))
        path = "maintenance" if table is maintenance else "acknowledgements"
        assert (await api.get(f"/v1/{path}"))["items"] == []
        assert (await api.get(f"/v1/{path}?current=true"))["items"] == []
        (why,) = await alarm(api)
        assert f"{table.name} 1" in why
        answer = await api.ask("DELETE", f"/v1/{path}/1", by="operator")
        assert (answer.status_code, "not signed" in answer.text) == (409, True)

    asked(play, tmp_path)


def test_another_path_or_check_in_an_acknowledgement_is_not_believed(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        await both(api)
        for change in ("path = '/usr/bin/evil'", "\"check\" = 'ima.violations'"):
            statement = text(f"UPDATE acknowledgement SET {change}")  # noqa: S608  our own words
            await api.service.write(lambda connection, statement=statement: connection.execute(statement))
            assert (await said(api))[1] == []

    asked(play, tmp_path)


def test_a_row_written_into_the_database_counts_for_nothing_and_is_told(tmp_path: Path) -> None:
    row = {"scope": "all", "reason": "trust me", "project": 1, "created_at": NOW_MS, "created_by": "admin"}

    async def play(api: Api) -> None:
        check = await fleet(api)
        window = row | {"begins_at": NOW_MS, "ends_at": NOW_MS + HOUR}
        forged = row | {"check": check, "expires_at": NOW_MS + HOUR}
        await api.service.write(lambda connection: connection.execute(insert(maintenance).values(window)))
        await api.service.write(lambda connection: connection.execute(insert(acknowledgement).values(forged)))

        assert await said(api) == ([], [])
        (why,) = await alarm(api)
        assert "maintenance 1, acknowledgement 1" in why

    asked(play, tmp_path)


def test_a_signature_of_another_row_vouches_for_none_but_that(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        check = await both(api)
        body = {"check": check, "scope": "node:compute-02", "reason": "known", "ends_at": days(2)}
        await api.post("/v1/acknowledgements", body)
        copied = text("UPDATE acknowledgement SET signature = (SELECT signature FROM acknowledgement WHERE id = 2)")
        await api.service.write(lambda connection: connection.execute(copied))
        assert (await said(api))[1] == []
        crossed = text("UPDATE acknowledgement SET signature = (SELECT signature FROM maintenance WHERE id = 1)")
        await api.service.write(lambda connection: connection.execute(crossed))
        assert (await said(api))[1] == []

    asked(play, tmp_path)


def test_one_that_was_ended_is_signed_as_such_and_ends_no_second_time(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        await both(api)
        api.clock.forward(60)
        for path in ("maintenance", "acknowledgements"):
            assert (await api.ask("DELETE", f"/v1/{path}/1", by="operator")).status_code == 204
            assert (await api.ask("DELETE", f"/v1/{path}/1", by="operator")).status_code == 409
        assert await said(api) == ([], [])
        assert await alarm(api) == []
        again = text("UPDATE acknowledgement SET ended_at = NULL")
        await api.service.write(lambda connection: connection.execute(again))
        assert await said(api) == ([], [])
        assert len(await alarm(api)) == 1

    asked(play, tmp_path)


def test_the_alarm_ends_when_the_rows_are_gone_or_their_time_is_over(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        await both(api)
        unsigned = text("UPDATE acknowledgement SET signature = NULL")
        await api.service.write(lambda connection: connection.execute(unsigned))
        assert len(await alarm(api)) == 1
        api.clock.forward(2 * 24 * 3600)
        assert await alarm(api) == []

    asked(play, tmp_path)


def test_statements_are_believed_after_a_rotation_and_a_new_start(tmp_path: Path) -> None:
    made = statements(tmp_path).signed(WINDOW, Now(START))

    later = statements(tmp_path)
    later.signer.rotate(Now(START + 1))

    assert statements(tmp_path).believed(made)
    assert later.believed(later.signed(WINDOW, Now(START + 2 * 3600 * 1_000_000)))
    assert not statements(tmp_path / "other").believed(made)


def test_known_keys_are_enough_while_the_place_of_keys_cannot_be_read(tmp_path: Path) -> None:
    some = statements(tmp_path)
    made = some.signed(WINDOW, Now(START))
    assert some.believed(made)
    (path,) = (tmp_path / "ear").iterdir()
    other = some.signed(Statement(**{**_fields(WINDOW), "reason": "more"}), Now(START))
    path.write_bytes(b"damaged")

    assert some.believed(other)


def _fields(one: Statement) -> dict[str, Any]:
    return {name: getattr(one, name) for name in Statement.__dataclass_fields__}


def test_a_statement_verifies_with_the_published_key_and_is_no_result(tmp_path: Path) -> None:
    some = statements(tmp_path)
    made = some.signed(WINDOW, Now(START))
    assert made.signature is not None
    token = decode_jws(made.signature)

    (jwk,) = some.signer.jwks(Now(START))["keys"]
    assert (token.kid, json.loads(token.payload)["reason"]) == (jwk["kid"], "update")
    assert public_key(jwk).key_size == 256
    with pytest.raises(Exception, match="EAR"):
        decode_ear(token.payload)


def test_only_so_many_signatures_are_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bartizan.app.service.statements.REMEMBERED", 2)
    some = statements(tmp_path)
    made = [some.signed(Statement(**{**_fields(WINDOW), "reason": str(n)}), Now(START)) for n in range(4)]

    assert all(map(some.believed, made + made))
    assert len(some._read) == 2
