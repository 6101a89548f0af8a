"""`bartizan reference propose|diff`: Reference Values from a boot declared good, and differences in words."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from bartizan.app.learn_reference import differences_from, propose_from
from bartizan.app.reference_folder import write_new
from bartizan.cli.commands.reference_out import Force, Out, Proposed, contents, drafted, print_identity
from bartizan.cli.console import BAD, GOOD, console, counted, print_json, reporting
from bartizan.cli.options import AsJson, EvidenceDir
from bartizan.formats.inert import inert

app = typer.Typer(no_args_is_help=True, help="Reference Values: what a good machine measures.", rich_markup_mode=None)


@app.command()
@reporting
def propose(
    folder: EvidenceDir,
    out: Out,
    name: Annotated[str | None, typer.Option("--name", help="The set's name; default: the folder's.")] = None,
    proposed: Proposed = False,
    force: Force = False,
    as_json: AsJson = False,
) -> int:
    """Write the Reference Values of a boot that you declare good. Its quote and logs must add up.

    Exit: 0 written, 1 the evidence does not add up (nothing is written), 2 it cannot be used, or another set is there.
    """
    reference = drafted(propose_from(folder, name=name), proposed=proposed)
    path = write_new(reference, out, force=force)
    if as_json:
        held = {"events": len(reference.events), "files": len(reference.files)}
        print_json({"name": inert(reference.name), "digest": f"sha256:{reference.digest}", "path": str(path), **held})
        return GOOD
    console.print(Text(f"{path}: {contents(reference)}"))
    print_identity(reference)
    console.print(
        Text(
            f"next: bartizan appraise DIR --reference {out}, or for a service: bartizan reference service upload {out}"
        )
    )
    return GOOD


@app.command()
@reporting
def diff(
    reference: Annotated[Path, typer.Argument(help="A folder that `propose` wrote.", metavar="REF")],
    folder: EvidenceDir,
    as_json: AsJson = False,
) -> int:
    """Say what a boot measured otherwise than the Reference Values.

    Exit: 0 no difference, 1 differences (or evidence that does not add up), 2 a folder cannot be used.
    """
    found = differences_from(reference, folder)
    if as_json:
        rows = [{"change": some.change.value, "pcr": some.pcr, "what": some.what} for some in found]
        print_json({"differences": rows})
        return BAD if found else GOOD
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("PCR", justify="right")
    table.add_column("change", no_wrap=True)
    table.add_column("what", overflow="fold")
    for some in found:
        table.add_row(str(some.pcr), some.change.value, Text(some.what))
    if found:
        console.print(table)
    console.print(Text(counted(len(found), "difference") if found else "no difference"))
    return BAD if found else GOOD
