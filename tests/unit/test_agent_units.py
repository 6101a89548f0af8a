"""The units and pages that operators copy from name commands and options that there are."""

import re
import shlex

import pytest

from bartizan.agent.__main__ import parser
from bartizan.agent.loop import State
from tests.architecture.tree import ROOT

UNITS = sorted((ROOT / "deploy" / "agent").glob("*.service"))
PAGE = ROOT / "docs" / "how-to" / "run-the-agent.md"


def started(text: str) -> list[list[str]]:
    """The words behind each ExecStart=."""
    return [shlex.split(line)[1:] for line in re.findall(r"^ExecStart=(.*)$", text, re.MULTILINE)]


def shown(text: str) -> list[list[str]]:
    """The words behind each bartizan-agent in the blocks of a page."""
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [line.strip() for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    found = [re.search(r"(?:^|IMAGE\s+)bartizan-agent (.*)$", line) for line in lines]
    return [shlex.split(match.group(1)) for match in found if match]


def test_there_are_units_and_commands() -> None:
    assert len(UNITS) == 2
    assert [words[0] for words in shown(PAGE.read_text("utf-8"))] == ["enrol", "status", "run"]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_starts_what_there_is(unit: object) -> None:
    (words,) = started((ROOT / "deploy" / "agent" / str(unit)).read_text("utf-8"))

    assert parser().parse_args(words).command in ("run", "collector")


def test_the_page_shows_what_there_is() -> None:
    for words in shown(PAGE.read_text("utf-8")):
        assert parser().parse_args(words)


def test_the_page_knows_every_state() -> None:
    page = PAGE.read_text("utf-8")
    assert not [state.value for state in State if f"`{state.value}`" not in page]
