"""`bartizan waivers sign`: exceptions from posture rules, which count only when signed."""

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from bartizan.app.sign_waivers import SUFFIX, sign_waivers
from bartizan.cli.console import GOOD, console, print_json, reporting
from bartizan.cli.options import AsJson
from bartizan.formats.inert import inert

app = typer.Typer(no_args_is_help=True, help="Exceptions from posture rules.", rich_markup_mode=None)


@app.callback()
def _waivers() -> None:
    """Exceptions from posture rules: each names rule and entity, says why and expires."""


@app.command(short_help="Sign a file of waivers.")
@reporting
def sign(
    waivers: Annotated[
        Path, typer.Argument(help="TOML: [[waiver]] with rule, entity, reason, expires.", metavar="FILE")
    ],
    key: Annotated[Path, typer.Option("--key", help="Private key (EC P-256 or Ed25519, PEM).", metavar="PEM")],
    as_json: AsJson = False,
) -> int:
    """Sign waivers; the signature is written beside the file. Signatures of other keys are kept.

    Exit: 0 signed, 2 the file or the key cannot be used.
    """
    found, fingerprint = sign_waivers(waivers, key)
    if as_json:
        print_json({"waivers": len(found), "path": f"{waivers}{SUFFIX}", "signer": f"sha256:{fingerprint.hex()}"})
        return GOOD
    for waiver in found:
        until = f"until {waiver.expires:%Y-%m-%d %H:%M} UTC" if waiver.expires else ""
        console.print(Text(f"{waiver.check} for {inert(waiver.workload or '')} {until}: {inert(waiver.reason)}"))
    console.print(Text(f"signed by sha256:{fingerprint.hex()}"))
    return GOOD
