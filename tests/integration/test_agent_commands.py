"""`bartizan-agent` as operators run it: the one-file archive, isolated, in two processes, against a real Verifier."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bartizan.agent.state import NODE, Store
from tests.architecture.tree import ROOT
from tests.integration.agent_host import Host
from tests.integration.agent_verifier import Verifier, serving

SECONDS = 60
IS_ROOT = os.geteuid() == 0
NOBODY = "65534:65534"
TOKEN = "a-join-token"  # noqa: S105


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The agent as one file, where everybody can read it."""
    out = tmp_path_factory.mktemp("agent") / "bartizan-agent.pyz"
    subprocess.run([ROOT / "scripts" / "build-agent", "--out", out], check=True, capture_output=True)
    return out


class Commands:
    """The archive's commands, for one host and one service."""

    def __init__(self, archive: Path, host: Host, url: str, state: Path) -> None:
        self._archive, self.host, self.url, self.state = archive, host, url, state
        self.environment = {**os.environ, "BARTIZAN_TOKEN": TOKEN}

    def line(self, command: str, *options: str) -> list[str]:
        where = ["--state", str(self.state)]
        if command in ("enrol", "run", "once", "collector") and "--collector" not in options:
            where += ["--tpm", self.host.address, "--root", str(self.host.root)]
        user = ["--user", NOBODY] if IS_ROOT and command != "status" and "--user" not in options else []
        return [sys.executable, "-I", "-S", str(self._archive), command, *where, *user, *options]

    def __call__(self, command: str, *options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.line(command, *options),
            check=False,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            env=self.environment,
        )

    def start(self, command: str, *options: str) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        return subprocess.Popen(self.line(command, *options), stdout=pipe, stderr=pipe, text=True, env=self.environment)

    def enrol(self, *options: str) -> subprocess.CompletedProcess[str]:
        return self("enrol", "--service", self.url, "--name", "compute-1", *options)


@pytest.fixture
def commands(archive: Path, host: Host, verifier: Verifier) -> Iterator[Commands]:
    # Not below pytest's folder, which only its owner may enter.
    with serving(verifier) as url:
        folder = Path(subprocess.run(["mktemp", "-d"], check=True, capture_output=True, text=True).stdout.strip())
        folder.chmod(0o755)
        yield Commands(archive, host, url, folder / "state")
        subprocess.run(["rm", "-r", folder], check=True)


def test_enrol_then_once_then_status(commands: Commands, verifier: Verifier) -> None:
    enrolled = commands.enrol()
    attested = commands("once")
    status = commands("status", "--json")

    assert (enrolled.returncode, enrolled.stderr) == (0, "")
    assert "Enrolled as node n-1" in enrolled.stdout
    assert (attested.returncode, attested.stderr) == (0, "")
    assert attested.stdout.startswith("result: level ")
    assert json.loads(status.stdout)["node"] == "n-1"
    assert verifier.seen[0][1]["token"] == TOKEN
    assert TOKEN not in (commands.state / "network" / NODE).read_text("utf-8")


def test_a_machine_is_enrolled_once_unless_again_is_said(commands: Commands) -> None:
    assert commands.enrol().returncode == 0
    refused = commands.enrol()

    assert refused.returncode == 2
    assert "is enrolled as n-1" in refused.stderr
    assert commands.enrol("--again").returncode == 0


def test_show_sends_nothing_and_shows_what_would_be(commands: Commands, verifier: Verifier) -> None:
    shown = commands("once", "--show")
    document = json.loads(commands("once", "--show", "--json").stdout)

    assert shown.returncode == 0
    assert not verifier.seen
    for part in ("Nothing was sent", "TPM counters", "PCR sha256 #23", "BOOT_IMAGE=/vmlinuz", "IMA list", "posture"):
        assert part in shown.stdout
    assert document["sent"] is False
    assert document["evidence"]["posture"]["version"] == 2


def test_run_attests_until_it_is_told_to_end(commands: Commands, verifier: Verifier) -> None:
    commands.enrol()
    process = commands.start("run")
    verifier.wait_for(2)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=SECONDS)
    status = commands("status")

    assert (process.returncode, said) == (0, "")
    assert "last success" in status.stdout
    assert status.returncode == 0


