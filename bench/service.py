"""The running service measured from outside: CPU of its process for each attestation, rates, memory, the due scan.

A service of its own on loopback, software nodes that speak the true protocol over HTTP, SQLite on disk, every check on.
CPU is that of the service's process alone (user and system), read from the kernel before and after.
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from bartizan.app.service.settings import Settings
from bartizan.formats.reference_file import encode_reference
from bartizan.model.digest import HashAlg
from bartizan.model.node import Silence
from bartizan.model.reference import ReferenceFile, ReferenceState
from bartizan.store.accounts import ensure_default_project
from bartizan.store.database import open_database
from bartizan.store.joining import register_eks
from bartizan.store.nodes import NewNode, add_node
from bartizan.store.rules import Author, add_set
from bartizan.store.watching import behind
from bench.rounds import nodes
from tests.simulator.machine import reference

ROOT = Path(__file__).parents[1]
AUTHOR = Author(project=1, account="bench", now=1)
SIZES = (1_000, 10_000, 100_000)
ENROLLED = 100_000
ROW = "{:<34} {:>14} {:>14} {:>12} {:>12}"


def prepare(data: Path, count: int, files: int) -> None:
    """A data folder whose service knows these nodes and a reference set of so many files."""
    chance = random.Random(files)
    known = reference().set
    others = tuple(
        ReferenceFile(path=b"/opt/%d" % number, alg="sha256", digest=chance.randbytes(32))
        for number in range(files - len(known.files))
    )
    document = encode_reference(replace(known, files=(*known.files, *others)))
    with open_database(Settings(data=str(data)).database_url) as engine, engine.begin() as connection:
        ensure_default_project(connection)
        add_set(connection, "bench", document, ReferenceState.APPROVED, author=AUTHOR)
        register_eks(connection, [(node.ek.name, node.name, node.role) for node in nodes(count)], author=AUTHOR)


@contextmanager
def running(data: Path) -> Iterator[tuple[int, int]]:
    """The service on this folder: its process id and port."""
    command = [sys.executable, "-m", "bartizan", "serve", "--data", str(data), "--port", "0", "--plain", "--json"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            yield process.pid, int(json.loads(_document(process))["url"].rpartition(":")[2])
        finally:
            process.terminate()
            process.wait()


def _document(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("}"):
            break
    return "".join(lines)


def cpu_of(pid: int) -> float:
    """CPU seconds that the threads of a process had so far, to the nanosecond (`/proc/…/stat` counts in hundredths)."""
    threads = (folder / "schedstat" for folder in Path(f"/proc/{pid}/task").iterdir())
    return sum(int(times.read_text().split()[0]) for times in threads) / 1e9


def memory_of(pid: int) -> float:
    """Resident MiB of a process."""
    return next(int(line.split()[1]) for line in Path(f"/proc/{pid}/status").open() if line.startswith("VmRSS")) / 1024


def attested(files: int, *, count: int, rounds: int, connections: int) -> dict[str, Any]:
    """CPU and rate of attestations with nothing new, against a reference set of so many files."""
    with tempfile.TemporaryDirectory(prefix="bartizan-bench-") as folder:
        data = Path(folder)
        prepare(data, count, files)
        with running(data) as (pid, port):
            options = {"port": port, "nodes": count, "rounds": rounds, "connections": connections}
            arguments = [part for name, value in options.items() for part in (f"--{name}", str(value))]
            command = [sys.executable, "-m", "bench.rounds", *arguments]
            with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as fleet:
                assert fleet.stdin is not None
                assert fleet.stdout is not None
                json.loads(fleet.stdout.readline())
                found = []
                for _ in range(rounds):
                    before = cpu_of(pid)
                    fleet.stdin.write("go\n")
                    fleet.stdin.flush()
                    report = json.loads(fleet.stdout.readline())
                    found.append((cpu_of(pid) - before, report))
            memory = memory_of(pid)
    return {
        "cpu": statistics.median(cpu for cpu, _ in found) / count,
        "rate": count / statistics.median(report["seconds"] for _, report in found),
        "p99": statistics.median(report["p99"] for _, report in found),
        "memory": memory,
    }


def due_scan() -> dict[str, float]:
    """A look at a hundred thousand enrolled nodes, one in a hundred of them behind time; and the service's memory."""
    with tempfile.TemporaryDirectory(prefix="bartizan-bench-") as folder:
        data = Path(folder)
        with open_database(Settings(data=str(data)).database_url) as engine:
            with engine.begin() as connection:
                ensure_default_project(connection)
                for number in range(ENROLLED):
                    uid = f"{number:032x}"
                    new = NewNode(
                        uid=uid,
                        name=f"node-{number}",
                        role="compute",
                        project=1,
                        ek_name=uid.encode(),
                        ak_name=uid.encode(),
                        identity=b"",
                        registered=True,
                        banks=(HashAlg.SHA256,),
                        pinned=HashAlg.SHA256,
                        enrolled_by="bench",
                    )
                    add_node(connection, new, now=0, due=0 if number % 100 == 0 else 1 << 60)
            times = []
            for _ in range(21):
                with engine.connect() as connection:
                    begun = time.process_time()
                    found = behind(connection, silence=Silence.NONE, due_before=1, limit=10_000)
                    times.append(time.process_time() - begun)
                    assert len(found) == ENROLLED // 100
        with running(data) as (pid, _):
            return {"scan": statistics.median(times), "memory": memory_of(pid)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--connections", type=int, default=64)
    asked = parser.parse_args()
    print(ROW.format("service over HTTP, nothing new", "CPU each", "rate (wall)", "p99", "memory"))
    for files in SIZES:
        found = attested(files, count=asked.nodes, rounds=asked.rounds, connections=asked.connections)
        cells = (f"{found['cpu'] * 1e6:,.0f} µs", f"{found['rate']:,.0f}/s", f"{found['p99'] * 1e3:,.1f} ms")
        print(ROW.format(f"reference set of {files:,} files", *cells, f"{found['memory']:,.0f} MiB"), flush=True)
    scan = due_scan()
    cells = (f"{scan['scan'] * 1e3:.2f} ms", "-", "-", f"{scan['memory']:,.0f} MiB")
    print(ROW.format(f"due scan, {ENROLLED:,} enrolled", *cells))


if __name__ == "__main__":
    main()
