"""The console steers no terminal, whatever it is given to print."""

import io

import pytest
from rich.table import Table
from rich.text import Text

from bartizan.cli.console import InertConsole

HOSTILE = "a\x1b[31mb\u202ec\rd\x07e"


@pytest.mark.parametrize("renderable", [HOSTILE, Text(HOSTILE), "row"])
def test_control_and_direction_characters_come_out_as_escapes(renderable: str | Text) -> None:
    table = Table(box=None)
    table.add_column("column")
    table.add_row(Text(HOSTILE))
    stream = io.StringIO()
    InertConsole(file=stream, width=200, markup=False).print(table if renderable == "row" else renderable)

    shown = stream.getvalue()

    assert shown.rstrip("\n").replace("\n", "").isprintable()
    assert "\\x1b[31m" in shown
    assert "\u202e" not in shown


def test_line_breaks_and_signs_of_our_own_stay() -> None:
    stream = io.StringIO()
    InertConsole(file=stream, width=80).print(Text("✔ one\n✘ two – three…"))

    assert stream.getvalue() == "✔ one\n✘ two – three…\n"
