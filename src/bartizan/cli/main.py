"""`bartizan`: the command line. It parses arguments and names the commands; each lives in its own module."""

import typer

from bartizan.cli.commands import appraisal, evidence, reference
from bartizan.cli.commands.demo import demo

app = typer.Typer(
    name="bartizan",
    help="How far a machine can be trusted, proved by TPM evidence.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(evidence.log)
app.command()(evidence.ima)
app.command()(evidence.quote)
app.command()(appraisal.appraise)
app.command()(appraisal.explain)
app.command()(demo)
app.add_typer(reference.app, name="reference")


def main() -> None:
    """Entry point of the `bartizan` script."""
    app()
