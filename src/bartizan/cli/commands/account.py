"""`bartizan account` and `bartizan api-token`: who may use the service, and what they show for it."""

from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer
from rich.text import Text

from bartizan.app.evidence_folder import read_file
from bartizan.cli.asking import asking
from bartizan.cli.console import GOOD, NO_PLACE, console
from bartizan.cli.options import AsJson
from bartizan.cli.wording import ago, clock, facts, hint, now, say, show_document, table_of
from bartizan.connectors.service.client import ServiceClient
from bartizan.connectors.service.data_folder import write_token
from bartizan.connectors.service.documents import Account, ApiToken, ApiTokenMade, ApiTokenWanted, Self
from bartizan.errors import ConfigError
from bartizan.model.node import Role

ACCOUNTS, TOKENS = "/v1/accounts", "/v1/api-tokens"
MAX_PASSWORD_FILE = 4096
app = typer.Typer(no_args_is_help=True, help="Accounts: who may use the service.", rich_markup_mode=None)
tokens = typer.Typer(no_args_is_help=True, help="API tokens of people and programs.", rich_markup_mode=None)
AccountRole = Annotated[Role, typer.Option("--role", help="What they may do.")]
PasswordFile = Annotated[
    Path | None,
    typer.Option("--password-file", help="A file with the password for the console; tokens need none.", metavar="F"),
]


@app.command()
@asking()
def whoami(client: ServiceClient, *, as_json: AsJson = False) -> int:
    """Say as whom the service knows you: the account and role of your token.

    Example: `bartizan account whoami`. Exit: 0 known, 2 not, 3 the service cannot be asked.
    """
    found = client.get("/v1/session", Self)
    if as_json:
        show_document(found)
        return GOOD
    sees = "every project's nodes" if found.every_project else "its own project's nodes"
    rows = [("account", found.account), ("role", found.role), ("sees", sees), ("service", client.url)]
    console.print(facts(rows))
    return GOOD


@app.command("list")
@asking(Role.SECURITY_OFFICER)
def list_accounts(client: ServiceClient, *, as_json: AsJson = False) -> int:
    """List accounts. Needs the role security-officer or auditor.

    Example: `bartizan account list`. Exit: 0 listed, 2 refused, 3 the service cannot be asked.
    """
    found = list(client.items(ACCOUNTS, Account))
    if as_json:
        show_document({"accounts": found})
    elif found:
        rows = [[one.name, one.role, one.project, _signs_in(one), ago(one.created_at)] for one in found]
        console.print(table_of(["account", "role", "project", "signs in by", "made"], rows, fold="account"))
    else:
        say("there is no account")
    return GOOD


def _signs_in(account: Account) -> str:
    if account.disabled:
        return "disabled"
    return "password, tokens" if account.password else "tokens"


@app.command("create")
@asking(Role.SECURITY_OFFICER)
def create_account(
    client: ServiceClient,
    *,
    name: Annotated[str, typer.Argument(help="Its name.", metavar="NAME")],
    role: AccountRole,
    project: Annotated[str, typer.Option("--project", help="Whose nodes it sees; default: all.")] = "default",
    password: PasswordFile = None,
    as_json: AsJson = False,
) -> int:
    """Make an account; without a password it is used with tokens only.

    Example: `bartizan account create ann --role operator`. Needs the role security-officer.

    Exit: 0 made, 2 refused, 3 the service cannot be asked.
    """
    wanted = {"name": name, "role": role.value, "project": project, "password": _password(password)}
    made = client.send("POST", ACCOUNTS, Account, wanted)
    if as_json:
        show_document({"account": made})
    else:
        say(f"made: {made.name} ({made.role}, project {made.project})")
        hint(f"bartizan api-token create LABEL --account {made.name} --role {made.role}: a token for it")
    return GOOD


