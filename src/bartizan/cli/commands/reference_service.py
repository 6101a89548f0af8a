"""`bartizan reference service`: Reference Values at a service, from proposal to end. Folders stay as they are."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.text import Text

from bartizan.app.reference_folder import read_reference, write_new
from bartizan.cli.asking import asking
from bartizan.cli.commands.policy import JUDGED_ANEW
from bartizan.cli.commands.reference_out import Force, Out
from bartizan.cli.completing import references
from bartizan.cli.console import GOOD, console, signed
from bartizan.cli.options import AsJson
from bartizan.cli.statements import Reason
from bartizan.cli.times import until
from bartizan.cli.trials import followed, told
from bartizan.cli.wording import ago, hint, now, say, show_document, table_of
from bartizan.connectors.service.client import ServiceClient
from bartizan.connectors.service.documents import Reference, StepTried, Trial
from bartizan.formats.reference_file import decode_reference, encode_reference
from bartizan.model.node import Role
from bartizan.model.reference import ReferenceState

PATH = "/v1/references"
app = typer.Typer(no_args_is_help=True, help="Reference Values at a service.", rich_markup_mode=None)
Number = Annotated[
    int, typer.Argument(help="As `reference service list` shows it.", metavar="ID", min=1, autocompletion=references)
]
STATES = {
    ReferenceState.PROPOSED: ("– proposed", "magenta"),
    ReferenceState.APPROVED: ("✔ approved", "green"),
    ReferenceState.RETIRED: ("– retired", "dim"),
    ReferenceState.REVOKED: ("✘ revoked", "bold red"),
}


class Ended(StrEnum):
    """The states that a set can be tried in."""

    APPROVED = "approved"
    RETIRED = "retired"
    REVOKED = "revoked"


@app.command("list")
@asking()
def list_references(client: ServiceClient, *, as_json: AsJson = False) -> int:
    """List the service's Reference Values: every version of every set, and whether it counts.

    Example: `bartizan reference service list`. Exit: 0 listed, 2 refused, 3 the service cannot be asked.
    """
    found = list(client.items(PATH, Reference))
    if as_json:
        show_document({"references": found})
    elif found:
        columns = ["id", "set", "version", "state", "changed", "proposed by", "approved by"]
        console.print(table_of(columns, map(_row, found), fold="set"))
    else:
        say("the service knows no Reference Values: nothing that nodes run is recognised. From a node's boot:")
        hint("  bartizan node evidence NODE --out DIR, then bartizan reference propose DIR --out REF")
        hint("  bartizan reference service upload REF, then bartizan reference service approve ID --reason TEXT")
    return GOOD


def _row(one: Reference) -> list[str | Text]:
    text, style = STATES.get(ReferenceState(one.state), (one.state, ""))
    state = Text(signed(text), style=style)
    return [
        str(one.id),
        one.name,
        str(one.version),
        state,
        ago(one.changed_at),
        one.created_by,
        one.approved_by or "",
    ]


@app.command()
@asking(Role.SECURITY_OFFICER)
def upload(
    client: ServiceClient,
    *,
    folder: Annotated[Path, typer.Argument(help="A folder that `propose` or `import` wrote.", metavar="DIR")],
    as_json: AsJson = False,
) -> int:
    """Propose Reference Values to the service: a new version of their name. They count for nobody before `approve`.

    Example: `bartizan reference service upload ./reference`. Needs the role security-officer.

    Exit: 0 proposed, 2 refused, 3 the service cannot be asked.
    """
    made = client.upload(PATH, Reference, encode_reference(read_reference(folder)), "application/json")
    if as_json:
        show_document({"reference": made})
    else:
        say(f"proposed: {made.name} version {made.version}; it counts for nobody yet")
        hint(f"  bartizan reference service try {made.id}: what that would do to the fleet")
        hint(f"  bartizan reference service approve {made.id} --reason TEXT")
    return GOOD


@app.command("try")
@asking(Role.SECURITY_OFFICER)
def try_reference(
    client: ServiceClient,
    *,
    number: Number,
    to: Annotated[
        Ended, typer.Option("--as", help="The state that the set would be in.", metavar="STATE")
    ] = Ended.APPROVED,
    as_json: AsJson = False,
) -> int:
    """Say what a set would do to the fleet if it were approved, retired or revoked. Nothing is written.

    Example: `bartizan reference service try 2 --as approved`. Needs the role operator or security-officer.

    Exit: 0 no node would fall, 1 some would, 2 refused, 3 the service cannot be asked.
    """
    wanted = msgspec.json.encode(StepTried(to=to.value))
    trial = followed(client.lines(f"{PATH}/{number}/trial", Trial, wanted, "application/json"))
    return told(trial, what=f"Reference Values {number} as {to.value}", as_json=as_json)


@app.command()
@asking(Role.SECURITY_OFFICER)
def approve(
    client: ServiceClient,
    *,
    number: Number,
    reason: Reason,
    begin: Annotated[
        str | None, typer.Option("--from", help="From when it counts: 4h, 7d, or a time in UTC.", metavar="TIME")
    ] = None,
    end: Annotated[str | None, typer.Option("--until", help="Until when.", metavar="TIME")] = None,
    as_json: AsJson = False,
) -> int:
    """Put a proposed set in force; every node is judged anew by it.

    Example: `bartizan reference service approve 2 --reason 'kernel 6.1.90, tested'`. Needs the role security-officer.

    Exit: 0 in force, 2 refused, 3 the service cannot be asked.
    """
    wanted: dict[str, Any] = {"reason": reason}
    for name, option, text in (("valid_from", "--from", begin), ("valid_until", "--until", end)):
        if text is not None:
            wanted[name] = until(text, option=option, now=now())
    return _step(client, number, "approve", wanted, as_json=as_json)


@app.command()
@asking(Role.SECURITY_OFFICER)
def retire(client: ServiceClient, *, number: Number, reason: Reason, as_json: AsJson = False) -> int:
    """Take a set out of force: what only it knows is not recognised any more, and is no fault.

    Example: `bartizan reference service retire 1 --reason 'no node runs it any more'`. Needs the role security-officer.

    Exit: 0 retired, 2 refused, 3 the service cannot be asked.
    """
    return _step(client, number, "retire", {"reason": reason}, as_json=as_json)


@app.command()
@asking(Role.SECURITY_OFFICER)
def revoke(client: ServiceClient, *, number: Number, reason: Reason, as_json: AsJson = False) -> int:
    """Declare a set bad: whoever runs what only it knows is told so. There is no way back.

    Example: `bartizan reference service revoke 1 --reason 'CVE-2026-0001'`. Needs the role security-officer.

    Exit: 0 revoked, 2 refused, 3 the service cannot be asked.
    """
    return _step(client, number, "revoke", {"reason": reason}, as_json=as_json)


def _step(client: ServiceClient, number: int, verb: str, wanted: dict[str, Any], *, as_json: bool) -> int:
    made = client.send("POST", f"{PATH}/{number}/{verb}", Reference, wanted)
    if as_json:
        show_document({"reference": made})
    else:
        say(f"{made.state}: {made.name} version {made.version}")
        hint(JUDGED_ANEW)
    return GOOD


@app.command()
@asking()
def fetch(client: ServiceClient, *, number: Number, out: Out, force: Force = False, as_json: AsJson = False) -> int:
    """Fetch a set into a folder, as `bartizan appraise --reference` and `reference diff` read it.

    Example: `bartizan reference service fetch 2 --out ./reference`.

    Exit: 0 written, 2 refused, 3 the service cannot be asked.
    """
    raw = client.text(f"{PATH}/{number}/document", "application/json").encode()
    found = decode_reference(raw)
    path = write_new(found, out, force=force)
    if as_json:
        show_document({"name": found.name, "digest": f"sha256:{found.digest}", "path": str(path)})
    else:
        say(f"{path}: {found.name}")
    return GOOD
