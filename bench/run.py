"""Measures Bartizan against a C floor built here and now and, when it is there, against Keylime in the same run.

CPU time, not wall time: medians of repeats, each part in a process of its own. What the three yield must be equal, or
the run fails; how fast they are is only printed.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.again import NEW, write_again
from bench.floor import WORK, build, measure_floor
from bench.keylime import NAMES as KEYLIME_NAMES
from bench.lists import SIZES, write_lists
from bench.measure import REPEATS
from bench.node import NODE
from bench.parts import PARTS
from bench.quotes import export_quote, write_quotes

ROOT = Path(__file__).parents[1]
BOOT_LOG = ROOT / "tests/vectors/boot_logs/google_go-eventlog/testdata__eventlogs__tpm__rhel8-uefi.bin"
BOOTS = ROOT / "tests/vectors/boots"
RECORDED = "appraise-full"
KEYLIME = "BARTIZAN_KEYLIME_PYTHON"
ROW = "{:<18} {:>12} {:>14} {:>10} {:>8} {:>12} {:>9} {:>10}"
HOW_TO_ADD_KEYLIME = f"""
Keylime was not measured. To have it in the same run (Debian 12; it is never installed into Bartizan's environment):
  apt-get install python3-gpg libefivar1 tpm2-tools
  /usr/bin/python3 -m venv --system-site-packages ~/keylime
  ~/keylime/bin/pip install keylime jsonschema pyyaml tornado sqlalchemy lark psutil pyzmq requests alembic jinja2 \\
      pyasn1 pyasn1-modules packaging cryptography
  {KEYLIME}=~/keylime/bin/python make bench"""


def folder_of(name: str, inputs: Path) -> Path:
    """Where a part's inputs are; both forms of a list lie together, and the node of `node` boots as `boot-log`."""
    if name in NODE:
        return inputs / "boot-log"
    return inputs / name.replace("ima-binary", "ima").replace("ima-ascii", "ima")


def write_inputs(inputs: Path) -> None:
    """All inputs of a run."""
    write_quotes(inputs)
    write_lists(inputs)
    for name, new in NEW.items():
        write_again(inputs / name, new)
    (inputs / "boot-log").mkdir()
    shutil.copy(BOOT_LOG, inputs / "boot-log" / "boot.bin")
    shutil.copytree(BOOTS / "good", inputs / RECORDED)
    (inputs / RECORDED / "roots").mkdir()
    for certificate in BOOTS.glob("*.pem"):
        shutil.copy(certificate, inputs / RECORDED / "roots")
    export_quote(inputs / RECORDED)


def measured(interpreter: str, module: str, name: str, inputs: Path) -> dict[str, Any]:
    """One part in a process of its own."""
    command = [interpreter, "-m", module, name, str(folder_of(name, inputs))]
    run = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    if run.returncode:
        raise SystemExit(f"{name} failed under {module}:\n{run.stderr[-3000:]}")
    report: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return report


def row(name: str, inputs: Path, program: Path, keylime: str | None) -> dict[str, Any]:
    """One part's numbers: median CPU seconds of each contender, ratios, peak memory."""
    ours = measured(sys.executable, "bench.parts", name, inputs)
    median = statistics.median(ours["seconds"])
    found: dict[str, Any] = {"part": name, "seconds": median, "peak_kib": ours["peak_kib"], "rate": None}
    found["spread"] = (max(ours["seconds"]) - min(ours["seconds"])) / median
    size = name.rpartition("-")[2]
    found["rate"] = SIZES.get(size, 1) / median
    results = {"bartizan": ours["result"]}
    if name in WORK:
        found["floor_seconds"], results["floor"] = measure_floor(program, name, folder_of(name, inputs))
        found["times_floor"] = median / found["floor_seconds"]
    if keylime and name in KEYLIME_NAMES:
        theirs = measured(keylime, "bench.keylime", name, inputs)
        results["keylime"] = theirs["result"]
        found["keylime_seconds"] = statistics.median(theirs["seconds"])
        found["keylime_times_ours"] = found["keylime_seconds"] / median
    if name.startswith("appraise"):
        results = {"expected": "level 4", "bartizan": ours["result"]}  # the floor judges nothing
    if len(set(results.values())) != 1:
        raise SystemExit(f"{name}: the contenders disagree: {results}")
    return found


def show(found: dict[str, Any]) -> None:
    """Prints one row."""
    keylime = found.get("keylime_seconds")
    floor = found.get("floor_seconds")
    cells = (
        found["part"],
        f"{found['seconds'] * 1e6:,.1f} µs",
        f"{found['rate']:,.0f}/s",
        f"{floor * 1e6:,.1f} µs" if floor else "-",
        f"{found['times_floor']:.1f}x" if floor else "-",
        f"{keylime * 1e6:,.0f} µs" if keylime else "-",
        f"{found['keylime_times_ours']:.1f}x" if keylime else "-",
        f"{found['peak_kib'] / 1024:,.0f} MiB",
    )
    print(ROW.format(*cells), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON document instead of the table")
    parser.add_argument("part", nargs="*", help=f"all when none is named: {', '.join(PARTS)}")
    asked = parser.parse_args()
    keylime = os.environ.get(KEYLIME)
    with tempfile.TemporaryDirectory(prefix="bartizan-bench-") as scratch:
        inputs = Path(scratch)
        program = build(inputs)
        write_inputs(inputs)
        if not asked.json:
            print(f"CPU time, median of {REPEATS}; rate: parts, or list entries, per second of one core")
            print(ROW.format("part", "Bartizan", "rate", "C floor", "ours/C", "Keylime", "theirs/ours", "peak RSS"))
        rows = []
        for name in asked.part or PARTS:
            rows.append(row(name, inputs, program, keylime))
            if not asked.json:
                show(rows[-1])
    if asked.json:
        print(json.dumps({"unit": "CPU seconds", "repeats": REPEATS, "parts": rows}, indent=1))
    elif not keylime:
        print(HOW_TO_ADD_KEYLIME)


if __name__ == "__main__":
    main()
