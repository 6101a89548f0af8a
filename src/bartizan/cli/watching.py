"""`--watch`: one view drawn anew in its place on a terminal, elsewhere a line for each change; Ctrl-C ends it."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from bartizan.cli.console import GOOD, console
from bartizan.cli.wording import now
from bartizan.errors import ConfigError, ConnectorError

Watch = Annotated[
    bool, typer.Option("--watch", help="Go on until Ctrl-C: refreshed on a terminal, elsewhere a line for each change.")
]
Every = Annotated[int, typer.Option("--every", help="Seconds between two looks of --watch.", metavar="S", min=1)]
EVERY = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What was seen at once: for people, and a line for each thing that may change, by its name."""

    shown: RenderableType
    lines: Mapping[str, str]


def watch(look: Callable[[], Look], *, every: int, as_json: bool, pause: Callable[[float], None] = time.sleep) -> int:
    """Look again and again until Ctrl-C; a service that does not answer for a while is waited for.

    Raises:
        ConfigError: one JSON document was asked for. ConnectorError, DeclinedError: the first look fails.
    """
    if as_json:
        raise ConfigError("--watch never ends, and --json is one document: give one of them")
    try:
        if console.is_terminal:
            _in_place(look, lambda: pause(every))
        else:
            _line_by_line(look, lambda: pause(every))
    except KeyboardInterrupt:
        return GOOD
    return GOOD


def _in_place(look: Callable[[], Look], pause: Callable[[], None]) -> None:
    seen, fault = look(), ""
    with Live(console=console, auto_refresh=False, vertical_overflow="ellipsis") as live:
        while True:
            live.update(Group(seen.shown, _footer(fault)), refresh=True)
            pause()
            try:
                seen, fault = look(), ""
            except ConnectorError as error:
                fault = str(error)


def _footer(fault: str) -> Text:
    if fault:
        return Text(f"not up to date since {now():%H:%M:%S} UTC: {fault}", style="bold yellow")
    return Text(f"{now():%H:%M:%S} UTC, Ctrl-C ends", style="dim")


def _line_by_line(look: Callable[[], Look], pause: Callable[[], None]) -> None:
    known = look().lines
    for name, line in known.items():
        _print(f"{name}: {line}")
    reached = True
    while True:
        pause()
        try:
            seen = look().lines
        except ConnectorError as error:
            if reached:
                _print(f"no answer: {error}")
            reached = False
            continue
        if not reached:
            _print("the service answers again")
        reached = True
        for name in [*seen, *(name for name in known if name not in seen)]:
            if seen.get(name) != known.get(name):
                _print(f"{name}: {seen.get(name, 'gone')}")
        known = seen


def _print(line: str) -> None:
    console.print(Text(f"{now():%Y-%m-%dT%H:%M:%SZ} {line}"), soft_wrap=True)
