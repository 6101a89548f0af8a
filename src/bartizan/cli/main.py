"""`bartizan`: the command line. It parses arguments and names the commands; each lives in its own module."""

import sys
from collections.abc import Sequence
from importlib.metadata import version
from io import TextIOWrapper
from typing import Annotated

import typer

from bartizan.cli.commands import (
    account,
    appraisal,
    evidence,
    finding,
    maintenance,
    node,
    node_evidence,
    oversight,
    policy,
    reference,
    reference_exchange,
    reference_files,
    reference_import,
    reference_life,
    reference_predict,
    reference_service,
    reference_sets,
    result,
    review,
    service,
    token,
    waivers,
)
from bartizan.cli.commands.demo import demo
from bartizan.cli.commands.gap import gap
from bartizan.cli.commands.posture import posture
from bartizan.cli.console import REFUSED, OutputError, give_up, print_json

app = typer.Typer(
    name="bartizan",
    help="How far a machine can be trusted, proved by TPM evidence.",
    epilog="Exit codes: 0 good, 1 judged bad, 2 refused (cannot be decoded or used), 3 outside failure.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"bartizan {version('bartizan')}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Say which version this is.")
    ] = False,
) -> None:
    """How far a machine can be trusted, proved by TPM evidence."""


app.command(short_help="The main job, live, on emulated TPMs.")(demo)
app.command(short_help="Judge a folder of evidence: level, claims, findings.")(appraisal.appraise)
app.command(short_help="The same in sentences: what broke, and what to do.")(appraisal.explain)
app.command(short_help="Decode, replay and check a boot log.")(evidence.log)
app.command(short_help="Decode, replay and check an IMA list.")(evidence.ima)
app.command(short_help="Verify one TPM quote.")(evidence.quote)
app.command(short_help="Run the Verifier service.")(service.serve)
app.command(short_help="Copy the service's database and keys.")(service.backup)
app.command(short_help="Put such a copy in place.")(service.restore)
app.command(short_help="How well this machine fences its guests, with fixes.")(posture)
app.command(short_help="What keeps the fleet from its next level, and what would lift it.")(gap)
app.command(short_help="Everything that anybody changed, as JSON lines.")(oversight.audit)
app.command(short_help="How far judging every node anew has come.")(oversight.reappraisal)
reference.app.command(short_help="Show a set, with where each value comes from.")(reference_sets.show)
reference.app.command(short_help="Foretell what the next boot will measure.")(reference_predict.predict)
reference.app.command(short_help="Let a proposed set count.")(reference_life.approve)
reference.app.command(short_help="Say from when until when a set counts.")(reference_life.limit)
reference.app.command(short_help="End a set at once.")(reference_life.retire)
reference.app.command(short_help="Take a set back: what it alone knew is contraindicated.")(reference_life.revoke)
reference.app.command(short_help="Sign a set.")(reference_sets.sign)
reference_import.app.command(short_help="From an image's own files, its boot included.")(reference_files.files)
reference_import.app.command(short_help="From a CoRIM.")(reference_exchange.corim)
reference_import.app.command(short_help="From a TCG RIM or another SWID tag.")(reference_exchange.rim)
reference.app.add_typer(reference_import.app, name="import")
reference.app.add_typer(reference_exchange.exports, name="export")
reference.app.add_typer(reference_service.app, name="service", short_help="Reference Values at a service.")
node.app.command(short_help="What is not in order on a node.")(node_evidence.findings)
node.app.command(short_help="Fetch a node's evidence into a folder.")(node_evidence.evidence)
app.add_typer(node.app, name="node", short_help="The fleet, as the service sees it now.")
app.add_typer(token.app, name="token", short_help="Join tokens: how nodes come in.")
app.add_typer(review.app, name="review", short_help="Enrolments that a person has to look at.")
app.add_typer(finding.app, name="finding", short_help="What is not in order across the fleet.")
app.add_typer(maintenance.app, name="maintenance", short_help="Maintenance windows: who works on what.")
app.add_typer(policy.app, name="policy", short_help="Appraisal policies of the service.")
app.add_typer(oversight.alarms, name="alarm", short_help="Alarms about the service as a whole.")
app.add_typer(account.app, name="account", short_help="Who may use the service.")
app.add_typer(account.tokens, name="api-token", short_help="API tokens of people and programs.")
app.add_typer(service.config, name="config", short_help="Settings of the service.")
app.add_typer(result.app, name="result", short_help="Attestation Results as signed tokens.")
app.add_typer(waivers.app, name="waivers", short_help="Exceptions from posture rules.")
app.add_typer(reference.app, name="reference", short_help="What a good machine measures.")


USAGE_ERRORS: tuple[type[Exception], ...] = tuple(
    base for base in typer.BadParameter.__bases__ if issubclass(base, Exception)
)
"""What a wrong command line raises: typer names the one kind, and the kinds share their base."""


def main() -> None:
    """Entry point of the `bartizan` script.

    A file name may hold bytes that no terminal's encoding has; they are shown as escapes instead of ending in a crash.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        sys.exit(_run(sys.argv[1:]))
    except OutputError as error:
        sys.exit(give_up(error))
    except OSError as error:  # help and version; commands turn theirs into words themselves
        sys.exit(give_up(OutputError(error)))


def _run(words: Sequence[str]) -> int | None:
    if "--json" not in words:
        return _exit_code(app())
    try:
        return _exit_code(app(standalone_mode=False))
    except USAGE_ERRORS as error:
        print_json({"error": usage_document(error)})
        return REFUSED


def _exit_code(returned: object) -> int | None:
    """Without standalone mode typer hands back the code of an exit."""
    return returned if isinstance(returned, int) else None


def usage_document(error: Exception) -> dict[str, str]:
    """A wrong command line as programs read it. The base class is typer's own, so its parts are asked for by name."""
    context = getattr(error, "ctx", None)
    said = getattr(error, "format_message", lambda: str(error))()
    return {"kind": "usage", "what": getattr(context, "command_path", "bartizan"), "why": said}
