"""`bartizan reference import corim|rim` and `reference export corim`: sets from and for other Verifiers."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from bartizan.app.exchange import export_corim, import_corim, import_rim
from bartizan.app.reference_folder import write_new
from bartizan.cli.commands.reference_out import Force, Name, Out, Proposed, contents, drafted, print_identity
from bartizan.cli.console import GOOD, console, print_json, reporting
from bartizan.cli.options import AsJson
from bartizan.formats.inert import inert
from bartizan.reference.corim_import import Imported

exports = typer.Typer(no_args_is_help=True, help="Reference Values for elsewhere.", rich_markup_mode=None)


@reporting
def corim(
    manifest: Annotated[Path, typer.Argument(help="A CoRIM: CBOR, signed or not.", metavar="FILE")],
    out: Out,
    key: Annotated[
        Path | None,
        typer.Option(
            "--key", help="Who may have signed it: public keys or certificates (PEM, JWK, JWKS).", metavar="F"
        ),
    ] = None,
    name: Name = None,
    proposed: Proposed = False,
    force: Force = False,
    as_json: AsJson = False,
) -> int:
    """Take boot events and files from a CoRIM (draft-ietf-rats-corim-11); what else it holds is named.

    Exit: 0 written, 1 signature, validity or profile do not hold, 2 it cannot be read, nothing in it is of
    use, or another set is there.
    """
    now = datetime.now(UTC)
    found = import_corim(manifest, key=key, name=name or out.resolve().name, now=now)
    return _written(found, out, proposed=proposed, force=force, as_json=as_json)


@reporting
def rim(
    tag: Annotated[Path, typer.Argument(help="A TCG base RIM or another SWID tag (XML).", metavar="FILE")],
    out: Out,
    support: Annotated[
        list[Path] | None,
        typer.Option("--support", help="An event log that the RIM names by its hash; may be repeated.", metavar="LOG"),
    ] = None,
    cert: Annotated[
        Path | None,
        typer.Option("--cert", help="Who must have signed it: a certificate or public key (PEM, JWK).", metavar="F"),
    ] = None,
    name: Name = None,
    proposed: Proposed = False,
    force: Force = False,
    as_json: AsJson = False,
) -> int:
    """Take boot events from a TCG RIM's event logs, or files from another SWID tag's payload.

    Exit: 0 written, 1 the signature or a log's hash does not hold, 2 it cannot be read, nothing in it is of
    use, or another set is there.
    """
    found = import_rim(tag, supports=support or (), cert=cert, name=name or out.resolve().name)
    return _written(found, out, proposed=proposed, force=force, as_json=as_json)


def _written(found: Imported, out: Path, *, proposed: bool, force: bool, as_json: bool) -> int:
    reference = drafted(found.reference, proposed=proposed)
    path = write_new(reference, out, force=force)
    if as_json:
        amounts = {"events": len(reference.events), "files": len(reference.files), "left": list(found.left)}
        digest = f"sha256:{reference.digest}"
        named = {"name": inert(reference.name), "digest": digest, "path": str(path), "source": inert(reference.source)}
        print_json({**named, **amounts})
        return GOOD
    console.print(Text(f"{path}: {contents(reference)}"))
    console.print(Text(f"from {inert(reference.source)}"))
    for left in found.left:
        console.print(Text(f"left aside: {inert(left)}"))
    print_identity(reference)
    return GOOD


@exports.callback()
def _exports() -> None:
    """Reference Values for elsewhere."""


@exports.command(name="corim")
@reporting
def to_corim(
    reference: Annotated[Path, typer.Argument(help="A folder with reference.json.", metavar="REF")],
    out: Annotated[Path, typer.Option("--out", help="The file to write.", metavar="FILE")],
    key: Annotated[
        Path | None,
        typer.Option("--key", help="Sign it (COSE) with this private key: EC, Ed25519 or RSA, PEM.", metavar="PEM"),
    ] = None,
    issuer: Annotated[str | None, typer.Option("--issuer", help="The signer's name in it; default: Bartizan.")] = None,
    as_json: AsJson = False,
) -> int:
    """Write a set as a CoRIM (draft-ietf-rats-corim-11): boot events as a CoMID, files as a CoSWID.

    Exit: 0 written, 2 the set or the key cannot be used, or a value has no place in a CoRIM.
    """
    done = export_corim(reference, out, key=key, issuer=issuer)
    if as_json:
        digest = f"sha256:{done.reference.digest}"
        print_json({"digest": digest, "path": str(out), "bytes": done.size, "signed": done.signed})
        return GOOD
    signed = "signed" if done.signed else "not signed"
    console.print(Text(f"{out}: {contents(done.reference)}, {done.size} bytes, {signed}"))
    return GOOD
