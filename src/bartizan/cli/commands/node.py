"""`bartizan node`: the fleet as the service sees it now."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.console import Group
from rich.table import Table
from rich.text import Text

from bartizan.cli.asking import asking
from bartizan.cli.completing import checks, nodes
from bartizan.cli.console import GOOD, NO_PLACE, console, counted, signed
from bartizan.cli.options import AsJson
from bartizan.cli.watching import EVERY, Every, Look, Watch, watch
from bartizan.cli.wording import (
    ago,
    clock,
    facts,
    hint,
    level_mark,
    level_text,
    say,
    show_document,
    state_mark,
    table_of,
    wide,
)
from bartizan.connectors.service.client import Query, ServiceClient
from bartizan.connectors.service.documents import HistoryEntry, Node, Result
from bartizan.errors import DeclinedError

MISSING = 404
app = typer.Typer(no_args_is_help=True, help="Nodes: who is enrolled, and how far trusted now.", rich_markup_mode=None)
NodeName = Annotated[str, typer.Argument(help="A node's name, or its id.", metavar="NODE", autocompletion=nodes)]
Limit = Annotated[int | None, typer.Option("--limit", help="At most so many; all without it.", metavar="N", min=1)]


class Current(StrEnum):
    """How current a verdict is."""

    FRESH = "fresh"
    LATE = "late"
    EXPIRED = "expired"


class Order(StrEnum):
    """What a list of nodes is sorted by."""

    NAME = "name"
    LEVEL = "level"
    DUE = "due"
    ENROLLED = "enrolled"


def path_of(node: str, more: str = "") -> str:
    """A node's path in the API."""
    return f"/v1/nodes/{quote(node, safe='')}{more}"


@app.command("list")
@asking()
def list_nodes(
    client: ServiceClient,
    *,
    name: Annotated[
        str | None, typer.Option("--name", help="A name, or how it begins: 'compute-*'.", metavar="NAME")
    ] = None,
    role: Annotated[str | None, typer.Option("--role", help="Nodes of this role.", metavar="ROLE")] = None,
    state: Annotated[Current | None, typer.Option("--state", help="Nodes whose verdict is so current.")] = None,
    min_level: Annotated[
        int | None, typer.Option("--min-level", help="This level or more.", min=0, max=6, metavar="LEVEL")
    ] = None,
    max_level: Annotated[
        int | None, typer.Option("--max-level", help="This level or less.", min=0, max=6, metavar="LEVEL")
    ] = None,
    contraindicated: Annotated[bool, typer.Option("--contraindicated", help="Only these.")] = False,
    check: Annotated[
        str | None,
        typer.Option("--check", help="Nodes where this check is not in order.", metavar="ID", autocompletion=checks),
    ] = None,
    retired: Annotated[bool, typer.Option("--retired", help="Retired nodes instead of the enrolled.")] = False,
    sort: Annotated[Order, typer.Option("--sort", help="In which order.")] = Order.NAME,
    limit: Limit = None,
    watching: Watch = False,
    every: Every = EVERY,
    as_json: AsJson = False,
) -> int:
    """List nodes: level, state, when each attested last, and why its last attempt was refused.

    Examples: `bartizan node list --max-level 3` (what is kept below level 4), `bartizan node list --watch`.

    Exit: 0 listed, 2 refused, 3 the service cannot be asked.
    """
    filters: Query = (
        ("name", name),
        ("role", role),
        ("state", state and state.value),
        ("min_level", min_level),
        ("max_level", max_level),
        ("contraindicated", contraindicated or None),
        ("check", check),
        ("retired", retired or None),
    )
    filtered = any(value is not None for _, value in filters)
    query: Query = (*filters, ("sort", sort.value))

    def found() -> list[Node]:
        return list(client.items("/v1/nodes", Node, query, most=limit))

    if watching:
        return watch(lambda: _look(found()), every=every, as_json=as_json)
    nodes = found()
    if as_json:
        show_document({"nodes": nodes})
    elif nodes:
        console.print(_table(nodes))
        say(_summary(nodes), style="dim")
    elif filtered:
        say("no node like that; `bartizan node list` shows all")
    else:
        say("no node is enrolled yet. Let the first one in with:")
        hint("  bartizan token create NAME --role compute")
    return GOOD


def _look(nodes: Sequence[Node]) -> Look:
    lines = {node.name: _line(node) for node in nodes}
    shown = Group(_table(nodes), Text(_summary(nodes), style="dim")) if nodes else Text("no node so far")
    return Look(shown=shown, lines=lines)


def _line(node: Node) -> str:
    bad = ", contraindicated" if node.contraindicated else ""
    refused = f", refused: {node.refusal}" if node.refusal else ""
    return f"level {level_text(node.level)}, {_state(node).plain}{bad}{refused}"


def _table(nodes: Sequence[Node]) -> Table:
    columns = ["node", "role", "level", "state", "attested"]
    with_refusals = any(node.refusal for node in nodes)
    if wide():
        columns += ["agent", "enrolled"]
    if with_refusals:
        columns.append("last attempt refused")
    rows = []
    for node in nodes:
        row: list[str | Text] = [
            node.name,
            node.role,
            level_mark(node.level, contraindicated=node.contraindicated),
            _state(node),
            ago(node.attested_at),
        ]
        row += [node.agent or NO_PLACE, ago(node.enrolled_at)] if wide() else []
        row += [node.refusal or ""] if with_refusals else []
        rows.append(row)
    return table_of(columns, rows, fold="last attempt refused" if with_refusals else "node")


