"""The service itself over the JSON API: audit, alarms, health, metrics, keys, evidence, and how a bug looks."""

import asyncio
import io
import json
import re
import socket
import zipfile
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from joserfc.jwk import KeySet
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from bartizan.app.attest_node import Rules, attest_node
from bartizan.app.defaults import catalogue, default_policy, levels
from bartizan.app.evidence_folder import read_recording
from bartizan.app.service.bootstrap import bootstrap_account
from bartizan.app.service.changes import Who
from bartizan.app.service.rotating import rotate_keys
from bartizan.app.service.settings import Audit
from bartizan.errors import ConfigError
from bartizan.model.evidence import Enrolment
from bartizan.model.node import Role
from bartizan.model.result import State
from bartizan.store.accounts import audit_after
from bartizan.store.alarms import clear_alarms, raise_alarm
from bartizan.store.database import open_database
from tests.databases import url_for
from tests.simulator.attester import Attester
from tests.simulator.tpm_ca import NOW
from tests.simulator.tpm_identity import ANCHORS
from tests.unit.api_side import PROBLEM, Api, asked
from tests.unit.postures import hardened

OFFICER = Who(
    account="officer", number=1, role=Role.SECURITY_OFFICER, project=1, whole=True, address="192.0.2.1", session=None
)


async def lines(api: Api, query: str = "") -> list[dict[str, Any]]:
    answer = await api.ask("GET", f"/v1/audit{query}", by="auditor")
    assert answer.headers["content-type"].startswith("application/jsonl")
    return [json.loads(line) for line in answer.text.splitlines()]


