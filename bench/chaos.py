"""`make replica-test`: several Verifiers on one PostgreSQL broken on purpose; what must hold is in the test itself.

As root a Verifier is cut off by a network namespace, and the database's disk is a small file system that is filled;
otherwise a relay on loopback swallows what passes, and the full disk is left out. Both are said.
"""

import argparse
import json
import random
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from tests.integration.chaos import LONG, Found, Play, chaos, database_disk_full
from tests.integration.network import may
from tests.postgresql import running

DISK = "700m"
SMALL = {"max_wal_size": "128MB"}
ROW = "{:<20} {:>8} {:>9} {:>10} {:>9} {:>9}  {}"


def main() -> None:
    """Run it, and print what it saw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicas", type=int, default=3)
    parser.add_argument("--nodes", type=int, default=24)
    parser.add_argument("--seconds", type=float, default=12.0, help="that each fault lasts; a lease lasts 10")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 16), help="whom nodes ask")
    parser.add_argument("--only", action="append", help="a fault by its name, such as replica_killed; repeatable")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    faults = [fault for fault in (*LONG, database_disk_full) if not asked.only or fault.__name__ in asked.only]
    if not may():
        faults = [fault for fault in faults if fault is not database_disk_full]
    play = Play(
        replicas=asked.replicas,
        nodes=asked.nodes,
        faults=faults,
        lasts=asked.seconds,
        seed=asked.seed,
        cables=may(),
    )
    if not asked.json:
        how = "by a network namespace" if may() else "by a relay that swallows all; not root: no full disk"
        print(f"{play.replicas} Verifiers, {play.nodes} nodes, --seed {play.seed}; cut off {how}")
        print(
            ROW.format("fault", "lasted", "silence", "recovery", "accepted", "enrolled", "refused, or not answered"),
            flush=True,
        )
    begun = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="bartizan-chaos-") as folder,
        running(SMALL, size=DISK if may() else None) as server,
    ):
        found = chaos(server, Path(folder), play, tell=lambda one: None if asked.json else _say(one))
    if asked.json:
        print(json.dumps({"faults": [asdict(one) for one in found], "seed": play.seed}, indent=1))
    else:
        seconds = time.monotonic() - begun
        print(f"nothing was lost, accepted twice, invented or enrolled twice; {seconds:.0f} s")


def _say(one: Found) -> None:
    refused = ", ".join(f"{count} {why}" for why, count in one.refused.most_common()) or "-"
    cells = (f"{one.lasted:.1f} s", f"{one.silence:.1f} s", f"{one.recovery:.1f} s", one.accepted, one.enrolled)
    print(ROW.format(one.fault, *cells, refused), flush=True)


if __name__ == "__main__":
    main()
