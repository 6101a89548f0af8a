"""The unit that the service runs under starts what there is, and is as narrow as its page says."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from bartizan.app.service.settings import Settings
from bartizan.cli.console import REFUSED
from bartizan.cli.main import app
from bartizan.web.server import MAX_CONNECTIONS
from tests.architecture.tree import ROOT

FOLDER = ROOT / "deploy" / "service"
UNIT = FOLDER / "bartizan.service"
PAGE = ROOT / "docs" / "how-to" / "run-the-service.md"
NARROW = {
    "CapabilityBoundingSet": [""],
    "AmbientCapabilities": [""],
    "NoNewPrivileges": ["yes"],
    "ProtectSystem": ["strict"],
    "ProtectHome": ["yes"],
    "PrivateDevices": ["yes"],
    "PrivateUsers": ["yes"],
    "MemoryDenyWriteExecute": ["yes"],
    "RestrictNamespaces": ["yes"],
    "RestrictAddressFamilies": ["AF_INET AF_INET6 AF_UNIX"],
    "SystemCallFilter": ["@system-service", "~@privileged @resources"],
    "User": ["bartizan"],
}


def settings_of(unit: Path) -> dict[str, list[str]]:
    """The values of a unit's keys, in their order."""
    found: dict[str, list[str]] = {}
    for key, value in re.findall(r"^([A-Za-z]+)=(.*)$", unit.read_text("utf-8"), re.MULTILINE):
        found.setdefault(key, []).append(value)
    return found


def test_it_starts_a_command_with_options_that_there_are() -> None:
    (line,) = settings_of(UNIT)["ExecStart"]
    program, name, *options = shlex.split(line)
    (serve,) = [one for one in app.registered_commands if one.callback is not None and one.callback.__name__ == "serve"]
    alone = typer.Typer()
    alone.command()(serve.callback)  # type: ignore[type-var]  # Typer's own record of a command

    parsed = typer.main.get_command(alone).make_context("serve", options).params
    assert (program, name) == ("/opt/bartizan/bin/bartizan", "serve")
    assert str(parsed["file"]) == "/etc/bartizan/bartizan.toml"
    assert parsed["as_json"]


@pytest.mark.parametrize(("key", "values"), NARROW.items())
def test_it_gives_no_more_than_this(key: str, values: list[str]) -> None:
    assert settings_of(UNIT)[key] == values


def test_it_may_hold_as_many_connections_as_the_server_takes() -> None:
    (most,) = settings_of(UNIT)["LimitNOFILE"]

    assert int(most) >= 1.5 * MAX_CONNECTIONS


def test_it_is_started_again_after_a_failure_but_for_settings_that_cannot_be_used() -> None:
    assert settings_of(UNIT)["Restart"] == ["on-failure"]
    assert settings_of(UNIT)["RestartPreventExitStatus"] == [str(REFUSED)]
    assert settings_of(UNIT)["StartLimitIntervalSec"] == ["0"]


def test_the_folder_that_it_may_write_is_where_the_data_is() -> None:
    (name,) = settings_of(UNIT)["StateDirectory"]

    assert f"/var/lib/{name}" == Settings().data
    assert not {"ReadWritePaths", "BindPaths"} & settings_of(UNIT).keys()


def test_its_user_is_made() -> None:
    assert "\nu bartizan - " in (FOLDER / "bartizan.sysusers").read_text("utf-8")


def test_the_page_tells_the_figure_and_the_limits() -> None:
    page = PAGE.read_text("utf-8")

    assert "systemd-analyze security --offline=yes" in page
    assert "`bartizan.service`" in page
