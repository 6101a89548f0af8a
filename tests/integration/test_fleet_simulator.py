"""The fleet simulator against the real service: a dozen nodes, enrolled by it, through an update and a reboot storm."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_small_fleet_goes_through_an_update_and_a_reboot_storm(tmp_path: Path) -> None:
    options = {"nodes": 12, "storm": 4, "period": 2, "late": 30, "files": 300, "new": 3, "connections": 4}
    arguments = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    command = [sys.executable, "-m", "bench.fleet", "wave", "storm", *arguments, "--cache", str(tmp_path), "--json"]

    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stderr + run.stdout
    start, wave, storm = json.loads(run.stdout)["scenarios"]
    assert [one["scenario"] for one in (start, wave, storm)] == ["start", "wave", "storm"]
    assert start["figures"]["full"] == 0
    assert wave["figures"]["new_entries_each"] == 3
    assert storm["figures"]["full"] == storm["figures"]["rebooted"] == 4
    assert storm["figures"]["service_cpu_ms_each"] > 0
