"""`bartizan maintenance`: who works on what until when."""

from typing import Annotated

import typer

from bartizan.cli.asking import asking
from bartizan.cli.console import GOOD
from bartizan.cli.options import AsJson
from bartizan.cli.statements import Reason, Scope, Until, ended, listed, stated
from bartizan.cli.times import until
from bartizan.cli.wording import clock, hint, now, say, show_document
from bartizan.connectors.service.client import ServiceClient

PATH = "/v1/maintenance"
app = typer.Typer(no_args_is_help=True, help="Maintenance windows: who works on what.", rich_markup_mode=None)


@app.command("list")
@asking()
def list_windows(
    client: ServiceClient,
    *,
    show_all: Annotated[bool, typer.Option("--all", help="Those that are over as well, and those to come.")] = False,
    as_json: AsJson = False,
) -> int:
    """List the maintenance windows that are open now.

    Example: `bartizan maintenance list --all`. Exit: 0 listed, 2 refused, 3 the service cannot be asked.
    """
    if not listed(client, PATH, name="windows", show_all=show_all, as_json=as_json):
        say("no maintenance window is open" if not show_all else "there never was a maintenance window")
        hint("  bartizan maintenance open --scope node:NAME --until 4h --reason TEXT")
    return GOOD


@app.command("open")
@asking()
def open_window(
    client: ServiceClient,
    *,
    scope: Scope,
    reason: Reason,
    end: Until,
    begin: Annotated[str | None, typer.Option("--from", help="When it begins; now without it.", metavar="TIME")] = None,
    as_json: AsJson = False,
) -> int:
    """Open a maintenance window of at most 30 days. It is shown beside findings; no verdict changes.

    Example: `bartizan maintenance open --scope role:compute --until 4h --reason 'kernel update'`.
    Needs the role operator.

    Exit: 0 open, 2 refused, 3 the service cannot be asked.
    """
    begins = None if begin is None else until(begin, option="--from", now=now())
    made = stated(client, PATH, scope=scope, reason=reason, end=end, more={"begins_at": begins})
    if as_json:
        show_document({"window": made})
    else:
        say(f"maintenance of {made.scope} from {clock(made.begins_at)} until {clock(made.ends_at)}")
        hint(f"bartizan maintenance close {made.id}: end it before")
    return GOOD


@app.command()
@asking()
def close(
    client: ServiceClient,
    *,
    number: Annotated[int, typer.Argument(help="As `maintenance list` shows it.", metavar="ID", min=1)],
    as_json: AsJson = False,
) -> int:
    """End a maintenance window now.

    Example: `bartizan maintenance close 2`. Needs the role operator.

    Exit: 0 closed, 2 refused, 3 the service cannot be asked.
    """
    text = f"closed: maintenance window {number}"
    return ended(client, PATH, number, name="closed", text=text, as_json=as_json)
