"""The service as a process of its own on loopback, to be paused and killed: for demonstration, tests and benches.

It ends with whoever started it, also where that one is killed.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from bartizan.connectors.lifeline import tied
from bartizan.errors import ConnectorError

MAX_SAID = 4096
"""Characters of a log that an error quotes."""
BARTIZAN = ("-m", "bartizan")


@dataclass(slots=True, kw_only=True)
class VerifierProcess:
    """The service on one data folder; `port` stays the same over restarts.

    options: of `bartizan serve`, beside those for port and output; log: where its log goes, nowhere without one;
    program: what the interpreter runs with them.
    """

    data: Path
    options: tuple[str, ...]
    program: tuple[str, ...] = BARTIZAN
    log: Path = Path(os.devnull)
    port: int = 0
    url: str = ""
    pin: str | None = None
    _process: "subprocess.Popen[str] | None" = None

    def start(self) -> None:
        """Start it and wait until it takes requests.

        Raises:
            ConnectorError: it ended instead; what it said is part of the message.
        """
        command = [sys.executable, *self.program, "serve", *self.options, "--json", "--port", str(self.port)]
        with self.log.open("a") as log:
            self._process = subprocess.Popen(  # noqa: S603  our own program
                tied(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        said = json.loads(self._announcement() or "{}")
        if "url" not in said:
            self.kill()
            raise ConnectorError(f"the service did not start: {self.log.read_text(errors='replace')[-MAX_SAID:]}")
        self.url, self.pin = said["url"], said["pin"]
        self.port = int(self.url.rpartition(":")[2])

    def _announcement(self) -> str:
        lines: list[str] = []
        if self._process is not None and self._process.stdout is not None:
            for line in self._process.stdout:
                lines.append(line)
                if line.startswith("}"):
                    break
        return "".join(lines)

    def pause(self) -> None:
        """Stop it in its tracks, as a suspended virtual machine is."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it without a chance to tidy up."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it in order."""
        self._signal(signal.SIGCONT)
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        self._signal(how)
        process, self._process = self._process, None
        if process is not None:
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()

    def _signal(self, which: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            os.kill(self._process.pid, which)

    @property
    def pid(self) -> int:
        """Of the process.

        Raises:
            ConnectorError: it does not run.
        """
        if self._process is None:
            raise ConnectorError("the service does not run")
        return self._process.pid

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End it in order."""
        self.stop()


@contextmanager
def run_verifier(data: Path, *, roots: Path, period: int, late: int, expired: int) -> Iterator[VerifierProcess]:
    """The service while the block runs. period, late, expired: seconds, shorter than anybody would set them.

    Raises:
        ConnectorError: it does not start.
    """
    data.mkdir(parents=True, exist_ok=True)
    settings = data / "bartizan.toml"
    settings.write_text(
        f'data = "{data}"\n[attestation]\nperiod = {period}\nlate = {late}\nexpired = {expired}\n'
        f'[trust]\nroots = "{roots}"\near_lifetime = {late + period}\n'
    )
    with VerifierProcess(data=data, options=("--config", str(settings)), log=data / "service.log") as verifier:
        yield verifier
