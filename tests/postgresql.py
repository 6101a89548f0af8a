"""A PostgreSQL for tests: made in a temporary folder, reached by a socket there or by loopback, stopped afterwards.

PostgreSQL refuses to run as root: then it runs as the user of Debian's package, or as nobody.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

PATIENCE = 60.0
"""Seconds for the server to start or stop."""
USUAL_PORT = 5432
"""Names the socket; nothing listens there without loopback."""
USERS = ("postgres", "nobody")
SETTINGS = {"listen_addresses": "127.0.0.1", "max_connections": "100", "timezone": "UTC"}


def programs() -> Path:
    """Where the newest server's programs are: Debian keeps them out of the path."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    assert found, "initdb is missing: apt-get install postgresql"
    return found[-1].parent


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


def _user() -> str | None:
    """Who it runs as, if not as oneself."""
    if os.getuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in USERS if name in known)


@dataclass
class Server:
    """A server on a folder; `folder` may be a file system of its own."""

    folder: Path
    port: int
    settings: Mapping[str, str] = field(default_factory=dict)
    process: "subprocess.Popen[bytes] | None" = None

    def url(self, name: str, *, host: str = "127.0.0.1", port: int | None = None) -> str:
        """Of a database, by loopback; host, port: of something between."""
        return f"postgresql://bartizan@{host}:{port or self.port}/{name}"

    @property
    def socket(self) -> Path:
        """Its Unix socket."""
        return self.folder / f".s.PGSQL.{self.port}"

    def local_url(self, name: str) -> str:
        """The same by the server's socket."""
        return f"postgresql://bartizan@/{name}?host={self.folder}&port={self.port}"

    def make(self) -> None:
        """Make it, for whoever may reach it: only this machine's loopback does."""
        if user := _user():
            shutil.chown(self.folder, user, pwd.getpwnam(user).pw_gid)
        self._run(
            "initdb", "--auth=trust", "--username=bartizan", "--no-sync", "-E", "UTF8", "--locale=C", str(self.data)
        )

    @property
    def data(self) -> Path:
        """Its data folder."""
        return self.folder / "data"

    def start(self) -> None:
        """Start it and wait until it takes connections."""
        settings = (
            SETTINGS | {"port": str(self.port), "unix_socket_directories": str(self.folder)} | dict(self.settings)
        )
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [programs() / "postgres", "-D", self.data, *options], stdout=log, stderr=log, **_as_user()
            )
        self._wait(answers=True)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it, at once by default; with SIGKILL, as a power cut would."""
        assert self.process is not None
        if how is signal.SIGKILL:
            self._kill_all()
        else:
            self.process.send_signal(how)
        self.process.wait(PATIENCE)
        self.process = None

    def _kill_all(self) -> None:
        """The postmaster and its children, none of which may finish anything."""
        for pid in self.pids():
            os.kill(pid, signal.SIGKILL)

    def pids(self) -> list[int]:
        """Of the postmaster and its children."""
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [self.process.pid, *map(int, children)]

    def ended(self) -> bool:
        """It has ended by itself."""
        return self.process is None or self.process.poll() is not None

    def create(self, name: str) -> str:
        """A new, empty database: its name."""
        self._run("createdb", "-h", str(self.folder), "-p", str(self.port), "-U", "bartizan", name)
        return name

    def drop(self, name: str) -> None:
        """Drop it, whoever is connected."""
        self._run("dropdb", "--force", "-h", str(self.folder), "-p", str(self.port), "-U", "bartizan", name)

    def sql(self, *statements: str, database: str = "postgres") -> str:
        """What statements yield, one after the other in one session."""
        where = ["-h", str(self.folder), "-p", str(self.port), "-U", "bartizan", "-d", database]
        return self._run("psql", "-X", "-A", "-t", "-q", *where, *(part for one in statements for part in ("-c", one)))

    def _wait(self, *, answers: bool) -> None:
        begun, tick = time.monotonic(), threading.Event()
        ask = [programs() / "pg_isready", "-q", "-h", self.folder, "-p", str(self.port)]
        while (subprocess.run(ask, check=False).returncode == 0) is not answers:
            assert time.monotonic() - begun < PATIENCE, (self.folder / "log").read_text()[-2000:]
            assert self.process is None or self.process.poll() is None, (self.folder / "log").read_text()[-2000:]
            tick.wait(0.02)

    def _run(self, program: str, *arguments: str) -> str:
        command = [programs() / program, *arguments]
        done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=self.folder, **_as_user())
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


def _as_user() -> dict[str, object]:
    user = _user()
    if user is None:
        return {}
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}


@contextmanager
def running(
    settings: Mapping[str, str] | None = None, *, loopback: bool = True, size: str | None = None
) -> Iterator[Server]:
    """A server in a folder of its own, gone afterwards. loopback: reached also there, and not by its socket alone.

    size: of the file system, in memory, that it gets for itself, for which one has to be root; such as `300m`.
    """
    folder = Path(tempfile.mkdtemp(prefix="bartizan-postgresql-"))
    if size is not None:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "bartizan", folder], check=True)
    server = Server(folder, _free_port() if loopback else USUAL_PORT, dict(settings or {}))
    if not loopback:
        server.settings = {**server.settings, "listen_addresses": ""}
    try:
        server.make()
        server.start()
        yield server
    finally:
        if server.process is not None:
            server.stop()
        if size is not None:
            subprocess.run(["umount", "--lazy", folder], check=True)
        shutil.rmtree(folder, ignore_errors=True)
