"""What the commands that import packages share: options, progress, and what they say when they are done."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.text import Text

from bartizan.app.evidence_folder import read_file
from bartizan.app.import_packages import Imported, Progress, reference_of
from bartizan.app.reference_folder import write_new
from bartizan.app.sign_reference import sign_folder
from bartizan.cli.commands.reference_out import drafted, identity
from bartizan.cli.console import BAD, GOOD, console, counted, errors, print_json
from bartizan.errors import DecodeError
from bartizan.formats.debian_packages import MAX_INSTALLED
from bartizan.formats.inert import inert
from bartizan.model.package import InstalledPackage
from bartizan.model.reference import ReferenceSet
from bartizan.store.package_store import PackageStore, StoreSize, open_store

Store = Annotated[
    Path, typer.Option("--store", help="The package store; made when missing, shared by all imports.", metavar="FILE")
]
Limit = Annotated[
    int | None, typer.Option("--limit", min=1, help="At most so many packages, in the index's order.", metavar="N")
]
SHOWN_LINE = 40
"""Characters of a line that is no package."""
SHOWN = 10
"""Packages named on the terminal when some are missing; --json names all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What becomes of the imported packages: a set of this name, where it goes, who signs it, how it is told."""

    name: str
    out: Path
    key: Path | None
    proposed: bool
    force: bool
    as_json: bool


def run_import(start: Callable[[PackageStore, Progress], Imported], written: Written, *, store: Path) -> int:
    """Import with a bar on the terminal, write the set, sign it if a key is given, and say what came of it."""
    with open_store(store) as opened:
        with _bar() as progress:
            done = start(opened, progress)
        reference = drafted(reference_of(done, opened, name=written.name), proposed=written.proposed)
        size = opened.size()
    path = write_new(reference, written.out, force=written.force)
    if written.key is not None:
        sign_folder(written.out, written.key)
    if written.as_json:
        print_json(_document(done, reference, path=path, size=size))
    else:
        _show(done, reference, path=path, size=size)
    return GOOD if done.complete else BAD


def read_installed(
    path: Path | None, decode: Callable[[bytes], tuple[InstalledPackage, ...]]
) -> tuple[InstalledPackage, ...] | None:
    """A node's packages from a file; None without one."""
    if path is None:
        return None
    try:
        return decode(read_file(path, limit=MAX_INSTALLED))
    except DecodeError as error:
        why, found, line = error.why.partition(", found ")
        raise DecodeError(
            f"{path}: {error.what}", error.offset, f"{why}{found}{inert(line, limit=SHOWN_LINE)}"
        ) from error


@contextmanager
def _bar() -> Iterator[Progress]:
    """A bar on standard error, drawn on a terminal only."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    shown = TextColumn("{task.fields[current]}", markup=False)
    with Bar(*columns, shown, console=errors, transient=True, disable=not errors.is_terminal) as bar:
        task = bar.add_task("packages", total=None, current="repository")

        def progress(done: int, total: int, name: str) -> None:
            bar.update(task, completed=done, total=total, current=name)

        yield progress


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
