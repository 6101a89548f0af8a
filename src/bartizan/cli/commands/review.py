"""`bartizan review`: enrolments that a person has to look at."""

from typing import Annotated

import typer

from bartizan.cli.asking import asking
from bartizan.cli.console import GOOD, NO_PLACE, console
from bartizan.cli.options import AsJson
from bartizan.cli.statements import Reason
from bartizan.cli.wording import ago, hint, say, show_document, table_of
from bartizan.connectors.service.client import ServiceClient
from bartizan.connectors.service.documents import Review

PATH = "/v1/reviews"
app = typer.Typer(no_args_is_help=True, help="Enrolments that a person has to look at.", rich_markup_mode=None)
Number = Annotated[int, typer.Argument(help="As `review list` shows it.", metavar="ID", min=1)]


@app.command("list")
@asking()
def list_reviews(
    client: ServiceClient,
    *,
    show_all: Annotated[bool, typer.Option("--all", help="Decided ones as well.")] = False,
    as_json: AsJson = False,
) -> int:
    """List enrolments that wait: a name or a TPM that is enrolled already comes again, with another half.

    Example: `bartizan review list`. Exit: 0 listed, 2 refused, 3 the service cannot be asked.
    """
    found = list(client.items(PATH, Review, [("state", None if show_all else "open")]))
    if as_json:
        show_document({"reviews": found})
    elif found:
        rows = [[str(one.id), one.name, one.role, ago(one.created_at), _state(one), one.why] for one in found]
        console.print(table_of(["id", "node", "role", "asked", "state", "why"], rows, fold="why"))
        if any(one.state == "open" for one in found):
            hint("bartizan review approve ID --reason TEXT lets it in, in the place of whoever is enrolled so now;")
            hint("bartizan review reject ID --reason TEXT keeps it out")
    else:
        say("no enrolment waits for a person" if not show_all else "no enrolment ever had to be looked at")
    return GOOD


def _state(review: Review) -> str:
    return review.state if review.decided_by is None else f"{review.state} by {review.decided_by}"


@app.command()
@asking()
def approve(client: ServiceClient, *, number: Number, reason: Reason, as_json: AsJson = False) -> int:
    """Let the node in, in the place of whoever has its name or TPM now. Its agent comes by itself.

    Example: `bartizan review approve 3 --reason 'board swapped, ticket 812'`. Needs the role operator.

    Exit: 0 approved, 2 refused, 3 the service cannot be asked.
    """
    return _decide(client, number, "approve", reason, as_json=as_json)


@app.command()
@asking()
def reject(client: ServiceClient, *, number: Number, reason: Reason, as_json: AsJson = False) -> int:
    """Keep the node out; it is told why.

    Example: `bartizan review reject 3 --reason 'nobody swapped this board'`. Needs the role operator.

    Exit: 0 rejected, 2 refused, 3 the service cannot be asked.
    """
    return _decide(client, number, "reject", reason, as_json=as_json)


def _decide(client: ServiceClient, number: int, verb: str, reason: str, *, as_json: bool) -> int:
    found = client.send("POST", f"{PATH}/{number}/{verb}", Review, {"reason": reason})
    if as_json:
        show_document({"review": found})
    else:
        say(f"{found.state}: {found.name or NO_PLACE} ({found.role})")
    return GOOD