def _state(node: Node) -> Text:
    """How current its verdict is; one that has none yet is not fresh to whoever looks at a list."""
    if node.retired_at is not None:
        return Text(signed("– retired"), style="dim")
    if not node.attested and node.state == Current.FRESH:
        return Text(signed("– waits"), style="magenta")
    return state_mark(node.state)


def _attested(node: Node) -> str:
    times = f" ({counted(node.attested, 'time')})" if node.attested else ""
    return f"{ago(node.attested_at)}{times}, due {ago(node.due_at)}"


def _summary(nodes: Sequence[Node]) -> str:
    parts = [counted(len(nodes), "node")]
    for state in Current:
        count = sum(node.state == state and node.attested > 0 and node.retired_at is None for node in nodes)
        parts += [f"{count} {state}"] if count else []
    silent = sum(not node.attested and node.retired_at is None for node in nodes)
    parts += [f"{silent} not attested yet"] if silent else []
    bad = sum(node.contraindicated for node in nodes)
    return ", ".join(parts + ([f"{bad} contraindicated"] if bad else []))


@app.command()
@asking()
def show(client: ServiceClient, *, node: NodeName, as_json: AsJson = False) -> int:
    """Show one node: who it is, how far it is trusted now, and what keeps it from the next level.

    Example: `bartizan node show compute-01`. Exit: 0 shown, 2 no such node, 3 the service cannot be asked.
    """
    found = client.get(path_of(node), Node)
    verdict = _verdict(client, found)
    if as_json:
        show_document({"node": found, "result": None if verdict is None else verdict.result})
        return GOOD
    say(f"{found.name} ({found.role})", style="bold")
    console.print(facts(_facts(found)))
    if verdict is None:
        say("Nothing was accepted of it yet; on the node, `bartizan-agent status` says how its agent is doing.")
        return GOOD
    _show_next(verdict.result)
    hint(f"bartizan node findings {found.name}: what is not in order; bartizan result get {found.name}: the verdict")
    return GOOD


def _verdict(client: ServiceClient, node: Node) -> Result | None:
    if not node.attested:
        return None
    try:
        return client.get(path_of(node.id, "/result"), Result)
    except DeclinedError as error:
        if error.status == MISSING:
            return None
        raise


def _facts(node: Node) -> list[tuple[str, str | Text]]:
    vouched = "its EK, registered beforehand" if node.registered else "its EK's certificate"
    rows: list[tuple[str, str | Text]] = [
        ("level", level_mark(node.level, contraindicated=node.contraindicated)),
        ("state", _state(node)),
        ("attested", _attested(node)),
        ("enrolled", f"{clock(node.enrolled_at)} by {node.enrolled_by}; accepted for {vouched}"),
        ("agent", node.agent or NO_PLACE),
        ("id", node.id),
        ("EK name", node.ek_name),
        ("AK name", node.ak_name),
        ("bank", node.pinned_bank),
        ("project", node.project),
    ]
    if node.approved_by:
        rows.append(("approved by", node.approved_by))
    if node.refusal:
        rows.append(("last refused", Text(f"{ago(node.attempted_at)}: {node.refusal}", style="red")))
    if node.retired_at:
        rows.append(("retired", clock(node.retired_at)))
    return rows


def _show_next(result: dict[str, Any]) -> None:
    """The first rung that does not hold, and the checks that keep it from it."""
    ladder = sorted(result.get("ladder") or [], key=lambda rung: rung["level"])
    above = next((rung for rung in ladder if rung["level"] > result["level"]), None)
    if above is not None:
        missing = ", ".join(above.get("missing") or []) or "checks that were not made"
        say(f"kept from level {above['level']} {above['name']} by: {missing}")


@app.command()
@asking()
def retire(
    client: ServiceClient,
    *,
    node: NodeName,
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept in the audit.", metavar="TEXT")],
    as_json: AsJson = False,
) -> int:
    """Take a node out of service; its history stays, and its name and TPM may enrol anew.

    Example: `bartizan node retire compute-01 --reason 'board returned to the maker'`. Needs the role operator.

    Exit: 0 retired, 2 refused, 3 the service cannot be asked.
    """
    gone = client.send("POST", path_of(node, "/retire"), Node, {"reason": reason})
    if as_json:
        show_document({"node": gone})
        return GOOD
    say(f"retired: {gone.name} ({gone.id})")
    return GOOD


@app.command()
@asking()
def history(client: ServiceClient, *, node: NodeName, limit: Limit = 50, as_json: AsJson = False) -> int:
    """Show a node's former verdicts, the newest first: one line for each change, from its first to its last time.

    Example: `bartizan node history compute-01 --limit 5`. Exit: 0 shown, 2 no such node, 3 the service cannot be asked.
    """
    entries = list(client.items(path_of(node, "/history"), HistoryEntry, most=limit))
    if as_json:
        show_document({"history": entries})
    elif entries:
        rows = [_history_row(entry) for entry in entries]
        console.print(table_of(["number", "from", "until", "boot", "level"], rows, fold="level"))
    else:
        say("nothing was accepted of this node yet")
    return GOOD


def _history_row(entry: HistoryEntry) -> list[str | Text]:
    boot = NO_PLACE if entry.boot is None else str(entry.boot)
    mark = level_mark(entry.level, contraindicated=entry.contraindicated)
    return [str(entry.number), clock(entry.first_at), clock(entry.last_at), boot, mark]
