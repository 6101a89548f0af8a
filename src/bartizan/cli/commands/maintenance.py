"""`bartizan maintenance`: who works on what until when."""

from typing import Annotated

import typer

from bartizan.cli.asking import asking
from bartizan.cli.commands.finding import Reason, Scope, Until
from bartizan.cli.console import GOOD, console
from bartizan.cli.options import AsJson
from bartizan.cli.times import until
from bartizan.cli.wording import clock, hint, now, say, show_document, table_of
from bartizan.connectors.service.client import ServiceClient
from bartizan.connectors.service.documents import Window

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
    found = list(client.items(PATH, Window, [("current", None if show_all else True)]))
    if as_json:
        show_document({"windows": found})
    elif found:
        rows = [
            [str(one.id), one.scope, clock(one.begins_at), clock(one.ends_at), f"{one.created_by}: {one.reason}"]
            for one in found
        ]
        console.print(table_of(["id", "for", "from", "until", "who, why"], rows, fold="who, why"))
    else:
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
    wanted = {"scope": scope, "reason": reason, "ends_at": until(end, option="--until", now=now())}
    if begin is not None:
        wanted["begins_at"] = until(begin, option="--from", now=now())
    made = client.send("POST", PATH, Window, wanted)
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
    client.send("DELETE", f"{PATH}/{number}", type(None))
    if as_json:
        show_document({"closed": number})
    else:
        say(f"closed: maintenance window {number}")
    return GOOD
