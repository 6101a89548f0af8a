"""How the writer gets on is told as it is: now, of late, and since the start."""

import threading
from pathlib import Path

import pytest
from sqlalchemy import Connection

from bartizan.app.service import watch
from bartizan.store.pace import WINDOW, Pace
from tests.unit.api_side import Api, asked
from tests.unit.service_side import Side, played


def paced(*takes: float) -> tuple[Pace, list[float]]:
    """A pace whose clock stands after transactions that took so long; the clock, to go on."""
    at = [1000.0]
    pace = Pace(now=lambda: at[0])
    for seconds in takes:
        with pace.transaction():
            at[0] += seconds
    return pace, at


def test_transactions_are_counted_with_what_they_took() -> None:
    pace, _ = paced(1.0, 3.0, 2.0)

    assert (pace.transactions, pace.seconds, pace.longest, pace.busy) == (3, 6.0, 3.0, 0.0)


def test_the_one_under_way_counts_while_it_goes_on() -> None:
    pace, at = paced(1.0)
    with pace.transaction():
        at[0] += 7.0

        assert (pace.busy, pace.longest, pace.transactions) == (7.0, 7.0, 1)
    assert (pace.busy, pace.longest, pace.transactions) == (0.0, 7.0, 2)


def test_one_that_fails_counts_too() -> None:
    pace, at = paced()

    def fail() -> None:
        with pace.transaction():
            at[0] += 4.0
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()

    assert (pace.busy, pace.longest, pace.transactions) == (0.0, 4.0, 1)


def test_the_longest_is_remembered_for_a_while_and_then_forgotten() -> None:
    pace, at = paced(4.0)
    at[0] += WINDOW - 1
    with pace.transaction():
        at[0] += 2.0
    assert pace.longest == 4.0
    at[0] += WINDOW
    assert pace.longest == 2.0
    at[0] += 2 * WINDOW
    assert pace.longest == 0.0


def test_a_transaction_that_hangs_is_seen_from_outside(tmp_path: Path) -> None:
    async def scene(api: Api) -> None:
        begun, go_on = threading.Event(), threading.Event()

        def hang(_: Connection) -> None:
            begun.set()
            go_on.wait(10)

        hanging = api.service.writer.submit(hang)
        begun.wait(10)
        waiting = api.service.writer.submit(lambda _: None)
        text = (await api.ask("GET", "/metrics")).text
        lines = [line.split() for line in text.splitlines() if line.startswith("bartizan_writer")]
        values = {name: float(value) for name, value in lines}
        go_on.set()
        await hanging
        await waiting

        assert values["bartizan_writer_busy_seconds"] > 0
        assert values["bartizan_writer_longest_seconds"] >= values["bartizan_writer_busy_seconds"]
        assert values["bartizan_writer_backlog"] >= 1
        assert api.service.writer.pace.busy == 0

    asked(scene, tmp_path)


def test_the_log_says_when_a_look_waited_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def scene(here: Side) -> None:
        await here.service.watch.look()
        assert "the writer is slow" not in capsys.readouterr().out
        monkeypatch.setattr(watch, "SLOW", -1.0)
        await here.service.watch.look()
        assert "the writer is slow" in capsys.readouterr().out

    played(scene, tmp_path)
