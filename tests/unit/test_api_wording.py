"""Refused requests say what was expected and what came, in words of the API and not of what reads it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from bartizan.web.api.faults import PATTERNS, said
from tests.unit.api_side import Api, asked

TOKEN = {"name": "compute-01", "role": "compute"}
WINDOW = {"scope": "all", "reason": "x", "ends_at": "2026-07-01T00:00:00Z"}
BODIES: list[tuple[str, Any, str]] = [
    ("/v1/join-tokens", TOKEN | {"name": "a b"}, "name: 1 to 128 characters of A-Z a-z 0-9 . _ - expected"),
    ("/v1/join-tokens", TOKEN | {"name": "x" * 200}, "name: at most 128 characters expected"),
    ("/v1/join-tokens", TOKEN | {"name": ""}, "name: some text expected, found none"),
    ("/v1/join-tokens", {"role": "compute"}, "the field name is missing"),
    ("/v1/join-tokens", TOKEN | {"colour": 1}, "colour is no field of it"),
    ("/v1/join-tokens", TOKEN | {"hours": "many"}, "hours: a whole number expected, found text"),
    ("/v1/join-tokens", TOKEN | {"hours": 0}, "hours: at least 1 expected"),
    ("/v1/join-tokens", [], "an object expected, found a list"),
    ("/v1/maintenance", WINDOW | {"scope": "everybody"}, "scope: all, node:NAME or role:ROLE expected"),
    ("/v1/maintenance", WINDOW | {"reason": "a\nb"}, "reason: text on one line, without control characters expected"),
    ("/v1/maintenance", WINDOW | {"ends_at": "soon"}, "ends_at: a time such as 2026-12-24T18:00:00Z expected"),
    ("/v1/maintenance", WINDOW | {"ends_at": "2026-07-01T00:00:00"}, "expected, with its time zone"),
]
ADDRESSES = [
    ("/v1/nodes/a%20b", "node: 1 to 128 characters of A-Z a-z 0-9 . _ - expected, found 'a b'"),
    ("/v1/nodes?limit=9999", "limit: at most 500 expected, found '9999'"),
    ("/v1/nodes?min_level=x", "min_level: a whole number or null expected, found text"),
    ("/v1/nodes?sort=weird", "sort: 'weird' is none of the values that there are"),
    ("/v1/nodes?name=**", "name: at most 128 characters of A-Z a-z 0-9 . _ -, with or without a * at the end expected"),
    ("/v1/nodes/x/result?nonce=1", "nonce: 8 to 88 characters of A-Z a-z 0-9 + / = _ . - expected, found '1'"),
]
OURS = re.compile(r"`(str|int|object)`|regex|Validation failed|msgspec")


def test_a_body_that_is_refused_says_what_was_expected(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        for path, body, words in BODIES:
            answer = await api.post(path, body, status=400)
            assert words in answer["errors"][0], answer
            assert not OURS.search(json.dumps(answer))

    asked(play, tmp_path)


def test_an_address_that_is_refused_says_what_came(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        for path, words in ADDRESSES:
            answer = await api.get(path, by="operator", status=400)
            assert words in answer["errors"][0], answer
            assert not OURS.search(json.dumps(answer))

    asked(play, tmp_path)


def test_a_body_that_is_no_json_is_called_so(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        for raw in (b"{", b"\xff", b"{]"):
            headers = {"content-type": "application/json"}
            answer = await api.post("/v1/join-tokens", content=raw, headers=headers, status=400)
            assert answer["detail"].startswith("the body is no JSON"), answer

    asked(play, tmp_path)


@pytest.mark.parametrize("host", ["here:port", "here:99999", ""])
def test_a_host_that_is_none_is_refused_and_no_failure(tmp_path: Path, host: str) -> None:
    async def play(api: Api) -> None:
        answer = await api.ask("POST", "/v1/join-tokens", by="operator", json={"": 1}, headers={"host": host})
        assert (answer.status_code, "Host:" in answer.text) == (400, True)

    asked(play, tmp_path)


def test_every_pattern_of_the_api_has_words(tmp_path: Path) -> None:
    async def play(api: Api) -> None:
        document = await api.get("/v1/openapi.json")
        patterns = set(re.findall(r'"pattern": "((?:[^"\\]|\\.)*)"', json.dumps(document)))
        assert {json.loads(f'"{one}"') for one in patterns} == set(PATTERNS)

    asked(play, tmp_path)


@pytest.mark.parametrize("words", ["Something new", "Expected `str` matching regex 'unheard-of'"])
def test_a_message_that_is_not_known_is_told_all_the_same(words: str) -> None:
    assert said(words) in {words, "another form expected"}
