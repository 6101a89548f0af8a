"""The service under test, seen from outside: started and stopped, its CPU, memory, files, log and metrics."""

import os
import re
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bartizan.app.demo.verifier_process import VerifierProcess
from bench.service import memory_of

TICK = os.sysconf("SC_CLK_TCK")
HOST = "127.0.0.1"
METRIC = re.compile(r"^bartizan_(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)
LABEL = re.compile(r'(\w+)="([^"]*)"')
SILENT = "node silent"
"""What the service's log says of one node that is late; docs/explanation/service.md."""


def process_cpu(pid: int) -> float:
    """CPU seconds of a process so far, those of threads that have ended included; in hundredths."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


@dataclass(slots=True)
class Verifier:
    """One service on a data folder. settings: of its file, beside the folder."""

    data: Path
    settings: str
    process: VerifierProcess = field(init=False, repr=False)

    def __post_init__(self) -> None:
        options = ("--config", str(self.data / "bartizan.toml"), "--plain")
        self.process = VerifierProcess(data=self.data, options=options, log=self.data / "service.log")

    @property
    def port(self) -> int:
        """Where it listens on loopback."""
        return self.process.port

    @property
    def pid(self) -> int:
        """Its process."""
        return self.process.pid

    def start(self) -> None:
        """Start it, and wait until it takes requests; after a stop on the same port."""
        (self.data / "bartizan.toml").write_text(f'data = "{self.data}"\n{self.settings}')
        self.process.start()

    def stop(self) -> None:
        """Stop it in good order."""
        self.process.stop()

    def cpu(self) -> float:
        """CPU seconds so far, user and system."""
        return process_cpu(self.pid)

    def memory(self) -> float:
        """Resident MiB."""
        return memory_of(self.pid)

    def database(self) -> int:
        """Bytes of the database without its write-ahead log."""
        return (self.data / "bartizan.db").stat().st_size

    def blamed(self) -> int:
        """How many lines of its log speak of one silent node each."""
        with self.process.log.open() as lines:
            return sum(SILENT in line for line in lines)

    def metrics(self) -> "Metrics":
        """What it says of itself."""
        with urllib.request.urlopen(f"http://{HOST}:{self.port}/metrics", timeout=60) as answer:
            return Metrics(answer.read().decode())


class Metrics:
    """Prometheus' text form, as far as it is asked for."""

    def __init__(self, text: str) -> None:
        self._found = [
            (name, dict(LABEL.findall(labels)), float(value)) for name, labels, value in METRIC.findall(text)
        ]

    def sum(self, name: str, **labels: str) -> int:
        """All values of a metric with these labels, added."""
        wanted: Mapping[str, str] = labels
        return int(sum(value for found, has, value in self._found if found == name and wanted.items() <= has.items()))
