"""Who asks: API tokens, sessions, CSRF, pauses after wrong passwords."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from bartizan.app.service.attempts import AT_ONCE, BY_ADDRESS, BY_BOTH, MAX_WAITING, RETRY_WAITING, Attempts
from bartizan.app.service.passwords import NOBODYS, hash_password, password_matches
from bartizan.app.service.refusals import TooOften
from bartizan.errors import ConfigError
from bartizan.model.node import Role
from tests.unit.api_side import Api, api, asked

PASSWORD = "correct horse battery"  # noqa: S105
ME = "/v1/session"


def test_a_token_says_who_asks(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        assert await api.get(ME, by="auditor") == {
            "account": "auditor",
            "role": "auditor",
            "every_project": True,
            "csrf": None,
        }

    asked(play, tmp_path)


@pytest.mark.parametrize(
    "header", ["Bearer bzt_forged", "Bearer ", "Bearer", "Basic dmlld2VyOng=", "bzt_viewer", "Bearer \udcff"]
)
def test_a_forged_token_is_refused(tmp_path: Path, header: str) -> None:
    async def play(api: Api) -> None:
        raw = header.encode("latin-1", "replace")
        answer = await api.client.get(ME, headers={b"authorization": raw})  # type: ignore[dict-item]
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Bearer realm="bartizan"')

    asked(play, tmp_path)


def test_an_expired_token_is_refused(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        made = await api.post("/v1/api-tokens", {"label": "short", "role": "viewer", "days": 1}, by="operator")
        api.tokens["short"] = made["token"]
        assert (await api.get(ME, by="short"))["role"] == "viewer"
        api.clock.forward(24 * 3600)
        await api.get(ME, by="short", status=401)

    asked(play, tmp_path)


def test_a_revoked_token_is_refused(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        made = await api.post("/v1/api-tokens", {"label": "short", "role": "viewer"}, by="operator")
        api.tokens["short"] = made["token"]
        path = f"/v1/api-tokens/{made['made']['id']}"
        assert (await api.ask("DELETE", path, by="operator")).status_code == 204
        await api.get(ME, by="short", status=401)
        assert (await api.ask("DELETE", path, by="operator")).status_code == 409

    asked(play, tmp_path)


@pytest.mark.parametrize("change", [{"disabled": True}, {"role": "auditor"}])
def test_a_token_ends_with_what_its_account_was(tmp_path: Path, change: dict[str, Any]) -> None:
    async def play(api: Api) -> None:
        answer = await api.ask("PATCH", "/v1/accounts/operator", by="security-officer", json=change)
        assert answer.status_code == 200, answer.text
        await api.get(ME, by="operator", status=401)

    asked(play, tmp_path)


def test_a_token_may_do_less_than_its_account_and_never_more(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        made = await api.post("/v1/api-tokens", {"label": "less", "role": "viewer"}, by="operator")
        api.tokens["less"] = made["token"]
        await api.post("/v1/join-tokens", {"name": "a"}, by="less", status=403)
        for role in ("security-officer", "auditor"):
            await api.post("/v1/api-tokens", {"label": "more", "role": role}, by="operator", status=403)
        body = {"label": "more", "role": "operator", "account": "viewer"}
        await api.post("/v1/api-tokens", body, by="security-officer", status=403)
        await api.post("/v1/api-tokens", body | {"account": "operator", "role": "viewer"}, by="less", status=403)

    asked(play, tmp_path)


def test_tokens_of_others_are_made_and_seen_by_a_security_officer_only(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        body = {"label": "for her", "role": "viewer", "account": "viewer"}
        await api.post("/v1/api-tokens", body, by="operator", status=403)
        made = await api.post("/v1/api-tokens", body, by="security-officer")
        assert made["made"]["account"] == "viewer"
        assert (await api.ask("DELETE", f"/v1/api-tokens/{made['made']['id']}", by="operator")).status_code == 404
        seen = {by: len((await api.get("/v1/api-tokens", by=by))["items"]) for by in ("operator", "auditor", "viewer")}
        assert seen == {"operator": 1, "auditor": 5, "viewer": 2}
        await api.post("/v1/api-tokens", body | {"account": "nobody"}, by="security-officer", status=422)

    asked(play, tmp_path)


def test_tokens_are_kept_as_a_digest_only(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        made = await api.post("/v1/api-tokens", {"label": "x", "role": "viewer"}, by="operator")
        joined = await api.post("/v1/join-tokens", {"name": "compute-01"})
        assert re.fullmatch(r"bzt_[\w-]{43}", made["token"])
        assert re.fullmatch(r"bzj_[\w-]{43}", joined["token"])
        database = await asyncio.to_thread(stored, tmp_path)
        assert made["token"].encode() not in database
        assert joined["token"].encode() not in database

    asked(play, tmp_path)


def stored(folder: Path) -> bytes:
    """Everything in the database's files."""
    return b"".join(path.read_bytes() for path in folder.glob("bartizan.db*"))


