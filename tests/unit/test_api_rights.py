"""Who may do what: every route of the API asked by every role, by nobody, and by another project's account."""

import asyncio
import re
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from litestar.routes import HTTPRoute

from bartizan.model.node import Role
from bartizan.web.api.operation import RAW_BODIES
from bartizan.web.api.rights import RIGHTS
from bartizan.web.api.table import OUTSIDE, ROUTES
from tests.architecture.tree import ROOT
from tests.unit.api_side import Api, api

EXAMPLES = {"node": "compute-01", "number": "99", "name": "nobody", "other": "2", "check": "ima.unknown-file"}
NO_RIGHT = {"show_keys", "show_openapi"}
"""Public routes outside the guard."""
OPERATIONS = sorted(str(handler.operation_id) for handler in (*ROUTES, *OUTSIDE))


@cache
def answers() -> dict[tuple[str, str], int]:
    """The status that each operation answers each asker with; its request says nothing useful."""
    found: dict[tuple[str, str], int] = {}

    async def run(folder: Path) -> None:
        async with api(folder) as side:
            await side.account("stranger", Role.OPERATOR, project="another")
            for operation, method, path in listed(await side.get("/v1/openapi.json")):
                for asker in (None, "stranger", *Role):
                    found[operation, str(asker)] = await status_of(side, operation, method, path, asker)

    with TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder)))
    return found


async def status_of(side: Api, operation: str, method: str, path: str, asker: str | None) -> int:
    body: dict[str, Any] = {}
    if method in {"POST", "PATCH", "PUT"}:
        media = RAW_BODIES.get(operation, ("application/json",))[0]
        body = {"content": b"{}", "headers": {"content-type": media}}
    return (await side.ask(method, path, by=asker, **body)).status_code


def listed(document: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Id, method and a path of every operation of the document behind the guard."""
    return [
        (operation["operationId"], method.upper(), re.sub(r"\{(\w+)\}", lambda found: EXAMPLES[found[1]], path))
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if operation["operationId"] not in NO_RIGHT
    ]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_role_that_may_not_is_refused(operation: str) -> None:
    may = RIGHTS[operation].roles

    if may:
        refused = {role for role in Role if answers()[operation, role] == 403}
        assert refused == set(Role) - may


@pytest.mark.parametrize("operation", OPERATIONS)
def test_nobody_is_told_to_sign_in(operation: str) -> None:
    if RIGHTS[operation].roles:
        assert answers()[operation, "None"] == 401
    else:
        assert answers()[operation, "None"] != 403


@pytest.mark.parametrize("operation", OPERATIONS)
def test_what_concerns_every_project_is_not_for_one_projects_accounts(operation: str) -> None:
    right = RIGHTS[operation]

    if right.whole:
        assert answers()[operation, "stranger"] == 403


def test_no_request_without_sense_makes_the_service_fail() -> None:
    assert not {asked: status for asked, status in answers().items() if status >= 500 and asked[0] != "ready"}


def test_every_route_has_a_right_and_every_right_a_route() -> None:
    assert set(OPERATIONS) == set(RIGHTS)
    assert len(OPERATIONS) == len(set(OPERATIONS))


def test_no_route_stands_outside_the_guard(tmp_path: Path) -> None:
    async def run() -> set[str]:
        async with api(tmp_path) as side:
            routes = [route for route in side.app.routes if isinstance(route, HTTPRoute)]
            return {
                str(handler.operation_id)
                for route in routes
                for handler in route.route_handlers
                if not handler.resolve_guards() and "OPTIONS" not in handler.http_methods
            }

    assert asyncio.run(run()) == NO_RIGHT


def test_a_route_without_a_right_would_be_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(RIGHTS, "list_nodes")  # type: ignore[arg-type]  # a Mapping to everybody else

    async def run() -> int:
        async with api(tmp_path) as side:
            return (await side.ask("GET", "/v1/nodes", by="security-officer")).status_code

    assert asyncio.run(run()) == 403


def test_the_docs_show_the_table_as_it_is() -> None:
    page = (ROOT / "docs" / "reference" / "api.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| `[A-Z]+ [^|]+` \| ([^|]*) \|", page, re.MULTILINE)
    assert dict(rows) == {operation: words_of(operation) for operation in RIGHTS}


def words_of(operation: str) -> str:
    """A row's last column."""
    right = RIGHTS[operation]
    every = {frozenset(): "everybody", frozenset(Role): "every role"}
    return every.get(right.roles, ", ".join(sorted(right.roles))) + (" (default project)" if right.whole else "")
