"""A trial of rules at the command line: how far it is while it runs, then who would stand where, and why."""

from collections.abc import Iterable

from rich.live import Live
from rich.table import Table
from rich.text import Text

from bartizan.cli.console import BAD, GOOD, console, counted, signed
from bartizan.cli.wording import hint, level_mark, level_text, say, show_document, table_of
from bartizan.connectors.service.documents import Moved, Trial
from bartizan.errors import ConnectorError

SHOWN = 30
"""Nodes that are shown; --json has them all."""


def followed(lines: Iterable[Trial]) -> Trial:
    """The last line of a trial, with its progress on a terminal.

    Raises:
        ConnectorError: the service ended before it was through.
    """
    last: Trial | None = None
    with Live(console=console, transient=True, auto_refresh=False) as live:
        for last in lines:
            if console.is_terminal and not last.ended:
                so_far = f"{last.done} of {counted(last.total, 'node')} judged, {last.worse} would fall"
                live.update(Text(so_far), refresh=True)
    if last is None or not last.ended:
        raise ConnectorError("the service ended before the trial was through; nothing was written, try again")
    return last


def told(trial: Trial, *, what: str, as_json: bool) -> int:
    """Show it. what: the rules that were tried; returns the exit code: 1 if any node would fall."""
    if as_json:
        show_document(trial)
    else:
        _tell(trial, what)
    return BAD if trial.worse else GOOD


def _tell(trial: Trial, what: str) -> None:
    say(f"{what}, tried on {counted(trial.total, 'node')}; nothing was changed")
    console.print(_levels(trial))
    if trial.moved:
        shown = trial.moved[:SHOWN]
        console.print(table_of(["node", "now", "then", "why"], map(_row, shown), fold="why"))
        if trial.worse + trial.better > len(shown):
            hint(f"and {trial.worse + trial.better - len(shown)} more: --json names them")
    say(f"{counted(trial.worse, 'node')} would fall, {trial.better} would rise, {_others(trial)} would stay")
    if trial.unjudged:
        hint(f"{counted(trial.unjudged, 'node')} not judged: nothing that holds is kept of them")


def _others(trial: Trial) -> int:
    return trial.done - trial.unjudged - trial.worse - trial.better


def _levels(trial: Trial) -> Table:
    before, after = trial.before.levels, trial.after.levels
    rows: list[list[str | Text]] = [
        [level_text(int(level)), str(before.get(level, 0)), str(after.get(level, 0))]
        for level in sorted({*before, *after})
    ]
    rows.append(["contraindicated", str(trial.before.contraindicated), str(trial.after.contraindicated)])
    return table_of(["level", "now", "then"], rows)


def _row(one: Moved) -> list[str | Text]:
    arrow = Text(signed("✘ " if one.worse else "✔ "), style="bold red" if one.worse else "green")
    return [
        arrow.append(one.node, style="default"),
        level_mark(one.before, contraindicated=one.contraindicated_before),
        level_mark(one.after, contraindicated=one.contraindicated_after),
        f"{one.check}: {one.why}" if one.check else "",
    ]
