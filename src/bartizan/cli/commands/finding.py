"""`bartizan finding`: what is not in order across the fleet, and what people say of it."""

from datetime import datetime
from typing import Annotated

import typer
from rich.console import Group
from rich.table import Table
from rich.text import Text

from bartizan.cli.asking import asking
from bartizan.cli.completing import checks
from bartizan.cli.console import GOOD, console, counted, mark, urgency
from bartizan.cli.options import AsJson
from bartizan.cli.statements import Reason, Scope, Until, ended, listed, stated
from bartizan.cli.watching import EVERY, Every, Look, Watch, watch
from bartizan.cli.wording import ago, hint, say, show_document, table_of, wide
from bartizan.connectors.service.client import ServiceClient
from bartizan.connectors.service.documents import FindingGroup, FindingGroups
from bartizan.model.result import Tier

PATH = "/v1/acknowledgements"
app = typer.Typer(no_args_is_help=True, help="What is not in order across the fleet.", rich_markup_mode=None)


@app.command("list")
@asking()
def list_findings(
    client: ServiceClient, *, watching: Watch = False, every: Every = EVERY, as_json: AsJson = False
) -> int:
    """List what is not in order by check: at how many nodes, and an example.

    Example: `bartizan finding list`, then `bartizan node list --check ima.known-files` for the nodes of one.

    Exit: 0 listed, 2 refused, 3 the service cannot be asked.
    """

    def found() -> list[FindingGroup]:
        groups = client.get("/v1/findings", FindingGroups).items
        return sorted(groups, key=lambda group: (urgency(Tier(group.tier)), -group.nodes))

    if watching:
        return watch(lambda: _look(found()), every=every, as_json=as_json)
    groups = found()
    if as_json:
        show_document({"findings": groups})
    elif groups:
        console.print(_table(groups))
        hint("bartizan node list --check CHECK: the nodes of one; bartizan gap: what would lift them")
    else:
        say("nothing is out of order at any node that attested")
        hint("bartizan node list: who did")
    return GOOD


def _look(groups: list[FindingGroup]) -> Look:
    lines = {group.check: f"{group.tier} at {counted(group.nodes, 'node')}, as at {group.example}" for group in groups}
    return Look(shown=Group(_table(groups)) if groups else Text("nothing is out of order"), lines=lines)


def _table(groups: list[FindingGroup]) -> Table:
    columns = ["tier", "check", "nodes", "for example"]
    rows: list[list[str | Text]] = []
    for group in groups:
        row: list[str | Text] = [mark(Tier(group.tier)), group.check, str(group.nodes), group.example]
        rows.append([*row, group.why] if wide() else row)
    return table_of([*columns, "why"] if wide() else columns, rows, fold="why" if wide() else "for example")


@app.command()
@asking()
def acknowledge(
    client: ServiceClient,
    *,
    check: Annotated[
        str, typer.Argument(help="The check, as `finding list` shows it.", metavar="CHECK", autocompletion=checks)
    ],
    scope: Scope,
    reason: Reason,
    end: Until,
    path: Annotated[str | None, typer.Option("--path", help="Only findings about this file.", metavar="PATH")] = None,
    as_json: AsJson = False,
) -> int:
    """Say that a finding is known, for a time of at most 90 days. It is shown beside it; no verdict changes.

    Example: `bartizan finding acknowledge ima.known-files --scope role:compute --reason 'new tool' --until 7d`.
    Needs the role operator.

    Exit: 0 acknowledged, 2 refused, 3 the service cannot be asked.
    """
    more: dict[str, str | datetime | None] = {"check": check, "path": path}
    made = stated(client, PATH, scope=scope, reason=reason, end=end, more=more)
    if as_json:
        show_document({"acknowledgement": made})
    else:
        say(f"acknowledged: {made.check} for {made.scope}, ends {ago(made.ends_at)}")
        hint(f"bartizan finding withdraw {made.id}: take it back")
    return GOOD


@app.command()
@asking()
def acknowledged(
    client: ServiceClient,
    *,
    show_all: Annotated[bool, typer.Option("--all", help="Those that are over as well.")] = False,
    as_json: AsJson = False,
) -> int:
    """List acknowledgements that count now.

    Example: `bartizan finding acknowledged --all`. Exit: 0 listed, 2 refused, 3 the service cannot be asked.
    """
    if not listed(client, PATH, name="acknowledgements", show_all=show_all, as_json=as_json):
        say("no acknowledgement counts now" if not show_all else "nothing was ever acknowledged")
    return GOOD


@app.command()
@asking()
def withdraw(
    client: ServiceClient,
    *,
    number: Annotated[int, typer.Argument(help="As `finding acknowledged` shows it.", metavar="ID", min=1)],
    as_json: AsJson = False,
) -> int:
    """Take an acknowledgement back before its time.

    Example: `bartizan finding withdraw 3`. Needs the role operator.

    Exit: 0 withdrawn, 2 refused, 3 the service cannot be asked.
    """
    text = f"withdrawn: acknowledgement {number}"
    return ended(client, PATH, number, name="withdrawn", text=text, as_json=as_json)
