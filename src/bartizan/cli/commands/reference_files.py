"""`bartizan reference import files`: an image's own files and its boot, from the files themselves."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from bartizan.app.import_boot import FOLDER, PREFIX, BootFiles, boot_from
from bartizan.app.import_files import files_below
from bartizan.app.reference_folder import write_new
from bartizan.app.sign_reference import sign_folder
from bartizan.cli.commands.reference_out import Force, Key, Name, Out, Proposed, contents, drafted, print_identity
from bartizan.cli.console import GOOD, console, counted, print_json, reporting
from bartizan.cli.options import AsJson
from bartizan.errors import ConfigError
from bartizan.formats.inert import inert
from bartizan.reference.image_boot import ImageBoot
from bartizan.reference.propose import canonical


@reporting
def files(
    root: Annotated[Path, typer.Argument(help="The root folder of an image, unpacked or mounted.", metavar="ROOT")],
    paths: Annotated[list[str], typer.Argument(help="Files and folders as the machine names them.", metavar="PATH…")],
    out: Out,
    disk: Annotated[
        list[str] | None,
        typer.Option(
            "--disk",
            help="A file system that GRUB reads, unpacked or mounted, as `hd0,gpt1=FOLDER`; the one that GRUB is"
            " started from first. The set then holds the image's boot too.",
            metavar="DEVICE=DIR",
        ),
    ] = None,
    found: Annotated[
        list[str] | None,
        typer.Option(
            "--found", help="The device that `search` finds by a label or UUID; not with one disk.", metavar="ID=DEVICE"
        ),
    ] = None,
    image: Annotated[
        list[Path] | None,
        typer.Option("--image", help="A loader, in the order they are started: shim, then GRUB.", metavar="FILE"),
    ] = None,
    early: Annotated[
        Path | None, typer.Option("--early", help="The script inside GRUB's image; default: Debian's.", metavar="FILE")
    ] = None,
    prefix: Annotated[str, typer.Option("--prefix", help="Where GRUB looks for its grub.cfg first.")] = PREFIX,
    folder: Annotated[str, typer.Option("--folder", help="Where GRUB's image lies.")] = FOLDER,
    entry: Annotated[
        str | None,
        typer.Option("--entry", help="The menu entry: title, id or number, `>` for submenus; default: the menu's."),
    ] = None,
    packages: Annotated[
        Path | None,
        typer.Option(
            "--packages", help="A set of verified packages, to be named as origin of what is theirs.", metavar="REF"
        ),
    ] = None,
    name: Name = None,
    key: Key = None,
    proposed: Proposed = False,
    force: Force = False,
    as_json: AsJson = False,
) -> int:
    """Take the digests of an image's own files, which no package has, and with --disk foretell its boot.

    Exit: 0 written, 1 the boot needs a file that is not there, 2 a path or the key cannot be used, no file is there,
    or another set is in the output folder.
    """
    named = BootFiles(
        disks=tuple(disk or ()),
        found=tuple(found or ()),
        images=tuple(image or ()),
        early=early,
        prefix=prefix,
        folder=folder,
        entry=entry,
        packages=packages,
    )
    if not disk and named != BootFiles(disks=(), prefix=prefix, folder=folder):
        raise ConfigError("a boot is foretold from the disks that GRUB reads: name them with --disk")
    boot = boot_from(named) if disk else ImageBoot(events=(), left=())
    own = files_below(root, tuple(paths), name=name or out.resolve().name)
    reference = drafted(canonical(replace(own, events=boot.events)), proposed=proposed)
    path = write_new(reference, out, force=force)
    if key is not None:
        sign_folder(out, key)
    if as_json:
        amounts = {"events": len(reference.events), "files": len(reference.files), "left": list(map(inert, boot.left))}
        digest = f"sha256:{reference.digest}"
        print_json({"name": inert(reference.name), "digest": digest, "path": str(path), **amounts})
        return GOOD
    held = contents(reference) if reference.events else counted(len(reference.files), "file")
    console.print(Text(f"{path}: {held}"))
    for left in boot.left:
        console.print(Text(f"left aside: {inert(left)}"))
    print_identity(reference)
    return GOOD
