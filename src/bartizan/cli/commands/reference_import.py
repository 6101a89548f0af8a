"""`bartizan reference import deb`: Reference Values from signed packages, so that nobody types a hash."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from bartizan.app.evidence_folder import read_file
from bartizan.app.import_debian import Imported, Wanted, import_debian, reference_of
from bartizan.app.reference_folder import write_new
from bartizan.app.sign_reference import sign_folder
from bartizan.cli.commands.reference_out import Force, Key, Out, identity
from bartizan.cli.console import BAD, GOOD, console, counted, errors, print_json, reporting
from bartizan.cli.options import AsJson
from bartizan.connectors.debian.mirror import open_mirror
from bartizan.errors import DecodeError
from bartizan.formats.debian_packages import MAX_INSTALLED, decode_installed
from bartizan.formats.inert import inert
from bartizan.model.package import InstalledPackage
from bartizan.model.reference import ReferenceSet
from bartizan.store.package_store import PackageStore, StoreSize, open_store

app = typer.Typer(no_args_is_help=True, help="Reference Values from elsewhere.", rich_markup_mode=None)
SHOWN_LINE = 40
"""Characters of a line that is no package."""
SHOWN = 10
"""Packages named on the terminal when some are missing; --json names all."""


@app.command()
@reporting
def deb(
    mirror: Annotated[
        str,
        typer.Option(
            "--mirror", help="The repository: an http(s) URL, or a folder with dists and pool.", metavar="URL|DIR"
        ),
    ],
    suite: Annotated[str, typer.Option("--suite", help="The suite or code name, as under dists.", metavar="S")],
    keyring: Annotated[
        Path,
        typer.Option(
            "--keyring", help="The keys that may sign the suite (binary keyring, as apt's signed-by).", metavar="F"
        ),
    ],
    store: Annotated[
        Path,
        typer.Option("--store", help="The package store; made when missing, shared by all imports.", metavar="FILE"),
    ],
    out: Out,
    component: Annotated[
        list[str] | None, typer.Option("--component", help="A component; may be repeated. Default: main.", metavar="C")
    ] = None,
    arch: Annotated[str, typer.Option("--arch", help="The architecture.", metavar="A")] = "amd64",
    installed: Annotated[
        Path | None,
        typer.Option(
            "--installed",
            help="A node's packages: dpkg-query -W -f '${Package} ${Version} ${Architecture}\\n'. The set then holds"
            " these, from every repository imported into this store. Without it: the whole suite.",
            metavar="FILE",
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="At most so many packages, in the index's order.", metavar="N")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="The set's name; default: suite and architecture.")] = None,
    key: Key = None,
    force: Force = False,
    as_json: AsJson = False,
) -> int:
    """Take the digest of every file from a signed Debian repository: keyring, InRelease, index, packages, files.

    It can be ended at any time and goes on where it stopped. Packages that cannot be used are named and left out.

    Exit: 0 all packages are in the set, 1 some are not, or a signature or digest does not hold, 2 something cannot be
    used or another set is there, 3 the mirror or gpgv failed.
    """
    wanted = Wanted(
        mirror=open_mirror(mirror),
        keyring=keyring,
        suite=suite,
        components=tuple(component or ("main",)),
        architecture=arch,
        installed=_installed(installed),
        limit=limit,
    )
    with open_store(store) as opened:
        done = _with_progress(wanted, opened)
        reference = reference_of(done, opened, name=name or f"{suite}-{arch}")
        size = opened.size()
    path = write_new(reference, out, force=force)
    if key is not None:
        sign_folder(out, key)
    if as_json:
        print_json(_document(done, reference, path=path, size=size))
    else:
        _show(done, reference, path=path, size=size)
    return GOOD if done.complete else BAD


def _installed(path: Path | None) -> tuple[InstalledPackage, ...] | None:
    if path is None:
        return None
    try:
        return decode_installed(read_file(path, limit=MAX_INSTALLED))
    except DecodeError as error:
        why, found, line = error.why.partition(", found ")
        raise DecodeError(
            f"{path}: {error.what}", error.offset, f"{why}{found}{inert(line, limit=SHOWN_LINE)}"
        ) from error


def _with_progress(wanted: Wanted, store: PackageStore) -> Imported:
    with _bar() as bar:
        task = bar.add_task("packages", total=None, current="repository")

        def progress(done: int, total: int, name: str) -> None:
            bar.update(task, completed=done, total=total, current=name)

        return import_debian(wanted, store, now=datetime.now(UTC), progress=progress)


@contextmanager
def _bar() -> Iterator[Progress]:
    """A bar on standard error, drawn on a terminal only."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    shown = TextColumn("{task.fields[current]}", markup=False)
    with Progress(*columns, shown, console=errors, transient=True, disable=not errors.is_terminal) as bar:
        yield bar


def _named(some: InstalledPackage) -> str:
    return f"{some.name} {some.version} {some.architecture}"


def _document(done: Imported, reference: ReferenceSet, *, path: Path, size: StoreSize) -> dict[str, Any]:
    return {
        "name": inert(reference.name),
        "digest": f"sha256:{reference.digest}",
        "path": str(path),
        "files": len(reference.files),
        "packages": len(done.chosen),
        "repository": done.source.repository,
        "signer": done.source.signer,
        "date": done.date.isoformat(),
        "indexed": done.indexed,
        "added": done.added,
        "held": done.held,
        "fetched_bytes": done.fetched,
        "refused": [{"package": some.package.filename, "why": some.why} for some in done.refused],
        "missing": [_named(some) for some in done.missing],
        "store": {"packages": size.packages, "files": size.files, "digests": size.shared},
    }


def _show(done: Imported, reference: ReferenceSet, *, path: Path, size: StoreSize) -> None:
    held = (counted(size.packages, "package"), counted(size.files, "file"), counted(size.shared, "digest"))
    indexed = counted(done.indexed, "package")
    lines = [
        f"{done.source.repository} of {done.date:%Y-%m-%d}, signed by {done.source.signer}: {indexed}",
        f"{counted(done.added, 'package')} added ({done.fetched / 1e6:.1f} MB), {done.held} were there",
        f"the store holds {', '.join(held)}",
        f"{path}: {counted(len(reference.files), 'file')} from {counted(len(done.chosen), 'package')}",
        f"set {identity(reference)}",
    ]
    lines += [f"left out: {some.package.name} {some.package.version}: {some.why}" for some in done.refused]
    lines += [f"in no repository imported so far: {_named(some)}" for some in done.missing[:SHOWN]]
    if len(done.missing) > SHOWN:
        lines.append(f"and {len(done.missing) - SHOWN} more (--json names them)")
    for line in lines:
        console.print(Text(line))
