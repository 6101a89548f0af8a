"""`bartizan reference approve|retire|revoke|limit`: from when until when a set counts, and whether it does at all."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from bartizan.app.life_cycle import Window, limit_set, move_set
from bartizan.cli.commands.reference_out import Key, life, life_document, print_identity
from bartizan.cli.console import GOOD, console, print_json, reporting
from bartizan.cli.options import AsJson
from bartizan.errors import ConfigError
from bartizan.formats.inert import inert
from bartizan.model.reference import ReferenceSet, ReferenceState

SetFolder = Annotated[Path, typer.Argument(help="A folder with a set.", metavar="REF")]
From = Annotated[
    str | None, typer.Option("--from", help="When the set begins to count, as 2026-01-31T23:59:59Z.", metavar="TIME")
]
Until = Annotated[
    str | None, typer.Option("--until", help="When the set counts no more, as 2026-01-31T23:59:59Z.", metavar="TIME")
]


@reporting
def approve(
    reference: SetFolder,
    valid_from: From = None,
    valid_until: Until = None,
    key: Key = None,
    as_json: AsJson = False,
) -> int:
    """Let a proposed set count. With --key it is signed by whoever approves it.

    Exit: 0 written, 2 it is not proposed, or cannot be used.
    """
    window = window_of(valid_from, valid_until)
    return _said(*move_set(reference, ReferenceState.APPROVED, window=window, key=key), as_json=as_json)


@reporting
def retire(reference: SetFolder, key: Key = None, as_json: AsJson = False) -> int:
    """End a set at once. It recognises nothing any more, and what it knew is unknown.

    Exit: 0 written, 2 it is retired or revoked already, or cannot be used.
    """
    return _said(*move_set(reference, ReferenceState.RETIRED, key=key), as_json=as_json)


@reporting
def revoke(reference: SetFolder, key: Key = None, as_json: AsJson = False) -> int:
    """Take a set back. A machine that runs what it alone knew is contraindicated.

    Keep giving it to appraise beside the others: a set that is not given cannot contraindicate anything.

    Exit: 0 written, 2 it is revoked already, or cannot be used.
    """
    return _said(*move_set(reference, ReferenceState.REVOKED, key=key), as_json=as_json)


@reporting
def limit(
    reference: SetFolder,
    valid_from: From = None,
    valid_until: Until = None,
    as_json: AsJson = False,
) -> int:
    """Say from when until when a set counts. Signatures of it must be made anew.

    Two sets may count at the same time: let the windows of the old and the new one overlap while machines reboot.

    Exit: 0 written, 2 it is retired or revoked, or cannot be used.
    """
    window = window_of(valid_from, valid_until)
    if window == Window():
        raise ConfigError("nothing to change: give --from or --until")
    return _said(*limit_set(reference, window), as_json=as_json)


def window_of(valid_from: str | None, valid_until: str | None) -> Window:
    """A window from the command line."""
    return Window(valid_from=_time(valid_from), valid_until=_time(valid_until))


def _time(text: str | None) -> datetime | None:
    """A time in UTC from the command line."""
    if text is None:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise ConfigError(f"a time as 2026-01-31T23:59:59Z expected, found {text!r}") from error


def set_document(reference: ReferenceSet, path: Path) -> dict[str, object]:
    """A set that was written, for programs."""
    return {
        "name": inert(reference.name),
        "digest": f"sha256:{reference.digest}",
        "path": str(path),
        **life_document(reference),
        "events": len(reference.events),
        "files": len(reference.files),
    }


def _said(reference: ReferenceSet, path: Path, *, as_json: bool) -> int:
    if as_json:
        print_json(set_document(reference, path))
        return GOOD
    console.print(Text(f"{path}: {life(reference)}"))
    print_identity(reference)
    return GOOD
