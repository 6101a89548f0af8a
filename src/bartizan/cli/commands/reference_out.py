"""What the commands that write a set share: where to, whether another one may be replaced, and how they name it."""

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from bartizan.cli.console import console, counted
from bartizan.formats.inert import inert
from bartizan.model.reference import ReferenceSet
from bartizan.reference.life_cycle import as_proposed

Out = Annotated[Path, typer.Option("--out", help="The folder to write reference.json into.", metavar="REF")]
Name = Annotated[str | None, typer.Option("--name", help="The set's name; default: the output folder's.")]
Key = Annotated[
    Path | None, typer.Option("--key", help="Sign the set with this private key (as `reference sign`).", metavar="PEM")
]
Proposed = Annotated[
    bool, typer.Option("--proposed", help="Write it as proposed: it counts only after `reference approve`.")
]
Force = Annotated[
    bool, typer.Option("--force", help="Replace another set that is there; its signatures are deleted with it.")
]


def drafted(reference: ReferenceSet, *, proposed: bool) -> ReferenceSet:
    """The set as it is, or as one that waits for approval."""
    return as_proposed(reference) if proposed else reference


def contents(reference: ReferenceSet) -> str:
    """How much is in a set, in words."""
    return f"{counted(len(reference.events), 'boot measurement')} and {counted(len(reference.files), 'file')}"


def identity(reference: ReferenceSet) -> str:
    """A set's name and digest, on one line whatever the name holds."""
    return f"{inert(reference.name)}@sha256:{reference.digest}"


def life(reference: ReferenceSet) -> str:
    """Where a set stands in its life, and from when until when it counts."""
    begin = f" from {reference.valid_from:%Y-%m-%d %H:%M} UTC" if reference.valid_from else ""
    end = f" until {reference.valid_until:%Y-%m-%d %H:%M} UTC" if reference.valid_until else ""
    return f"{reference.state.value}{begin}{end}"


def life_document(reference: ReferenceSet) -> dict[str, str | None]:
    """The same for programs."""
    return {
        "state": reference.state.value,
        "valid_from": reference.valid_from.isoformat() if reference.valid_from else None,
        "valid_until": reference.valid_until.isoformat() if reference.valid_until else None,
    }


def print_identity(reference: ReferenceSet) -> None:
    """The line that names a set that was written."""
    console.print(Text(f"set {identity(reference)}", style="dim"))
