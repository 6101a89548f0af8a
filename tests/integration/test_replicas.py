"""Two Verifiers on one PostgreSQL, broken on purpose; `make replica-test` does it with three and with more faults."""

from pathlib import Path

from tests.integration.chaos import SHORT, Play, chaos
from tests.postgresql import running


def test_verifiers_and_a_database_that_are_killed_or_frozen_lose_nothing_accept_nothing_twice_and_come_back(
    tmp_path: Path,
) -> None:
    play = Play(replicas=2, nodes=8, faults=SHORT, lasts=1.5, seed=5)
    with running() as server:
        found = chaos(server, tmp_path, play)

    assert [one.fault for one in found] == ["replica killed", "replica frozen", "database killed"]
    assert all(one.accepted >= play.nodes for one in found)
    assert sum(one.enrolled for one in found) > 0
