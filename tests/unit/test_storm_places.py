"""The places in line that a storm's nodes are told: whoever adds what the protocol lets it add comes in time."""

import asyncio

import pytest

from bartizan.app.service.refusals import Busy
from bartizan.app.service.storm import FIRST_GUESS, Storm

TURNED_AWAY = 2000


def test_the_last_in_line_comes_by_its_place_though_agents_add_as_much_again() -> None:
    async def play() -> list[int]:
        storm, told = Storm(at_once=1, waiting=0, clock=lambda: 0.0), []
        async with storm.turn():
            for _ in range(TURNED_AWAY):
                with pytest.raises(Busy) as busy:
                    storm.check()
                told.append(busy.value.retry_after)
        return told

    told = asyncio.run(play())

    place = TURNED_AWAY * FIRST_GUESS
    assert told == sorted(told)
    assert place / 2 <= told[-1] <= place / 2 + 1
