"""How commands that ask a service show what it answers: tables, ages, marks, and what to do when there is nothing."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from rich.table import Table
from rich.text import Text

from bartizan.app.defaults import levels
from bartizan.cli.console import NARROW, NO_PLACE, console, print_json, signed

MINUTE, HOUR, DAY = 60, 3600, 86_400
STATES = {"fresh": ("✔ fresh", "green"), "late": ("! late", "yellow"), "expired": ("✘ expired", "red")}
BAD_NEWS = "✘ contraindicated"


def wide() -> bool:
    """There is room for what is only useful."""
    return console.width >= NARROW


def built(document: object) -> Any:  # noqa: ANN401  what JSON is made of
    """A document as JSON is made of."""
    return msgspec.to_builtins(document)


def show_document(document: object) -> None:
    """A document of the service as the command's one JSON document."""
    print_json(built(document))


def table_of(columns: Sequence[str], rows: Iterable[Sequence[str | Text]], *, fold: str = "") -> Table:
    """A table as all commands draw them; fold: the one column that takes several lines."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        table.add_column(name, no_wrap=name != fold, overflow="fold" if name == fold else "ellipsis")
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in row))
    return table


def facts(rows: Iterable[tuple[str, str | Text]]) -> Table:
    """What is known of one thing, a line each."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, value if isinstance(value, Text) else Text(value))
    return table


def say(text: str, style: str = "") -> None:
    """A sentence."""
    console.print(Text(text, style=style))


def hint(text: str) -> None:
    """What to do next, on a line that can be copied whole."""
    console.print(Text(text, style="dim"), soft_wrap=True)


def level_text(level: int) -> str:
    """`4 known code`."""
    name = next((rung.name for rung in levels() if rung.number == level), "unattested")
    return f"{level} {name}"


def level_mark(level: int, *, contraindicated: bool) -> Text:
    """A level, and that it does not help."""
    shown = Text(level_text(level))
    return shown.append(f" {signed(BAD_NEWS)}", style="bold red") if contraindicated else shown


def state_mark(state: str) -> Text:
    """How current a verdict is, as a sign and a word."""
    text, style = STATES.get(state, (state, ""))
    return Text(signed(text), style=style)


def now() -> datetime:
    """The time by this machine's clock."""
    return datetime.now(UTC)


def span(seconds: float) -> str:
    """`12 s`, `5 min`, `3 h`, `8 days`."""
    whole = int(abs(seconds))
    if whole < 2 * MINUTE:
        return f"{whole} s"
    if whole < 2 * HOUR:
        return f"{whole // MINUTE} min"
    return f"{whole // HOUR} h" if whole < 2 * DAY else f"{whole // DAY} days"


def ago(when: datetime | None, at: datetime | None = None) -> str:
    """How long ago, or in how long."""
    if when is None:
        return "never"
    behind = ((at or now()) - when).total_seconds()
    return f"{span(behind)} ago" if behind >= 0 else f"in {span(behind)}"


def clock(when: datetime | None) -> str:
    """A time in full."""
    return NO_PLACE if when is None else when.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
