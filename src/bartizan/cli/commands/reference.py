"""`bartizan reference propose|diff`: Reference Values from a boot declared good, and differences in words."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from bartizan.app.learn_reference import differences_from, propose_from
from bartizan.app.reference_folder import write_reference
from bartizan.cli.console import BAD, GOOD, console, print_json, reporting
from bartizan.cli.options import AsJson, EvidenceDir

app = typer.Typer(no_args_is_help=True, help="Reference Values: what a good machine measures.", rich_markup_mode=None)


@app.command()
@reporting
def propose(
    folder: EvidenceDir,
    out: Annotated[Path, typer.Option("--out", help="The folder to write reference.json into.", metavar="REF")],
    name: Annotated[str | None, typer.Option("--name", help="The set's name; default: the folder's.")] = None,
    as_json: AsJson = False,
) -> int:
    """Write the Reference Values of a boot that you declare good. Its quote and logs must add up.

    Exit: 0 written, 1 the evidence does not add up (nothing is written), 2 it cannot be used.
    """
    reference = propose_from(folder, name=name)
    path = write_reference(reference, out)
    if as_json:
        counted = {"events": len(reference.events), "files": len(reference.files)}
        print_json({"name": reference.name, "digest": f"sha256:{reference.digest}", "path": str(path), **counted})
        return GOOD
    console.print(Text(f"{path}: {len(reference.events)} boot measurements and {len(reference.files)} files"))
    console.print(Text(f"set {reference.name}@sha256:{reference.digest}", style="dim"))
    console.print(Text(f"next: bartizan appraise DIR --reference {out}"))
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
    console.print(Text(f"{len(found)} differences" if found else "no difference"))
    return BAD if found else GOOD
