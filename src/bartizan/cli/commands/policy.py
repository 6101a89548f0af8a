"""`bartizan policy`: the appraisal policies of a service."""

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from bartizan.app.evidence_folder import read_file
from bartizan.cli.asking import asking
from bartizan.cli.completing import policies
from bartizan.cli.console import GOOD, console, signed
from bartizan.cli.options import AsJson
from bartizan.cli.trials import followed, told
from bartizan.cli.wording import ago, hint, say, show_document, table_of
from bartizan.connectors.service.client import ServiceClient
from bartizan.connectors.service.documents import Policy, PolicyText, Trial
from bartizan.model.node import Role

PATH = "/v1/policies"
MAX_POLICY = 1 << 20
JUDGED_ANEW = "every node is judged anew, without being asked; bartizan reappraisal: how far that is"
app = typer.Typer(no_args_is_help=True, help="Appraisal policies of the service.", rich_markup_mode=None)
Number = Annotated[int, typer.Argument(help="As `policy list` shows it.", metavar="ID", min=1, autocompletion=policies)]


@app.command("list")
@asking()
def list_policies(client: ServiceClient, *, as_json: AsJson = False) -> int:
    """List every version of every policy, and which is in force.

    Example: `bartizan policy list`. Exit: 0 listed, 2 refused, 3 the service cannot be asked.
    """
    found = list(client.items(PATH, Policy))
    if as_json:
        show_document({"policies": found})
        return GOOD
    if found:
        console.print(
            table_of(["id", "policy", "version", "in force", "put in", "by"], map(_row, found), fold="policy")
        )
    if not any(one.active for one in found):
        say("The policy that ships with Bartizan is in force.")
    return GOOD


def _row(one: Policy) -> list[str | Text]:
    force = Text(f"{signed('✔')} by {one.approved_by}" if one.active else "", style="green")
    return [str(one.id), one.name, str(one.version), force, ago(one.created_at), one.created_by]


@app.command()
@asking()
def show(client: ServiceClient, *, number: Number, as_json: AsJson = False) -> int:
    """Show a version of a policy: its document.

    Example: `bartizan policy show 3 > policy.toml`. Exit: 0 shown, 2 refused, 3 the service cannot be asked.
    """
    found = client.get(f"{PATH}/{number}", PolicyText)
    if as_json:
        show_document(found)
    else:
        for line in found.document.splitlines():
            console.print(Text(line), soft_wrap=True)
    return GOOD


@app.command()
@asking(Role.SECURITY_OFFICER)
def upload(
    client: ServiceClient,
    *,
    file: Annotated[Path, typer.Argument(help="A policy (TOML).", metavar="FILE")],
    as_json: AsJson = False,
) -> int:
    """Put in a policy: a new version of the name that it has. It is checked, and not in force before `activate`.

    Example: `bartizan policy upload strict.toml`. Needs the role security-officer.

    Exit: 0 put in, 2 refused, 3 the service cannot be asked.
    """
    made = client.upload(PATH, Policy, read_file(file, limit=MAX_POLICY), "application/toml")
    if as_json:
        show_document({"policy": made})
    else:
        say(f"put in: {made.name} version {made.version}, not in force yet")
        hint(f"  bartizan policy try {file}, then bartizan policy activate {made.id}")
    return GOOD


@app.command("try")
@asking(Role.SECURITY_OFFICER)
def try_policy(
    client: ServiceClient,
    *,
    file: Annotated[Path, typer.Argument(help="A policy (TOML).", metavar="FILE")],
    as_json: AsJson = False,
) -> int:
    """Say what a policy would do to the fleet: who would fall or rise, and why. Nothing is written, no node is asked.

    Example: `bartizan policy try strict.toml`. Needs the role operator or security-officer.

    Exit: 0 nobody would fall, 1 somebody would, 2 refused, 3 the service cannot be asked.
    """
    raw = read_file(file, limit=MAX_POLICY)
    trial = followed(client.lines(f"{PATH}/trial", Trial, raw, "application/toml"))
    return told(trial, what=str(file), as_json=as_json)


@app.command()
@asking(Role.SECURITY_OFFICER)
def activate(client: ServiceClient, *, number: Number, as_json: AsJson = False) -> int:
    """Put a policy in force instead of the one that is; every node is judged anew by it.

    Example: `bartizan policy activate 3`. Needs the role security-officer.

    Exit: 0 in force, 2 refused, 3 the service cannot be asked.
    """
    made = client.send("POST", f"{PATH}/{number}/activate", Policy)
    if as_json:
        show_document({"policy": made})
    else:
        say(f"in force: {made.name} version {made.version}")
        hint(JUDGED_ANEW)
    return GOOD


@app.command()
@asking(Role.SECURITY_OFFICER)
def default(client: ServiceClient, *, as_json: AsJson = False) -> int:
    """Put the policy that ships with Bartizan in force again.

    Example: `bartizan policy default`. Needs the role security-officer.

    Exit: 0 in force, 2 refused (it is already), 3 the service cannot be asked.
    """
    client.send("DELETE", f"{PATH}/active", type(None))
    if as_json:
        show_document({"policy": None})
    else:
        say("in force: the policy that ships with Bartizan")
        hint(JUDGED_ANEW)
    return GOOD
