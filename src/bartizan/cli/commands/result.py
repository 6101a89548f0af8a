"""`bartizan result show`: an Attestation Result of any Verifier, verified and in words."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from bartizan.app.exchange import ShownResult, show_result
from bartizan.cli.console import BAD, GOOD, console, mark, print_json, reporting
from bartizan.cli.options import AsJson
from bartizan.formats.inert import inert
from bartizan.model.ear import EarAppraisal
from bartizan.model.result import Claim, Tier

app = typer.Typer(no_args_is_help=True, help="Attestation Results as signed tokens.", rich_markup_mode=None)


@app.callback()
def _results() -> None:
    """Attestation Results as signed tokens."""


@app.command()
@reporting
def show(
    token: Annotated[Path, typer.Argument(help="An EAR: a JWT or a CWT, of any Verifier.", metavar="TOKEN")],
    key: Annotated[
        Path,
        typer.Option("--key", help="Who may have signed it: JWKS, JWK, public key or certificate.", metavar="F"),
    ],
    as_json: AsJson = False,
) -> int:
    """Verify an Attestation Result and show it: who says what of which attester.

    Exit: 0 every attester is affirming, 1 one is not, the token has expired or its signature does not hold, 2 no EAR.
    """
    found = show_result(token, keys=key, now=datetime.now(UTC))
    statuses = [appraisal.status for appraisal in found.ear.appraisals]
    good = not found.fault and all(status is Tier.AFFIRMING for status in statuses)
    if as_json:
        print_json(_document(found))
    else:
        _print(found)
    return GOOD if good else BAD


def _time(seconds: int | None) -> str | None:
    try:
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        return f"{seconds} s"


def _document(found: ShownResult) -> dict[str, Any]:
    ear = found.ear
    return {
        "token": f"sha256:{found.digest}",
        "dialect": ear.dialect.value,
        "profile": ear.profile,
        "verifier": {"developer": inert(ear.developer), "build": inert(ear.build)},
        "key": None if found.verified.kid is None else inert(found.verified.kid),
        "issued_at": _time(ear.issued_at),
        "expires": _time(ear.expires),
        "fault": found.fault or None,
        "attesters": [_attester(appraisal) for appraisal in ear.appraisals],
    }


def _attester(appraisal: EarAppraisal) -> dict[str, Any]:
    return {
        "name": inert(appraisal.name),
        "status": appraisal.status.value,
        "vector": {claim.value: made.tier.value for claim, made in appraisal.vector.items()},
        "values": {claim.value: made.value for claim, made in appraisal.vector.items()},
        "policies": [inert(policy) for policy in appraisal.policies],
    }


def _print(found: ShownResult) -> None:
    ear = found.ear
    who = " ".join(part for part in (ear.developer, ear.build) if part) or "a Verifier that does not name itself"
    console.print(Text(f"{inert(who)}, {_time(ear.issued_at)}; signature holds"))
    if found.fault:
        console.print(Text(f"does not count: {found.fault}", style="bold red"))
    console.print(Text(f"{ear.dialect.value}, until {_time(ear.expires) or 'no stated time'}", style="dim"))
    for appraisal in ear.appraisals:
        console.print(mark(appraisal.status).append(f"  {inert(appraisal.name) or 'the attester'}", style="default"))
        console.print(_vector(appraisal))


def _vector(appraisal: EarAppraisal) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    for claim in Claim:
        made = appraisal.vector.get(claim)
        table.add_row(f"  {claim.value}", mark(made.tier if made else Tier.NONE), Text(str(made.value) if made else ""))
    for policy in appraisal.policies:
        table.add_row("  policy", Text(inert(policy)))
    return table
