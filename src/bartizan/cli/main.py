"""`bartizan`: the command line. It parses arguments and names the commands; each lives in its own module."""

from importlib.metadata import version
from typing import Annotated

import typer

from bartizan.cli.commands import appraisal, evidence, reference
from bartizan.cli.commands.demo import demo

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
app.add_typer(reference.app, name="reference", short_help="What a good machine measures.")


def main() -> None:
    """Entry point of the `bartizan` script."""
    app()
