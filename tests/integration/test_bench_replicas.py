"""The bench of several Verifiers, small: two real ones on a real PostgreSQL with fleets at work, nobody held."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_one_and_two_verifiers_take_turns_and_each_says_what_it_needs() -> None:
    options = {"replicas": (1, 2), "turns": (2,), "nodes": (4,), "connections": (5,), "seconds": (0.3,)}
    arguments = [part for name, values in options.items() for part in (f"--{name}", *map(str, values))]
    command = [sys.executable, "-m", "bench.replicas", *arguments, "--json"]

    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stderr + run.stdout
    found = json.loads(run.stdout)
    assert {count: len(turns) for count, turns in found["verifiers"].items()} == {"1": 2, "2": 2}
    for one in (turn for turns in found["verifiers"].values() for turn in turns):
        assert one.pop("throttled") is None
        assert all(value > 0 for value in one.values())
    assert all(one["rate"] > 0 for one in found["database"].values())