def test_the_network_half_of_run_is_somebody_else_and_cannot_gain_rights(
    commands: Commands, verifier: Verifier
) -> None:
    commands.enrol()
    process = commands.start("run")
    verifier.wait_for(1)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text("ascii").split()
    status = Path(f"/proc/{children[0]}/status").read_text("ascii")
    fields = {key: value.split() for key, _, value in (line.partition(":") for line in status.splitlines())}
    process.terminate()
    process.communicate(timeout=SECONDS)

    assert len(children) == 1
    assert fields["NoNewPrivs"] == ["1"]
    if IS_ROOT:
        assert fields["Uid"] == fields["Gid"] == ["65534"] * 4
        assert fields["Groups"] == []
        assert fields["CapEff"] == ["0000000000000000"]


def test_a_collector_started_by_itself_serves_its_user(commands: Commands, verifier: Verifier) -> None:
    path = commands.state.parent / "collector.sock"
    collector = commands.start("collector", "--socket", str(path))
    assert collector.stdout is not None
    assert collector.stdout.readline().startswith("Listening at ")
    enrolled = commands.enrol("--collector", str(path))
    attested = commands("once", "--collector", str(path))
    collector.terminate()
    _, said = collector.communicate(timeout=SECONDS)

    assert (enrolled.returncode, enrolled.stderr) == (0, "")
    assert attested.returncode == 0
    assert (collector.returncode, said) == (0, "")
    assert not path.exists()
    assert verifier.result is not None


@pytest.mark.skipif(not IS_ROOT, reason="needs root, to be somebody else")
def test_a_collector_turns_other_users_away(commands: Commands) -> None:
    path = commands.state.parent / "collector.sock"
    collector = commands.start("collector", "--socket", str(path), "--user", NOBODY)
    assert collector.stdout is not None
    assert collector.stdout.readline().startswith("Listening at ")
    path.chmod(0o666)
    refused = commands("once", "--show", "--collector", str(path), "--user", "65533:65533")
    collector.terminate()
    _, said = collector.communicate(timeout=SECONDS)

    assert refused.returncode == 3
    assert "closed the connection" in refused.stderr
    assert "was turned away" in said


def test_a_service_that_is_away_is_an_outside_failure(commands: Commands) -> None:
    commands.enrol()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    store = Store(commands.state / "network")
    node = store.load_node()
    assert node is not None
    owner = (store.folder / NODE).stat()
    store.save_node(node._replace(service=f"http://127.0.0.1:{port}"))
    os.chown(store.folder / NODE, owner.st_uid, owner.st_gid)
    failed = commands("once")

    assert failed.returncode == 3
    assert "Connection refused" in failed.stderr


def test_evidence_that_does_not_hold_ends_once_with_1(commands: Commands, verifier: Verifier) -> None:
    commands.enrol()
    verifier.faults = [(200, verifier.given()), (422, {"error": {"kind": "verify", "what": "quote", "why": "is old"}})]
    failed = commands("once")

    assert failed.returncode == 1
    assert "422 verify: quote: is old" in failed.stderr


def test_enrolment_that_is_refused_ends_with_1(commands: Commands, verifier: Verifier) -> None:
    verifier.faults = [(403, {"error": {"kind": "enrolment", "what": "token", "why": "is used up"}})]
    refused = commands.enrol()

    assert refused.returncode == 1
    assert "token: is used up" in refused.stderr


def test_a_review_is_said_and_run_goes_on_with_it(commands: Commands, verifier: Verifier) -> None:
    verifier.faults = [(202, {"review": "r-1", "why": "another TPM than before", "retry_in": 0})]
    asked = commands.enrol()
    process = commands.start("run")
    verifier.wait_for(1)
    process.terminate()
    process.communicate(timeout=SECONDS)

    assert asked.returncode == 0
    assert "r-1: another TPM than before" in asked.stdout
    assert process.returncode == 0
    assert verifier.seen[0][1] == verifier.seen[1][1]


def test_run_before_enrol_is_refused(commands: Commands) -> None:
    refused = commands("run")

    assert refused.returncode == 2
    assert "First: bartizan-agent enrol" in refused.stderr


def test_a_second_run_is_refused(commands: Commands, verifier: Verifier) -> None:
    commands.enrol()
    first = commands.start("run")
    verifier.wait_for(1)
    second = commands("run")
    first.terminate()
    first.communicate(timeout=SECONDS)

    assert second.returncode == 2
    assert "another bartizan-agent is using it" in second.stderr
