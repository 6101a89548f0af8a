"""The service killed under a few nodes with real emulated TPMs; `make crash-test` does it with two hundred."""

from pathlib import Path

from tests.integration.crash import crash


def test_a_killed_service_loses_and_invents_nothing_and_every_node_comes_back_by_itself(tmp_path: Path) -> None:
    found = crash(tmp_path, nodes=3, kills=3, seed=20)

    assert found["accepted"] >= found["told"] > found["nodes"]
    assert found["full"] <= found["nodes"] + found["kills"]
