"""The service under test, seen from outside: started and stopped, its CPU, memory, files, log and metrics."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
TICK = os.sysconf("SC_CLK_TCK")
HOST = "127.0.0.1"
METRIC = re.compile(r"^bartizan_(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)
LABEL = re.compile(r'(\w+)="([^"]*)"')
SILENT = "node silent"
"""What the service's log says of one node that is late; docs/explanation/service.md."""


@dataclass(slots=True)
class Verifier:
    """One service on a data folder. log: its standard error; settings: of its file, beside the folder."""

    data: Path
    settings: str
    port: int = 0
    process: "subprocess.Popen[str] | None" = field(default=None, repr=False)

    @property
    def log(self) -> Path:
        """Where it writes its log."""
        return self.data / "service.log"

    @property
    def pid(self) -> int:
        """Its process."""
        assert self.process is not None
        return self.process.pid

    def start(self) -> None:
        """Start it, and wait until it takes requests; after a stop on the same port."""
        config = self.data / "bartizan.toml"
        config.write_text(f'data = "{self.data}"\n{self.settings}')
        command = [sys.executable, "-m", "bartizan", "serve", "--config", str(config), "--plain", "--json"]
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [*command, "--port", str(self.port)], cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True
            )
        assert self.process.stdout is not None
        said = ""
        for line in self.process.stdout:
            said += line
            if line.startswith("}"):
                break
        if not said:
            raise SystemExit(f"the service did not start:\n{self.log.read_text()[-2000:]}")
        self.port = int(json.loads(said)["url"].rpartition(":")[2])

    def stop(self) -> None:
        """Stop it in good order."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def cpu(self) -> float:
        """CPU seconds so far, user and system."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def memory(self) -> float:
        """Resident MiB."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024

    def database(self) -> int:
        """Bytes of the database without its write-ahead log."""
        return (self.data / "bartizan.db").stat().st_size

    def blamed(self) -> int:
        """How many lines of its log speak of one silent node each."""
        with self.log.open() as lines:
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
