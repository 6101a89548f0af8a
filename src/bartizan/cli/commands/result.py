"""`bartizan result`: an Attestation Result of any Verifier, verified and in words; or a node's, from the service."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from bartizan.app.exchange import ShownResult, show_result
from bartizan.cli.asking import asking
from bartizan.cli.commands.node import NodeName, path_of
from bartizan.cli.console import BAD, GOOD, console, findings_table, mark, print_json, reporting
from bartizan.cli.options import AsJson, ShowAll
from bartizan.cli.verdict import show_ladder, show_vector
from bartizan.cli.wording import ago, facts, hint, level_mark, say, show_document, state_mark
from bartizan.connectors.service.client import ServiceClient
from bartizan.connectors.service.documents import Result
from bartizan.connectors.service.verdict import verdict_of
from bartizan.errors import ConfigError
from bartizan.formats.inert import inert
from bartizan.model.ear import EarAppraisal
from bartizan.model.result import AttestationResult, Claim, State, Tier

EAR = "application/eat+jwt"
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


@app.command()
@asking()
def get(
    client: ServiceClient,
    *,
    node: NodeName,
    require: Annotated[
        int | None,
        typer.Option("--require", help="Exit 1 unless it has this level, and is fresh.", min=0, max=6, metavar="LEVEL"),
    ] = None,
    ear: Annotated[
        Path | None,
        typer.Option("--ear", help="Write the signed token here, and the service's keys beside it.", metavar="FILE"),
    ] = None,
    nonce: Annotated[
        str | None,
        typer.Option("--nonce", help="Goes into the token of --ear, so that it is no older.", metavar="TEXT"),
    ] = None,
    show_all: ShowAll = False,
    as_json: AsJson = False,
) -> int:
    """Get the verdict that stands on a node, from the service; signed with --ear.

    Examples: `bartizan result get compute-01 --require 4` (for scripts), `bartizan result get compute-01 --ear c1.jwt`.

    Exit: 0 good, 1 contraindicated, or not what --require asks for, 2 refused, 3 the service cannot be asked.
    """
    if nonce is not None and ear is None:
        raise ConfigError("--nonce goes into the signed token: say with --ear where to write that")
    found = client.get(path_of(node, "/result"), Result)
    verdict = verdict_of(found)
    files = {} if ear is None else _write_ear(client, found, ear, nonce)
    faults = _faults(verdict, require)
    if as_json:
        about = {"node": found.node, "id": found.id, "attested_at": found.last_at, "due_at": found.due_at}
        show_document({**about, "since": found.first_at, "result": found.result, "reasons": faults, **files})
    else:
        _print_standing(found, show_all=show_all)
        for name, path in files.items():
            say(f"{name} written: {path}")
        if ear is not None:
            hint(f"whoever relies on it: bartizan result show {ear} --key {files['keys']}")
    if faults and not as_json:
        say(f"not good: {'; '.join(faults)}", style="bold red")
    return BAD if faults else GOOD


def _faults(verdict: AttestationResult, require: int | None) -> list[str]:
    """Why a verdict is not what is asked for."""
    found = []
    if verdict.contraindicated:
        worst = next((one for one in verdict.findings if one.tier is Tier.CONTRAINDICATED and not one.passes), None)
        found.append("contraindicated" + (f" by {worst.id}: {worst.why}" if worst else ""))
    if require is not None and verdict.level < require:
        rung = next((one for one in verdict.ladder if one.number > verdict.level), None)
        kept = f", kept from level {rung.number} by {', '.join(rung.missing)}" if rung and rung.missing else ""
        found.append(f"level {verdict.level}, {require} is required{kept}")
    if require is not None and verdict.state is not State.FRESH:
        found.append(f"{verdict.state.value}, a fresh verdict is required")
    return found


def _write_ear(client: ServiceClient, found: Result, path: Path, nonce: str | None) -> dict[str, str]:
    token = client.text(path_of(found.id, "/result"), EAR, [("nonce", nonce)])
    keys = path.with_name(path.name + ".jwks.json")
    known = client.text("/.well-known/jwks.json", "application/json")
    path.write_text(token + "\n", encoding="ascii")
    keys.write_text(known + "\n", encoding="utf-8")
    return {"ear": str(path), "keys": str(keys)}


def _print_standing(found: Result, *, show_all: bool) -> None:
    verdict = verdict_of(found)
    say(found.node, style="bold")
    console.print(
        facts(
            [
                ("level", level_mark(verdict.level, contraindicated=verdict.contraindicated)),
                ("state", state_mark(verdict.state.value)),
                ("attested", f"{ago(found.last_at)}, with this verdict since {ago(found.first_at)}"),
                ("policy", verdict.policy),
                ("reference", verdict.reference or "none: no Reference Values are approved"),
            ]
        )
    )
    console.print()
    show_ladder(verdict)
    show_vector(verdict)
    if show_all or any(not finding.passes for finding in verdict.findings):
        console.print(findings_table(verdict.findings, affirming=show_all))
    hint(f"bartizan node findings {found.node} --explain: why each matters, and what to do")
