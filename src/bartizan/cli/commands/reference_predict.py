"""`bartizan reference predict|limit`: the next boot's Reference Values, and from when until when a set counts."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from bartizan.app.predict_reference import UpdateFiles, Window, limit_set, predict_from
from bartizan.app.reference_folder import write_new
from bartizan.cli.commands.reference_out import Force, Out, life, life_document, print_identity
from bartizan.cli.console import GOOD, console, counted, print_json, reporting
from bartizan.cli.options import AsJson, EvidenceDir, PolicyFile
from bartizan.errors import ConfigError
from bartizan.formats.inert import inert
from bartizan.model.reference import ReferenceSet, ReferenceState
from bartizan.reference.predict import Change

From = Annotated[
    str | None, typer.Option("--from", help="When the set begins to count, as 2026-01-31T23:59:59Z.", metavar="TIME")
]
Until = Annotated[
    str | None, typer.Option("--until", help="When the set counts no more, as 2026-01-31T23:59:59Z.", metavar="TIME")
]
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
    window = Window(valid_from=_time(valid_from), valid_until=_time(valid_until))
    found = predict_from(folder, files, policy=policy, signers=tuple(signer or ()), name=name, window=window)
    path = write_new(found.reference, out, force=force)
    if as_json:
        changes = [_change(change) for change in found.changes]
        print_json(_document(found.reference, path) | {"changes": changes, "warnings": list(found.doubts)})
        return GOOD
    for doubt in found.doubts:
        console.print(Text(f"! warning: {doubt}", style="yellow"))
    console.print(_table(found.changes) if found.changes else Text("nothing will be measured otherwise"))
    console.print(Text(f"{path}: the next boot, {counted(len(found.changes), 'change')}; all else as measured now"))
    print_identity(found.reference)
    return GOOD


@reporting
def limit(
    reference: Annotated[Path, typer.Argument(help="A folder with a set.", metavar="REF")],
    valid_from: From = None,
    valid_until: Until = None,
    state: Annotated[ReferenceState | None, typer.Option("--state", help="Where the set stands in its life.")] = None,
    as_json: AsJson = False,
) -> int:
    """Say from when until when a set counts, or that it is retired or revoked. Signatures of it must be made anew.

    A retired or expired set recognises nothing; what only a revoked one knew is contraindicated.

    Exit: 0 written, 2 it cannot be used.
    """
    window = Window(valid_from=_time(valid_from), valid_until=_time(valid_until), state=state)
    if window == Window():
        raise ConfigError("nothing to change: give --from, --until or --state")
    found, path = limit_set(reference, window)
    if as_json:
        print_json(_document(found, path))
        return GOOD
    console.print(Text(f"{path}: {life(found)}"))
    print_identity(found)
    return GOOD


def _time(text: str | None) -> datetime | None:
    """A time in UTC from the command line."""
    if text is None:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise ConfigError(f"a time as 2026-01-31T23:59:59Z expected, found {text!r}") from error


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


def _document(reference: ReferenceSet, path: Path) -> dict[str, object]:
    return {
        "name": inert(reference.name),
        "digest": f"sha256:{reference.digest}",
        "path": str(path),
        **life_document(reference),
        "events": len(reference.events),
        "files": len(reference.files),
    }


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