def test_the_audit_says_who_did_what_from_where(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        for name in ("a", "b", "c"):
            await api.post("/v1/join-tokens", {"name": name})
        found = await lines(api)
        assert found[0] == {
            "id": 1,
            "at": "2026-06-01T00:00:00Z",
            "account": "operator",
            "role": "operator",
            "address": "127.0.0.1",
            "action": "join-token.create",
            "target": "node:a",
            "detail": "token 1, role compute",
        }
        assert [one["target"] for one in await lines(api, "?after=1&limit=1")] == ["node:b"]
        assert await lines(api, "?after=3") == []

    asked(play, tmp_path)


def test_a_change_that_fails_is_not_in_the_audit_and_takes_nothing_with_it(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        body = {"name": "pat", "role": "viewer"}
        await api.post("/v1/accounts", body, by="security-officer")
        await api.post("/v1/accounts", body, by="security-officer", status=409)
        await api.post("/v1/nodes/nobody/retire", {"reason": "x"}, status=404)
        assert [one["action"] for one in await lines(api)] == ["account.create"]

    asked(play, tmp_path)


def test_the_audit_is_told_to_syslog(tmp_path: Path) -> None:
    where = str(tmp_path / "log")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(where)
        listener.setblocking(False)

        async def play(api: Api) -> None:
            await api.post("/v1/join-tokens", {"name": "a"})

        asked(play, tmp_path / "data", audit=Audit(syslog=where))
        said = listener.recv(65536)

    found = re.fullmatch(rb"<\d+>bartizan-audit: (\{.*\})\0?", said)
    assert found is not None
    assert json.loads(found[1])["target"] == "node:a"


def test_a_syslog_that_is_not_there_stops_nothing(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        await api.post("/v1/join-tokens", {"name": "a"})
        assert len(await api.audit()) == 1

    asked(play, tmp_path / "data", audit=Audit(syslog=str(tmp_path / "nobody")))


def test_alarms_are_listed(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        for kind in ("away", "mass-late"):
            await api.service.write(lambda connection, kind=kind: raise_alarm(connection, kind, "why", now=1))
        await api.service.write(lambda connection: clear_alarms(connection, "away", now=2))
        assert [one["kind"] for one in (await api.get("/v1/alarms"))["items"]] == ["mass-late", "away"]
        (standing,) = (await api.get("/v1/alarms?standing=true"))["items"]
        assert (standing["kind"], standing["why"], standing["cleared_at"]) == ("mass-late", "why", None)

    asked(play, tmp_path)


def test_health_needs_no_account_and_tells_a_dead_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(api: Api) -> None:
        for path in ("/health/live", "/health/ready"):
            answer = await api.ask("GET", path)
            assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
        monkeypatch.setattr(api.service.engine, "connect", broken)
        assert (await api.ask("GET", "/health/live")).status_code == 200
        assert (await api.ask("GET", "/health/ready")).status_code == 503
        monkeypatch.undo()

    asked(play, tmp_path)


def broken(*_: object) -> None:
    raise OperationalError("SELECT 1", {}, Exception("disk I/O error"))


def test_a_database_that_fails_is_said_so_without_its_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(api: Api) -> None:
        monkeypatch.setattr(api.service.engine, "connect", broken)
        answer = await api.ask("GET", "/v1/nodes", by="viewer")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert "disk" not in answer.text
        monkeypatch.undo()

    asked(play, tmp_path)


def test_a_bug_is_a_number_to_the_asker_and_a_trace_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def bug(*_: object, **__: object) -> None:
        raise KeyError("the secret of the house")

    async def play(api: Api) -> None:
        monkeypatch.setattr("bartizan.web.api.nodes.list_nodes", bug)
        answer = await api.ask("GET", "/v1/nodes", by="viewer")
        problem = answer.json()
        assert (answer.status_code, answer.headers["content-type"]) == (500, PROBLEM)
        assert "secret" not in answer.text
        assert "Traceback" not in answer.text
        said = capsys.readouterr().out
        assert problem["log"] in said
        assert "the secret of the house" in said

    asked(play, tmp_path)


def test_metrics_are_for_this_machine_or_for_who_may_read(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        await api.enrolled("compute-01")
        await api.enrolled("compute-02", attested=False)
        await api.service.write(lambda connection: raise_alarm(connection, "away", "why", now=1))
        text = (await api.ask("GET", "/metrics")).text
        for line in (
            "bartizan_attestations_accepted_total 1.0",
            'bartizan_nodes{contraindicated="false",level="2",state="fresh"} 1.0',
            'bartizan_nodes{contraindicated="false",level="0",state="fresh"} 1.0',
            'bartizan_alarms{kind="away"} 1.0',
            "bartizan_memory_nodes 2.0",
            "bartizan_full_attestations 0.0",
        ):
            assert line in text
        assert "process_resident_memory_bytes" in text
        proxied = {"X-Forwarded-For": "192.0.2.1"}
        assert (await api.ask("GET", "/metrics", headers=proxied)).status_code == 401
        assert (await api.ask("GET", "/metrics", headers=proxied, by="viewer")).status_code == 200
        await api.account("stranger", Role.AUDITOR, project="another")
        assert (await api.ask("GET", "/metrics", headers=proxied, by="stranger")).status_code == 403

    asked(play, tmp_path)


def test_a_new_key_is_published_before_it_signs(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        before = KeySet.import_key_set(await api.get("/.well-known/jwks.json")).keys
        rotated = await api.post("/v1/keys/rotate", by="security-officer", status=200)
        assert rotated["signs_from"] == "2026-06-01T01:00:00Z"
        after = KeySet.import_key_set(await api.get("/.well-known/jwks.json")).keys
        assert [key.kid for key in after][:1] == [key.kid for key in before]
        assert len(after) == 2
        await api.post("/v1/keys/rotate", by="security-officer", status=409)
        assert [one["action"] for one in await lines(api)] == ["keys.rotate"]

    asked(play, tmp_path)


def test_a_rotation_beside_a_write_that_fails_happens_once_and_is_told(tmp_path: Path) -> None:
    def bug(_: Connection) -> None:
        raise RuntimeError("a bug")

    async def play(api: Api) -> None:
        before = len(KeySet.import_key_set(await api.get("/.well-known/jwks.json")).keys)
        async with api.side.together(2):
            rotated = asyncio.ensure_future(rotate_keys(api.service, OFFICER))
            failing = asyncio.ensure_future(api.service.write(bug))
        assert await rotated > api.clock().milliseconds
        with pytest.raises(RuntimeError, match="a bug"):
            await failing

        assert len(KeySet.import_key_set(await api.get("/.well-known/jwks.json")).keys) == before + 1
        assert [one["action"] for one in await lines(api)] == ["keys.rotate"]

    asked(play, tmp_path)


@pytest.mark.parametrize("posture", [None, hardened()], ids=["without a posture", "with a posture"])
def test_an_auditor_takes_the_evidence_and_comes_to_the_same_level(tmp_path: Path, posture: bytes | None) -> None:
    taken: list[bytes] = []

    async def play(api: Api) -> None:
        await api.enrolled("compute-01", posture=posture)
        answer = await api.ask("GET", "/v1/nodes/compute-01/evidence", by="auditor")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
        taken.append(answer.content)
        await api.enrolled("compute-02", attested=False)
        assert (await api.ask("GET", "/v1/nodes/compute-02/evidence", by="auditor")).status_code == 404
        assert [one["action"] for one in await lines(api)] == ["evidence.export"]

    asked(play, tmp_path / "data")
    with zipfile.ZipFile(io.BytesIO(taken[0])) as archive:
        archive.extractall(tmp_path)
    recording = read_recording(tmp_path / "compute-01")
    outcome = attest_node(
        recording.evidence,
        challenge=recording.challenge,
        enrolment=Enrolment(anchors=ANCHORS, registered_ek=Attester(name="compute-01").ek.name),
        rules=Rules(catalogue=catalogue(), levels=levels(), policy=default_policy(), reference=None),
        now=NOW,
    )
    assert (outcome.result.level, outcome.result.state) == (2, State.RECORDED)


def test_the_first_account_is_made_without_a_running_service(tmp_path: Path) -> None:
    with open_database(url_for(tmp_path)) as engine:
        token = bootstrap_account(engine, "chief", Role.SECURITY_OFFICER)
        again = bootstrap_account(engine, "chief", Role.SECURITY_OFFICER)
        with pytest.raises(ConfigError, match="is security-officer"):
            bootstrap_account(engine, "chief", Role.OPERATOR)
        with engine.connect() as connection:
            assert [row.account for row in audit_after(connection, 0, limit=9)] == ["local command"] * 2
            assert connection.execute(sqlalchemy.text("SELECT count(*) FROM account")).scalar_one() == 1
    assert token != again

    async def play(api: Api) -> None:
        api.tokens["chief"] = token
        assert (await api.get("/v1/session", by="chief"))["role"] == "security-officer"

    asked(play, tmp_path)
