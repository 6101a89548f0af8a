"""`bartizan serve`, `config check`, `backup` and `restore`: the service on this machine."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from bartizan.app.service.settings import Settings, read_settings
from bartizan.cli.console import GOOD, console, print_json, reporting
from bartizan.cli.options import AsJson
from bartizan.connectors.service.address import is_loopback
from bartizan.errors import ConfigError

if TYPE_CHECKING:  # they take a second to import, which no other command should wait for
    from bartizan.app.service.backup import Backup
    from bartizan.web.run import Address

config = typer.Typer(no_args_is_help=True, help="Settings of the service.", rich_markup_mode=None)
ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", help="Settings (TOML). Without it, the defaults.", metavar="F", envvar="BARTIZAN_CONFIG"),
]
DataFolder = Annotated[
    Path | None,
    typer.Option("--data", help="Folder of keys and database, instead of the one in the settings.", metavar="DIR"),
]


def settings_of(file: Path | None, data: Path | None) -> Settings:
    """The settings in force for a command.

    Raises:
        ConfigError: the file cannot be used.
    """
    found = read_settings(file)
    return found if data is None else msgspec.structs.replace(found, data=str(data.absolute()))


@reporting
def serve(
    file: ConfigFile = None,
    data: DataFolder = None,
    port: Annotated[
        int | None, typer.Option("--port", help="Instead of listen.port; 0 takes a free one.", min=0, max=65535)
    ] = None,
    plain: Annotated[bool, typer.Option("--plain", help="Without TLS; for loopback addresses only.")] = False,
    as_json: AsJson = False,
) -> int:
    """Run the Verifier service until SIGTERM or Ctrl-C.

    Listens on 127.0.0.1:8443 unless the settings say otherwise. The first start makes the data folder, the keys and
    the database, and an account whose token it puts into the data folder. Exit: 0 ended as told, 2 settings that
    cannot be used, 3 nothing could be written any more: start it again.
    """
    from bartizan.web.run import run_service  # noqa: PLC0415  as above

    settings = settings_of(file, data)
    if port is not None:
        settings = msgspec.structs.replace(settings, listen=msgspec.structs.replace(settings.listen, port=port))
    if plain and not is_loopback(settings.listen.host):
        raise ConfigError(f"--plain: a loopback address expected, found listen.host {settings.listen.host}")
    run_service(settings, plain=plain, ready=lambda address: _announce(address, settings, as_json=as_json))
    return GOOD


def _announce(address: "Address", settings: Settings, *, as_json: bool) -> None:
    if as_json:
        print_json({"url": address.url, "pin": address.pin, "data": settings.data})
        return
    rows = (("listening", address.url), ("pin", address.pin or "none: without TLS"), ("data", settings.data))
    for name, value in rows:  # on one line each, however narrow the screen: they are there to be copied
        console.print(Text(f"{name:<10} {value}"), soft_wrap=True)
    console.print(Text("Ctrl-C or SIGTERM ends it; requests under way are finished.", style="dim"))


@config.callback()
def _config() -> None:
    """Settings of the service."""


@config.command()
@reporting
def check(file: ConfigFile = None, data: DataFolder = None, as_json: AsJson = False) -> int:
    """Read the settings and show them as understood, defaults included.

    A PostgreSQL that they name is asked; a key of yours for results signs once.

    Exit: 0 they can be used, 2 they cannot, 3 a PKCS#11 token does not answer.
    """
    from bartizan.app.service.key_stores import proved  # noqa: PLC0415  as above
    from bartizan.store.database import check_database  # noqa: PLC0415  as above

    settings = settings_of(file, data)
    answered = check_database(settings.database_url)
    found = msgspec.to_builtins(settings) | {"result_key": proved(settings)}
    if as_json:
        print_json(found)
        return GOOD
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("setting", no_wrap=True)
    table.add_column("value", overflow="fold")
    for name, value in _rows(found, ""):
        empty = "(empty)" if value == "" else "(made and rotated)" if value is None else ""
        table.add_row(name, Text(empty or str(value), style="dim" if empty else ""))
    console.print(table)
    if answered is not None:
        console.print(Text(f"the database answers: {answered}"), soft_wrap=True)
    return GOOD


def _rows(values: dict[str, Any], prefix: str) -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = []
    for name, value in values.items():
        rows += _rows(value, f"{prefix}{name}.") if isinstance(value, dict) else [(f"{prefix}{name}", value)]
    return rows


@reporting
def backup(
    out: Annotated[Path, typer.Argument(help="The file to write.", metavar="FILE")],
    file: ConfigFile = None,
    data: DataFolder = None,
    as_json: AsJson = False,
) -> int:
    """Copy database and keys into one file, also while the service runs.

    The file holds private keys; only its owner can read it. Exit: 0 written, 2 it cannot be.
    """
    from bartizan.app.service.backup import take_backup  # noqa: PLC0415  as above

    _tell("written", take_backup(settings_of(file, data), out, now=datetime.now(UTC)), as_json=as_json)
    return GOOD


@reporting
def restore(
    source: Annotated[Path, typer.Argument(help="A file that `bartizan backup` wrote.", metavar="FILE")],
    file: ConfigFile = None,
    data: DataFolder = None,
    as_json: AsJson = False,
) -> int:
    """Put a backup where the service will find it; nothing that is there is overwritten.

    Every challenge that is out becomes void; agents ask for another one by themselves. Exit: 0 restored, 2 refused.
    """
    from bartizan.app.service.backup import restore_backup  # noqa: PLC0415  as above

    _tell("restored", restore_backup(source, settings_of(file, data)), as_json=as_json)
    return GOOD


def _tell(what: str, done: "Backup", *, as_json: bool) -> None:
    if as_json:
        document = {"file": str(done.path), "made_at": done.made_at.isoformat(), "bytes": done.size}
        print_json(document | {"files": list(done.files)})
        return
    made = done.made_at.isoformat(timespec="seconds")
    console.print(Text(f"{what}: {done.path} of {made}, {done.size / 1e6:.1f} MB, {len(done.files)} files"))