async def signed_in(api: Api, name: str = "pat", role: Role = Role.OPERATOR) -> tuple[str, str]:
    """Cookie and CSRF token of a new account's session."""
    await api.account(name, role, password=hash_password(PASSWORD))
    answer = await api.ask("POST", ME, json={"name": name, "password": PASSWORD})
    assert answer.status_code == 201, answer.text
    cookie = answer.headers["set-cookie"]
    api.client.cookies.clear()
    return cookie.partition(";")[0], answer.json()["csrf"]


def test_a_session_lets_its_owner_look_and_change(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        cookie, csrf = await signed_in(api)
        seen = await api.ask("GET", ME, headers={"cookie": cookie})
        assert seen.json() == {"account": "pat", "role": "operator", "every_project": True, "csrf": csrf}
        headers = {"cookie": cookie, "x-csrf-token": csrf}
        made = await api.ask("POST", "/v1/join-tokens", headers=headers, json={"name": "a"})
        assert made.status_code == 201
        assert (await api.ask("DELETE", ME, headers=headers)).status_code == 204
        assert (await api.ask("GET", ME, headers=headers)).status_code == 401
        assert [entry for entry in await api.audit() if entry[0] == "pat"] == [
            ("pat", "session.begin", "pat"),
            ("pat", "join-token.create", "node:a"),
            ("pat", "session.end", "pat"),
        ]

    asked(play, tmp_path)


@pytest.mark.parametrize("csrf", [None, "", "0" * 64, "é"])
def test_a_change_without_the_sessions_csrf_token_is_refused(tmp_path: Path, csrf: str | None) -> None:
    async def play(api: Api) -> None:
        cookie, _ = await signed_in(api)
        headers = {"cookie": cookie} | ({} if csrf is None else {"x-csrf-token": csrf.encode()})
        answer = await api.ask("POST", "/v1/join-tokens", headers=headers, json={"name": "a"})
        assert answer.status_code == 403
        assert "CSRF" in answer.json()["detail"]
        assert not [entry for entry in await api.audit() if entry[1] == "join-token.create"]

    asked(play, tmp_path)


def test_the_csrf_token_of_another_session_is_refused(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        cookie, _ = await signed_in(api)
        _, other = await signed_in(api, "sam")
        headers = {"cookie": cookie, "x-csrf-token": other}
        assert (await api.ask("POST", "/v1/join-tokens", headers=headers, json={"name": "a"})).status_code == 403

    asked(play, tmp_path)


def test_a_session_expires(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        cookie, _ = await signed_in(api)
        api.clock.forward(8 * 3600)
        assert (await api.ask("GET", ME, headers={"cookie": cookie})).status_code == 401
        assert (await api.ask("GET", ME, headers={"cookie": "bartizan=forged"})).status_code == 401

    asked(play, tmp_path)


@pytest.mark.parametrize("change", [{"password": "another long password"}, {"disabled": True}, {"role": "viewer"}])
def test_a_changed_account_is_signed_out(tmp_path: Path, change: dict[str, Any]) -> None:
    async def play(api: Api) -> None:
        cookie, _ = await signed_in(api)
        await api.ask("PATCH", "/v1/accounts/pat", by="security-officer", json=change)
        assert (await api.ask("GET", ME, headers={"cookie": cookie})).status_code == 401

    asked(play, tmp_path)


def test_the_cookie_is_no_scripts_and_no_other_sites_business(tmp_path: Path) -> None:
    async def cookie(scheme: str) -> str:
        async with api(tmp_path / scheme, scheme=scheme) as side:
            await side.account("pat", Role.VIEWER, password=hash_password(PASSWORD))
            answer = await side.ask("POST", ME, json={"name": "pat", "password": PASSWORD})
            return str(answer.headers["set-cookie"])

    for scheme, name in (("http", "bartizan="), ("https", "__Host-bartizan=")):
        said = asyncio.run(cookie(scheme))
        words = {word.strip().lower() for word in said.split(";")}
        assert said.startswith(name)
        assert {"httponly", "samesite=strict", "path=/"} <= words
        assert ("secure" in words) == (scheme == "https")
        assert not [word for word in words if word.startswith("domain")]


@pytest.mark.parametrize(("name", "password"), [("pat", "wrong"), ("nobody", PASSWORD), ("viewer", PASSWORD)])
def test_a_wrong_name_or_password_opens_nothing_and_says_the_same(tmp_path: Path, name: str, password: str) -> None:
    async def play(api: Api) -> None:
        await signed_in(api)
        answer = await api.ask("POST", ME, json={"name": name, "password": password})
        assert (answer.status_code, answer.json()["detail"]) == (401, "name and password do not fit")
        assert "set-cookie" not in answer.headers
        seen = await api.ask("GET", "/v1/session", by="viewer")
        assert (seen.headers["cache-control"], seen.headers["x-content-type-options"]) == ("no-store", "nosniff")

    asked(play, tmp_path)


def test_a_disabled_account_cannot_sign_in(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        await signed_in(api)
        await api.ask("PATCH", "/v1/accounts/pat", by="security-officer", json={"disabled": True})
        answer = await api.ask("POST", ME, json={"name": "pat", "password": PASSWORD})
        assert answer.status_code == 401

    asked(play, tmp_path)


def test_an_unknown_account_costs_as_much_as_a_known_one() -> None:
    assert NOBODYS.split("$")[:4] == hash_password(PASSWORD).split("$")[:4]
    assert not password_matches("", NOBODYS)


def test_after_some_wrong_passwords_there_is_a_pause(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        body = {"name": "nobody", "password": "wrong"}
        for _ in range(BY_BOTH.most):
            assert (await api.ask("POST", ME, json=body)).status_code == 401
        answer = await api.ask("POST", ME, json=body)
        assert answer.status_code == 429
        assert 0 < int(answer.headers["retry-after"]) <= BY_BOTH.seconds + 1

    asked(play, tmp_path)


def test_guesses_at_the_same_time_count_like_guesses_one_by_one(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        body = {"name": "nobody", "password": "wrong"}
        answers = await asyncio.gather(*(api.ask("POST", ME, json=body) for _ in range(20)))
        tried = [answer for answer in answers if answer.status_code == 401]
        assert len(tried) < BY_BOTH.most + AT_ONCE
        assert {answer.status_code for answer in answers} == {401, 429}

    asked(play, tmp_path)


def test_only_so_many_wait_for_their_turn() -> None:
    async def sign_in(attempts: Attempts, name: str, turns: list[str]) -> None:
        async with attempts.turn(name, "192.0.2.1"):
            turns.append(name)

    async def run() -> None:
        attempts, turns = Attempts(clock=lambda: 0.0), list[str]()
        async with attempts.room, attempts.room:
            waiting = [asyncio.create_task(sign_in(attempts, f"name-{n}", turns)) for n in range(MAX_WAITING)]
            await asyncio.sleep(0)
            with pytest.raises(TooOften, match="at the same time") as caught:
                await sign_in(attempts, "late", turns)
            assert caught.value.retry_after == RETRY_WAITING
            waiting.pop().cancel()
            await asyncio.sleep(0)
            waiting.append(asyncio.create_task(sign_in(attempts, "next", turns)))
            await asyncio.sleep(0)
            assert not turns
        await asyncio.gather(*waiting)
        assert len(turns) == MAX_WAITING
        await sign_in(attempts, "afterwards", turns)

    asyncio.run(run())


def test_a_pause_ends_and_concerns_only_who_guessed() -> None:
    seconds = [0.0]
    attempts = Attempts(clock=lambda: seconds[0])
    for _ in range(BY_BOTH.most):
        attempts.failed("pat", "192.0.2.1")
    with pytest.raises(TooOften, match="too many"):
        attempts.check("pat", "192.0.2.1")
    attempts.check("pat", "192.0.2.2")
    attempts.check("sam", "192.0.2.1")
    seconds[0] = BY_BOTH.seconds + 1
    attempts.check("pat", "192.0.2.1")


def test_guessing_many_names_from_one_address_ends_in_a_pause() -> None:
    attempts = Attempts(clock=lambda: 0.0)
    for number in range(BY_ADDRESS.most):
        attempts.failed(f"name-{number}", "192.0.2.1")
    with pytest.raises(TooOften, match="too many"):
        attempts.check("pat", "192.0.2.1")


def test_a_right_password_ends_the_count() -> None:
    attempts = Attempts(clock=lambda: 0.0)
    for _ in range(BY_BOTH.most):
        attempts.failed("pat", "192.0.2.1")
    attempts.succeeded("pat", "192.0.2.1")
    attempts.check("pat", "192.0.2.1")


def test_a_password_matches_itself_alone() -> None:
    kept = hash_password(PASSWORD)
    assert password_matches(PASSWORD, kept)
    assert not password_matches(PASSWORD + " ", kept)
    assert kept != hash_password(PASSWORD)


@pytest.mark.parametrize(
    "kept", ["", "plain", "scrypt$15$8$3$zz$00", "scrypt$99$8$1$00$" + "00" * 32, "scrypt$1$1$1$00$00"]
)
def test_what_is_no_kept_password_matches_nothing(kept: str) -> None:
    assert not password_matches(PASSWORD, kept)


@pytest.mark.parametrize("length", [0, 11, 1025])
def test_a_password_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(ConfigError, match="12 to 1024"):
        hash_password("x" * length)


def test_the_last_security_officer_stays(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        for change in ({"disabled": True}, {"role": "viewer"}):
            answer = await api.ask("PATCH", "/v1/accounts/security-officer", by="security-officer", json=change)
            assert answer.status_code == 409
        assert not [entry for entry in await api.audit() if entry[1] == "account.change"]

    asked(play, tmp_path)


def test_a_second_account_of_a_name_is_refused(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        body = {"name": "pat", "role": "viewer", "project": "another"}
        made = await api.post("/v1/accounts", body, by="security-officer")
        assert (made["project"], made["password"]) == ("another", False)
        await api.post("/v1/accounts", body, by="security-officer", status=409)
        assert (await api.get("/v1/accounts", by="auditor"))["items"][0]["name"] == "pat"

    asked(play, tmp_path)
