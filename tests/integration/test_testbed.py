"""The testbed's short set, for real: measured boots with Secure Boot, a TPM and the agent inside, attacked."""

from pathlib import Path

import pytest

from bartizan.errors import ConnectorError
from testbed.image import cache_folder
from testbed.run import fleet, played
from testbed.scenario import Start, chosen, read_scenarios

LEAST_BOOTS = 4


def test_the_short_set_ends_as_its_data_says_and_a_guest_that_does_not_come_up_is_told_by_its_console(
    tmp_path: Path,
) -> None:
    with fleet(tmp_path, cache_folder()) as here:
        done = list(played(here, chosen(read_scenarios(), [], short=True)))

        assert {one.scenario.name: one.wrong for one in done if one.wrong} == {}
        assert sum(one.boots for one in done) >= LEAST_BOOTS

        broken = here.make("broken", Start(tampered=True))
        broken.switch_on().wait_until_said("bad shim signature")
        with pytest.raises(ConnectorError, match=r"no answer in time(.|\n)*bad shim signature"):
            broken.running.wait_until_up(0.1)
