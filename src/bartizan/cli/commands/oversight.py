"""`bartizan alarm`, `audit`, `reappraisal`: the service as a whole, and what people did with it."""

import sys
import time
from collections.abc import Iterator
from typing import Annotated

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from bartizan.cli.asking import asking
from bartizan.cli.console import GOOD, OutputError, console, counted
from bartizan.cli.options import AsJson
from bartizan.cli.watching import EVERY, Every, Look, Watch, watch
from bartizan.cli.wording import ago, say, show_document, span, table_of
from bartizan.connectors.service.client import ServiceClient
from bartizan.connectors.service.documents import Alarm, AuditEntry, Reappraisal
from bartizan.errors import ConfigError, ConnectorError
from bartizan.model.node import Role

JSON_LINES = "application/jsonl"
LINES = 1000
"""Entries of the audit that are asked for at once."""
alarms = typer.Typer(no_args_is_help=True, help="Alarms about the service as a whole.", rich_markup_mode=None)


@alarms.callback()
def _alarms() -> None:
    """Alarms about the service as a whole."""


@alarms.command("list")
@asking()
def list_alarms(
    client: ServiceClient,
    *,
    show_all: Annotated[bool, typer.Option("--all", help="Cleared ones as well.")] = False,
    watching: Watch = False,
    every: Every = EVERY,
    as_json: AsJson = False,
) -> int:
    """List the alarms that stand: many nodes late at once, the service having been away, damage to what it keeps.

    Example: `bartizan alarm list --watch`. Exit: 0 listed, 2 refused, 3 the service cannot be asked.
    """

    def found() -> list[Alarm]:
        return list(client.items("/v1/alarms", Alarm, [("standing", None if show_all else True)]))

    if watching:
        return watch(lambda: _look(found()), every=every, as_json=as_json)
    some = found()
    if as_json:
        show_document({"alarms": some})
    elif some:
        console.print(_table(some))
    else:
        say("no alarm stands" if not show_all else "there never was an alarm")
    return GOOD


def _cleared(alarm: Alarm) -> Text:
    return Text("stands", style="bold red") if alarm.cleared_at is None else Text(ago(alarm.cleared_at))


def _table(some: list[Alarm]) -> Table:
    rows: list[list[str | Text]] = [[one.kind, ago(one.raised_at), _cleared(one), one.why] for one in some]
    return table_of(["alarm", "raised", "cleared", "why"], rows, fold="why")


def _look(some: list[Alarm]) -> Look:
    return Look(
        shown=_table(some) if some else Text("no alarm stands"),
        lines={f"{one.kind} {one.id}": f"{_cleared(one).plain}: {one.why}" for one in some},
    )


@asking()
def reappraisal(
    client: ServiceClient, *, watching: Watch = False, every: Every = EVERY, as_json: AsJson = False
) -> int:
    """Say how far judging every node anew has come, after the last change of policy or Reference Values.

    Example: `bartizan reappraisal --watch`. Exit: 0 said, 2 refused, 3 the service cannot be asked.
    """

    def found() -> Reappraisal:
        return client.get("/v1/reappraisal", Reappraisal)

    if watching:
        return watch(lambda: _progress(found()), every=every, as_json=as_json)
    one = found()
    if as_json:
        show_document(one)
    else:
        say(_sentence(one))
    return GOOD


def _progress(one: Reappraisal) -> Look:
    return Look(shown=Text(_sentence(one)), lines={"reappraisal": _sentence(one)})


def _sentence(one: Reappraisal) -> str:
    if one.begun_at is None:
        return "nothing was judged anew since the service started"
    changed = f"{counted(one.changed, 'verdict')} changed"
    if one.ended_at is None:
        return f"{one.done} of {counted(one.total, 'node')} judged anew since {ago(one.begun_at)}, {changed}"
    took = span((one.ended_at - one.begun_at).total_seconds())
    return f"{counted(one.done, 'node')} judged anew {ago(one.ended_at)}, in {took}; {changed}"


@asking(Role.AUDITOR)
def audit(
    client: ServiceClient,
    *,
    after: Annotated[
        int, typer.Option("--after", help="Only what came behind the entry of this id.", min=0, metavar="ID")
    ] = 0,
    follow: Annotated[bool, typer.Option("--follow", help="Go on with what comes, until Ctrl-C.")] = False,
    every: Annotated[int, typer.Option("--every", help="Seconds between two looks of --follow.", min=1)] = EVERY,
    as_json: AsJson = False,
) -> int:
    """Print everything that anybody changed, as JSON lines in its order. With --json, as one document instead.

    Example: `bartizan audit --follow >> audit.jsonl`. Needs the role auditor.

    Exit: 0 printed, 2 refused, 3 the service cannot be asked.
    """
    if as_json and follow:
        raise ConfigError("--follow never ends, and --json is one document; without --json each line is a document")
    if as_json:
        show_document({"audit": [entry for _, entry in _entries(client, after)]})
        return GOOD
    try:
        _print_on(client, after, every=every if follow else None)
    except KeyboardInterrupt:
        return GOOD
    return GOOD


def _print_on(client: ServiceClient, after: int, *, every: int | None) -> None:
    while True:
        for line, entry in _entries(client, after):
            _write(line)
            after = entry.id
        sys.stdout.flush()
        if every is None:
            return
        time.sleep(every)


def _entries(client: ServiceClient, after: int) -> Iterator[tuple[str, AuditEntry]]:
    """The lines behind an entry, as they came and as they are read."""
    while True:
        lines = client.text("/v1/audit", JSON_LINES, [("after", after), ("limit", LINES)]).splitlines()
        for line in lines:
            entry = _entry(line)
            if entry.id <= after:
                raise ConnectorError(f"{client.url}: its audit goes backwards at entry {entry.id}")
            after = entry.id
            yield line, entry
        if len(lines) < LINES:
            return


def _entry(line: str) -> AuditEntry:
    try:
        return msgspec.json.decode(line, type=AuditEntry)
    except msgspec.DecodeError as error:
        raise ConnectorError(f"a line of the audit is not what was expected: {error}") from error


def _write(line: str) -> None:
    try:
        sys.stdout.write(line + "\n")
    except OSError as error:
        raise OutputError(error) from error