@app.command("change")
@asking(Role.SECURITY_OFFICER)
def change_account(
    client: ServiceClient,
    *,
    name: Annotated[str, typer.Argument(help="Its name.", metavar="NAME")],
    role: Annotated[Role | None, typer.Option("--role", help="What they may do from now on.")] = None,
    password: PasswordFile = None,
    disabled: Annotated[
        bool | None, typer.Option("--disable/--enable", help="Whether it may be used.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Change an account's role, password or state; its sessions end.

    Example: `bartizan account change ann --disable`. Needs the role security-officer.

    Exit: 0 changed, 2 refused, 3 the service cannot be asked.
    """
    given = {"role": role and role.value, "password": _password(password), "disabled": disabled}
    wanted = {key: value for key, value in given.items() if value is not None}
    if not wanted:
        raise ConfigError("nothing to change: give --role, --password-file, --disable or --enable")
    made = client.send("PATCH", f"{ACCOUNTS}/{quote(name, safe='')}", Account, wanted)
    if as_json:
        show_document({"account": made})
    else:
        say(f"changed: {made.name} ({made.role}, {'disabled' if made.disabled else 'in use'})")
    return GOOD


def _password(file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        return read_file(file, limit=MAX_PASSWORD_FILE).decode().rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file}: a password in UTF-8 expected") from error


@tokens.command("list")
@asking(Role.SECURITY_OFFICER)
def list_tokens(
    client: ServiceClient,
    *,
    show_all: Annotated[bool, typer.Option("--all", help="Revoked and expired ones as well.")] = False,
    as_json: AsJson = False,
) -> int:
    """List API tokens: your own; for a security officer and an auditor, everybody's.

    Example: `bartizan api-token list`. Exit: 0 listed, 2 refused, 3 the service cannot be asked.
    """
    found = [one for one in client.items(TOKENS, ApiToken) if show_all or _counts(one)]
    if as_json:
        show_document({"tokens": found})
    elif found:
        rows = [[str(one.id), one.account, one.role, _end(one), one.label] for one in found]
        console.print(table_of(["id", "account", "role", "ends", "label"], rows, fold="label"))
    else:
        say("no API token counts now")
    return GOOD


def _counts(token: ApiToken) -> bool:
    return token.revoked_at is None and (token.expires_at is None or token.expires_at > now())


def _end(token: ApiToken) -> str:
    if token.revoked_at is not None:
        return f"revoked {ago(token.revoked_at)}"
    return NO_PLACE if token.expires_at is None else ago(token.expires_at)


@tokens.command("create")
@asking(Role.SECURITY_OFFICER)
def create_token(
    client: ServiceClient,
    *,
    label: Annotated[str, typer.Argument(help="What it is for.", metavar="LABEL")],
    role: Annotated[Role, typer.Option("--role", help="What it may do; no more than its account.")],
    account: Annotated[
        str | None, typer.Option("--account", help="Whose; your own without it.", metavar="NAME")
    ] = None,
    days: Annotated[int, typer.Option("--days", help="How long it is good.", min=1, max=3660)] = 90,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Write it here, for its owner alone, instead of showing it.", metavar="FILE"),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Make an API token. It is shown this once.

    Example: `bartizan api-token create nightly --account ann --role viewer --out ann.token`. Needs the role operator
    for a token of your own, security-officer for somebody else's.

    Exit: 0 made, 2 refused, 3 the service cannot be asked.
    """
    if out is not None and out.exists():
        raise ConfigError(f"{out}: is there already, and is left as it is")
    made = client.send(
        "POST", TOKENS, ApiTokenMade, ApiTokenWanted(label=label, role=role.value, account=account, days=days)
    )
    if out is not None:
        write_token(out, made.token)
    if as_json:
        show_document({"token": made.token if out is None else None, "file": out and str(out), "made": made.made})
        return GOOD
    kept = made.made
    say(f"made: token {kept.id} of {kept.account} ({kept.role}), good until {clock(kept.expires_at)}")
    if out is None:
        console.print(Text(made.token, style="bold"), soft_wrap=True)
        hint("It is not shown again. Keep it in a file, and name that with --token-file or BARTIZAN_TOKEN_FILE.")
    else:
        hint(f"export BARTIZAN_TOKEN_FILE={out}")
    return GOOD


@tokens.command("revoke")
@asking(Role.SECURITY_OFFICER)
def revoke_token(
    client: ServiceClient,
    *,
    number: Annotated[int, typer.Argument(help="As `api-token list` shows it.", metavar="ID", min=1)],
    as_json: AsJson = False,
) -> int:
    """Make an API token useless at once.

    Example: `bartizan api-token revoke 4`. Exit: 0 revoked, 2 refused, 3 the service cannot be asked.
    """
    client.send("DELETE", f"{TOKENS}/{number}", type(None))
    if as_json:
        show_document({"revoked": number})
    else:
        say(f"revoked: API token {number}")
    return GOOD
