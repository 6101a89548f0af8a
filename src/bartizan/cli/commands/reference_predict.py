"""`bartizan reference predict`: the next boot's Reference Values, from the present one and the files of an update."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from bartizan.app.predict_reference import UpdateFiles, predict_from
from bartizan.app.reference_folder import write_new
from bartizan.cli.commands.reference_life import From, Until, set_document, window_of
from bartizan.cli.commands.reference_out import Force, Out, Proposed, drafted, print_identity
from bartizan.cli.console import GOOD, console, counted, print_json, reporting
from bartizan.cli.options import AsJson, EvidenceDir, PolicyFile
from bartizan.reference.predict import Change

FILE = "FILE"
SHOWN_DIGITS = 16
"""Of a digest, in a table."""


@reporting
def predict(
    folder: EvidenceDir,
    out: Out,
    kernel: Annotated[
        Path | None, typer.Option("--kernel", help="The new kernel image (vmlinuz-…).", metavar=FILE)
    ] = None,
    initrd: Annotated[
        list[Path] | None,
        typer.Option(
            "--initrd", help="The new initramfs; repeated in the order in which they are loaded.", metavar=FILE
        ),
    ] = None,
    grub_cfg: Annotated[
        Path | None, typer.Option("--grub-cfg", help="The new grub.cfg: menu, kernel and command line.", metavar=FILE)
    ] = None,
    cmdline: Annotated[
        str | None, typer.Option("--cmdline", help="The new command line, without the kernel's path.", metavar="TEXT")
    ] = None,
    shim: Annotated[Path | None, typer.Option("--shim", help="The new shim (shimx64.efi).", metavar=FILE)] = None,
    loader: Annotated[
        Path | None, typer.Option("--loader", help="The new boot loader (grubx64.efi).", metavar=FILE)
    ] = None,
    uki: Annotated[
        Path | None, typer.Option("--uki", help="The new unified kernel image, with its first profile.", metavar=FILE)
    ] = None,
    package: Annotated[
        str | None,
        typer.Option("--package", help="The package that it comes from; nobody checks it.", metavar="NAME=VERSION"),
    ] = None,
    packages: Annotated[
        Path | None,
        typer.Option(
            "--packages",
            help="A set that `reference import deb` wrote: new images must be files of its packages, which are named.",
            metavar="REF",
        ),
    ] = None,
    signer: Annotated[
        list[Path] | None,
        typer.Option(
            "--signer",
            help="A certificate that may sign images, besides those that the present boot used; may be repeated.",
            metavar="CERT",
        ),
    ] = None,
    policy: PolicyFile = None,
    name: Annotated[str | None, typer.Option("--name", help="The set's name; default: the folder's and -next.")] = None,
    valid_from: From = None,
    valid_until: Until = None,
    proposed: Proposed = False,
    force: Force = False,
    as_json: AsJson = False,
) -> int:
    """Foretell what the next boot will measure, from the present one in DIR and the files of an update.

    Use the set beside the present one (appraise --reference OLD --reference NEW) until all machines have rebooted; then
    let the old one end: reference limit OLD --until TIME.

    Exit: 0 written, 1 the boot does not add up or an image may not run (nothing is written), 2 a file cannot be used,
    or another set is there.
    """
    files = UpdateFiles(
        kernel=kernel,
        shim=shim,
        loader=loader,
        unified=uki,
        initrds=tuple(initrd or ()),
        grub_cfg=grub_cfg,
        command_line=cmdline,
        package=package,
        packages=packages,
    )
    window = window_of(valid_from, valid_until)
    found = predict_from(folder, files, policy=policy, signers=tuple(signer or ()), name=name, window=window)
    reference = drafted(found.reference, proposed=proposed)
    path = write_new(reference, out, force=force)
    if as_json:
        changes = [_change(change) for change in found.changes]
        print_json(set_document(reference, path) | {"changes": changes, "warnings": list(found.doubts)})
        return GOOD
    for doubt in found.doubts:
        console.print(Text(f"! warning: {doubt}", style="yellow"))
    console.print(_table(found.changes) if found.changes else Text("nothing will be measured otherwise"))
    console.print(Text(f"{path}: the next boot, {counted(len(found.changes), 'change')}; all else as measured now"))
    print_identity(reference)
    return GOOD


def _table(changes: tuple[Change, ...]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("PCR", justify="right", no_wrap=True)
    table.add_column("now", overflow="fold")
    table.add_column("next", overflow="fold")
    table.add_column("why", overflow="fold")
    for change in changes:
        times = f" ({change.times} times)" if change.times > 1 else ""
        now = _cell(change.before or "–", change.before_digest)
        after = _cell(f"{change.after or 'nothing'}{times}", change.after_digest)
        table.add_row(str(change.pcr), now, after, Text(change.provenance))
    return table


def _cell(label: str, digest: str) -> Text:
    """A measurement, and under it how its digest begins."""
    begin = digest.partition(":")[2][:SHOWN_DIGITS]
    return Text(label).append(f"\n{begin}…" if begin else "", style="dim")


def _change(change: Change) -> dict[str, object]:
    return {
        "pcr": change.pcr,
        "before": change.before,
        "after": change.after,
        "before_digest": change.before_digest or None,
        "after_digest": change.after_digest or None,
        "provenance": change.provenance,
        "times": change.times,
    }
