"""`bartizan reference import deb|rpm`: Reference Values from signed packages, so that nobody types a hash."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from bartizan.app.import_debian import Wanted, import_debian
from bartizan.app.import_packages import Imported, Progress
from bartizan.app.import_rpm import WantedRpms, import_rpms
from bartizan.cli.commands.import_out import Limit, Store, Written, read_installed, run_import
from bartizan.cli.commands.reference_out import Force, Key, Out, Proposed
from bartizan.cli.console import reporting
from bartizan.cli.options import AsJson
from bartizan.connectors.repository.mirror import open_mirror
from bartizan.formats.debian_packages import decode_installed
from bartizan.formats.rpm_metadata import decode_installed_rpms
from bartizan.store.package_store import PackageStore

app = typer.Typer(no_args_is_help=True, help="Reference Values from elsewhere.", rich_markup_mode=None)


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
    store: Store,
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
    limit: Limit = None,
    name: Annotated[str | None, typer.Option("--name", help="The set's name; default: suite and architecture.")] = None,
    key: Key = None,
    proposed: Proposed = False,
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
        installed=read_installed(installed, decode_installed),
        limit=limit,
    )

    def start(opened: PackageStore, progress: Progress) -> Imported:
        return import_debian(wanted, opened, now=datetime.now(UTC), progress=progress)

    named = name or f"{suite}-{arch}"
    written = Written(name=named, out=out, key=key, proposed=proposed, force=force, as_json=as_json)
    return run_import(start, written, store=store)


@app.command()
@reporting
def rpm(
    mirror: Annotated[
        str,
        typer.Option("--mirror", help="The repository: an http(s) URL, or a folder with repodata.", metavar="URL|DIR"),
    ],
    keyring: Annotated[
        Path,
        typer.Option("--keyring", help="The keys that may sign repodata/repomd.xml (binary keyring).", metavar="F"),
    ],
    store: Store,
    out: Out,
    repository: Annotated[
        str | None,
        typer.Option("--repository", help="What provenance calls the repository; default: the mirror.", metavar="NAME"),
    ] = None,
    installed: Annotated[
        Path | None,
        typer.Option(
            "--installed",
            help="A node's packages: rpm -qa. The set then holds these, from every repository imported into this"
            " store. Without it: the whole repository.",
            metavar="FILE",
        ),
    ] = None,
    ima_key: Annotated[
        list[Path] | None,
        typer.Option(
            "--ima-key",
            help="Demand an IMA signature of every file, by this certificate or public key; may be repeated.",
            metavar="FILE",
        ),
    ] = None,
    limit: Limit = None,
    name: Annotated[str | None, typer.Option("--name", help="The set's name; default: the repository's.")] = None,
    key: Key = None,
    proposed: Proposed = False,
    force: Force = False,
    as_json: AsJson = False,
) -> int:
    """Take the digest of every file from a signed RPM repository: keyring, repomd.xml, list, packages, headers.

    It can be ended at any time and goes on where it stopped. Packages that cannot be used are named and left out.

    Exit: 0 all packages are in the set, 1 some are not, or a signature or digest does not hold, 2 something cannot be
    used or another set is there, 3 the mirror or gpgv failed.
    """
    called = repository or mirror
    wanted = WantedRpms(
        mirror=open_mirror(mirror),
        keyring=keyring,
        name=called,
        file_keys=tuple(ima_key or ()),
        installed=read_installed(installed, decode_installed_rpms),
        limit=limit,
    )

    def start(opened: PackageStore, progress: Progress) -> Imported:
        return import_rpms(wanted, opened, now=datetime.now(UTC), progress=progress)

    written = Written(name=name or called, out=out, key=key, proposed=proposed, force=force, as_json=as_json)
    return run_import(start, written, store=store)
