"""What acknowledgements and maintenance windows have in common at the command line: options, the list, the end."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from bartizan.cli.completing import scopes
from bartizan.cli.console import GOOD, console
from bartizan.cli.times import until
from bartizan.cli.wording import clock, now, say, show_document, table_of
from bartizan.connectors.service.client import ServiceClient
from bartizan.connectors.service.documents import Statement

Scope = Annotated[
    str,
    typer.Option(
        "--scope", help="For which nodes: node:NAME, role:ROLE or all.", metavar="SCOPE", autocompletion=scopes
    ),
]
Until = Annotated[str, typer.Option("--until", help="30m, 4h, 7d, or a time in UTC.", metavar="TIME")]
Reason = Annotated[str, typer.Option("--reason", help="Why; it is kept in the audit.", metavar="TEXT")]


def stated(
    client: ServiceClient, path: str, *, scope: str, reason: str, end: str, more: dict[str, str | datetime | None]
) -> Statement:
    """Say it. end: as it was typed; more: what only this kind says, None where it does not."""
    wanted: dict[str, str | datetime | None] = {"scope": scope, "reason": reason}
    wanted |= {"ends_at": until(end, option="--until", now=now())}
    return client.send("POST", path, Statement, wanted | {key: value for key, value in more.items() if value})


def listed(client: ServiceClient, path: str, *, name: str, show_all: bool, as_json: bool) -> bool:
    """Show those that count now, or all; True if there was something to show. name: of the JSON member."""
    found = list(client.items(path, Statement, [("current", None if show_all else True)]))
    if as_json:
        show_document({name: found})
        return True
    if found:
        console.print(_table(found))
    return bool(found)


def ended(client: ServiceClient, path: str, number: int, *, name: str, text: str, as_json: bool) -> int:
    """Take one back. name: of the JSON member."""
    client.send("DELETE", f"{path}/{number}", type(None))
    if as_json:
        show_document({name: number})
    else:
        say(text)
    return GOOD


def _table(found: Sequence[Statement]) -> Table:
    about = any(one.check for one in found)
    rows: list[list[str | Text]] = []
    for one in found:
        said = f"{one.created_by}: {one.reason}" + (f" [{one.path}]" if one.path else "")
        check = [one.check or ""] if about else []
        rows.append([str(one.id), *check, one.scope, clock(one.begins_at), clock(one.ends_at), said])
    return table_of(["id", *(["check"] if about else []), "for", "from", "until", "who, why"], rows, fold="who, why")
