"""`bartizan token`: join tokens, with which nodes come in."""

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from bartizan.app.evidence_folder import read_file
from bartizan.cli.asking import asking
from bartizan.cli.console import GOOD, console, counted
from bartizan.cli.options import AsJson
from bartizan.cli.wording import ago, clock, hint, now, say, show_document, table_of, wide
from bartizan.connectors.service.client import ServiceClient
from bartizan.connectors.service.documents import JoinToken, JoinTokenMade, JoinTokenWanted, Registered, RegisteredKey

PATH = "/v1/join-tokens"
KEYS = "/v1/endorsement-keys"
MAX_KEYS = 16 << 20
app = typer.Typer(no_args_is_help=True, help="Join tokens: how nodes come in.", rich_markup_mode=None)


@app.command()
@asking()
def create(
    client: ServiceClient,
    *,
    name: Annotated[str, typer.Argument(help="The name that the node will have.", metavar="NAME")],
    role: Annotated[str, typer.Option("--role", help="What the node is for.", metavar="ROLE")] = "compute",
    hours: Annotated[int, typer.Option("--hours", help="How long the token is good.", min=1, max=2160)] = 24,
    as_json: AsJson = False,
) -> int:
    """Make a token for one node and print the line that enrols it. The token is shown this once.

    Example: `bartizan token create compute-01 --role compute`. Needs the role operator.

    Exit: 0 made, 2 refused, 3 the service cannot be asked.
    """
    made = client.send("POST", PATH, JoinTokenMade, JoinTokenWanted(name=name, role=role, hours=hours))
    if as_json:
        show_document(made)
        return GOOD
    say(f"{made.made.name} ({made.made.role}) may enrol once until {clock(made.made.expires_at)}. There, as root:")
    console.print()
    console.print(Text(made.line, style="bold"), soft_wrap=True)
    console.print()
    hint(f"The token is not shown again; `bartizan token withdraw {made.made.id}` makes it useless.")
    return GOOD


@app.command("list")
@asking()
def list_tokens(
    client: ServiceClient,
    *,
    show_all: Annotated[bool, typer.Option("--all", help="Used and expired ones as well.")] = False,
    as_json: AsJson = False,
) -> int:
    """List the join tokens that still let a node in, the newest first.

    Example: `bartizan token list --all`. Exit: 0 listed, 2 refused, 3 the service cannot be asked.
    """
    tokens = [token for token in client.items(PATH, JoinToken) if show_all or _waits(token)]
    if as_json:
        show_document({"tokens": tokens})
    elif tokens:
        columns = ["id", "node", "role", "state", "made"] + (["by"] if wide() else [])
        console.print(table_of(columns, [_row(one) for one in tokens], fold="node"))
    else:
        say("no token waits for its node. Make one with:" if not show_all else "no token was ever made. Make one with:")
        hint("  bartizan token create NAME --role compute")
    return GOOD


def _row(token: JoinToken) -> list[str | Text]:
    row: list[str | Text] = [str(token.id), token.name, token.role, _state(token), ago(token.created_at)]
    return row + ([token.created_by] if wide() else [])


def _waits(token: JoinToken) -> bool:
    return token.used_at is None and token.expires_at > now()


def _state(token: JoinToken) -> Text:
    if token.used_at is not None:
        return Text(f"used {ago(token.used_at)}", style="dim")
    if token.expires_at <= now():
        return Text(f"ended {ago(token.expires_at)}", style="dim")
    return Text(f"waits, ends {ago(token.expires_at)}")


@app.command()
@asking()
def withdraw(
    client: ServiceClient,
    *,
    token: Annotated[int, typer.Argument(help="Its id, as `token list` shows it.", metavar="ID", min=1)],
    as_json: AsJson = False,
) -> int:
    """Make a join token useless that was not used.

    Example: `bartizan token withdraw 7`. Exit: 0 withdrawn, 2 refused, 3 the service cannot be asked.
    """
    client.send("DELETE", f"{PATH}/{token}", type(None))
    if as_json:
        show_document({"withdrawn": token})
    else:
        say(f"withdrawn: join token {token}")
    return GOOD


@app.command("import")
@asking()
def import_keys(
    client: ServiceClient,
    *,
    file: Annotated[
        Path, typer.Argument(help="Lines of name,role,ek_name; a first line that says so.", metavar="FILE")
    ],
    as_json: AsJson = False,
) -> int:
    """Register nodes' EKs from a CSV file: they enrol without a token. All lines or none; bad ones are named.

    The EK Name is what `bartizan-agent once --show` prints on the node. Example: `bartizan token import rack-7.csv`,
    its first line `name,role,ek_name`. Needs the role operator.

    Exit: 0 registered, 2 refused, 3 the service cannot be asked.
    """
    found = client.upload(KEYS, Registered, read_file(file, limit=MAX_KEYS), "text/csv")
    if as_json:
        show_document(found)
    else:
        say(f"registered: {counted(found.new, 'new EK')}")
        hint("bartizan token registered: all of them; bartizan token unregister ID: take one back")
    return GOOD


@app.command()
@asking()
def registered(client: ServiceClient, *, as_json: AsJson = False) -> int:
    """List the EKs that are registered: their nodes enrol without a token, once.

    Example: `bartizan token registered`. Exit: 0 listed, 2 refused, 3 the service cannot be asked.
    """
    found = list(client.items(KEYS, RegisteredKey))
    if as_json:
        show_document({"registered": found})
    elif found:
        rows = [[str(one.id), one.name, one.role, one.ek_name] for one in found]
        console.print(table_of(["id", "node", "role", "EK name"], rows, fold="EK name"))
    else:
        say("no EK is registered. Register some with:")
        hint("  bartizan token import FILE")
    return GOOD


@app.command()
@asking()
def unregister(
    client: ServiceClient,
    *,
    number: Annotated[int, typer.Argument(help="Its id, as `token registered` shows it.", metavar="ID", min=1)],
    as_json: AsJson = False,
) -> int:
    """Take the registration of an EK back: nobody comes in by it any more. A node that did stays.

    Example: `bartizan token unregister 4`. Needs the role operator.

    Exit: 0 taken back, 2 refused, 3 the service cannot be asked.
    """
    client.send("DELETE", f"{KEYS}/{number}", type(None))
    if as_json:
        show_document({"unregistered": number})
    else:
        say(f"taken back: registration {number}")
    return GOOD
