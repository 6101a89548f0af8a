"""`make crash-test`: the service killed under a fleet of real emulated TPMs; what must hold is in the test itself."""

import argparse
import json
import random
import tempfile
import time
from pathlib import Path

from tests.integration.crash import crash


def main() -> None:
    """Run it, and print what it saw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=200)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32), help="to repeat a run")
    asked = parser.parse_args()
    print(f"{asked.nodes} nodes, {asked.kills} kills, --seed {asked.seed}", flush=True)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bartizan-crash-") as folder:
        found = crash(Path(folder), nodes=asked.nodes, kills=asked.kills, seed=asked.seed)
    print(json.dumps(found | {"seconds": round(time.monotonic() - begun)}, indent=1))


if __name__ == "__main__":
    main()
