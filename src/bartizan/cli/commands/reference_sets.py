"""`bartizan reference show|sign`: what is in a set and where it comes from; an operator's signature beside it."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from bartizan.app.reference_folder import read_reference
from bartizan.app.sign_reference import FILE, read_signatures, sign_folder
from bartizan.cli.commands.reference_out import identity, life, life_document, print_identity
from bartizan.cli.console import BAD, GOOD, console, print_json, reporting
from bartizan.cli.options import AsJson
from bartizan.formats.inert import inert
from bartizan.model.reference import Origin, ReferenceFile, ReferenceSet

SetFolder = Annotated[Path, typer.Argument(help="A folder with reference.json.", metavar="REF")]


@reporting
def show(
    reference: SetFolder,
    path: Annotated[
        str | None, typer.Option("--path", help="Only files under this path, or with it.", metavar="P")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Show a set: its state, whether it counts now, and each value with the package and key that it comes from.

    Exit: 0 shown, 1 nothing under that path, 2 the folder cannot be used.
    """
    found, now = read_reference(reference), datetime.now(UTC)
    files = [file for file in found.files if path is None or _under(file.path, path)]
    signers = [signature.key.hex() for signature in read_signatures(reference)]
    if as_json:
        shown = _document(found, files, signers=signers, events=path is None)
        print_json(shown | {"in_force": found.in_force(now)})
    else:
        _print(found, files, signers=signers, events=path is None, now=now)
    return BAD if path is not None and not files else GOOD


def _under(path: bytes, wanted: str) -> bool:
    start = wanted.rstrip("/").encode("utf-8", "surrogateescape")
    return path == start or path.startswith(start + b"/")


def _shown(path: bytes) -> str:
    return inert(path.decode("utf-8", "surrogateescape"))


def _document(found: ReferenceSet, files: list[ReferenceFile], *, signers: list[str], events: bool) -> dict[str, Any]:
    return {
        "name": inert(found.name),
        "digest": f"sha256:{found.digest}",
        "source": inert(found.source),
        **life_document(found),
        "signatures": [f"sha256:{signer}" for signer in signers],
        "events": [_event(found, index) for index in range(len(found.events))] if events else [],
        "files": [_file(file) for file in files],
    }


def _event(found: ReferenceSet, index: int) -> dict[str, Any]:
    event = found.events[index]
    return {
        "pcr": event.pcr,
        "label": inert(event.label),
        "digests": {alg.label: digest.hex() for alg, digest in sorted(event.digests.items())},
        "provenance": inert(event.provenance) or None,
    }


def _file(file: ReferenceFile) -> dict[str, Any]:
    origin = file.origin
    return {
        "path": _shown(file.path),
        "digest": f"{file.alg}:{file.digest.hex()}",
        "changeable": file.changeable,
        "origin": None
        if origin is None
        else {
            "package": inert(origin.package),
            "version": inert(origin.version),
            "architecture": inert(origin.architecture),
            "repository": inert(origin.repository),
            "signer": inert(origin.signer),
        },
    }


def _words(origin: Origin | None, *, source: str) -> str:
    """Where a file's value comes from; the set's own source where it has no other."""
    if origin is None:
        return inert(source)
    package = f"{origin.package} {origin.version} {origin.architecture}"
    return inert(f"{package} ({origin.repository}, key {origin.signer[-16:]})")


def _print(found: ReferenceSet, files: list[ReferenceFile], *, signers: list[str], events: bool, now: datetime) -> None:
    console.print(Text(inert(f"{found.name}: {found.source}")))
    print_identity(found)
    window = "" if found.valid_from or found.valid_until else ", without a time limit"
    counts = "it counts now" if found.in_force(now) else "it recognises nothing now"
    console.print(Text(f"state: {life(found)}{window}; {counts}"))
    console.print(Text("signed by " + ", ".join(f"sha256:{some}" for some in signers) if signers else "not signed"))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("where", "what", "from"):
        table.add_column(column, overflow="fold")
    for event in found.events if events else ():
        table.add_row(f"PCR {event.pcr}", Text(inert(event.label)), Text(inert(event.provenance or found.source)))
    for file in files:
        digest = f"{file.alg}:{file.digest.hex()}" + (" (configuration file)" if file.changeable else "")
        table.add_row(Text(_shown(file.path)), Text(digest), Text(_words(file.origin, source=found.source)))
    if table.row_count:
        console.print(table)


@reporting
def sign(
    reference: SetFolder,
    key: Annotated[
        Path, typer.Option("--key", help="EC P-256 or Ed25519 private key (PEM, no password).", metavar="PEM")
    ],
    as_json: AsJson = False,
) -> int:
    """Sign a set: writes reference.sig.json beside it, for --reference-key.

    Exit: 0 signed, 2 the folder or the key cannot be used.
    """
    found, fingerprint = sign_folder(reference, key)
    if as_json:
        digest = f"sha256:{found.digest}"
        print_json(
            {
                "name": inert(found.name),
                "digest": digest,
                "key": f"sha256:{fingerprint.hex()}",
                "path": str(reference / FILE),
            }
        )
        return GOOD
    console.print(Text(f"{reference / FILE}: {identity(found)}"))
    console.print(Text(f"signed by sha256:{fingerprint.hex()}"))
    return GOOD
