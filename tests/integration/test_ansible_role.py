"""The Ansible role against a real service and an emulated TPM: one host, whose root is a folder of this machine.

Runs where `ansible-playbook` is found and the tests are root's, since the agent's two halves are different users.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from bartizan.app.demo.verifier_process import VerifierProcess
from bartizan.connectors.swtpm.manufacture import Factory
from tests.architecture.tree import ROOT
from tests.integration.agent_host import Host
from tests.integration.crash import prepare, until

ANSIBLE = shutil.which("ansible-playbook")
NOBODY = "65534:65534"
NAME = "node-1"
JOIN_TOKEN = re.compile(r"bzj_[A-Za-z0-9_-]{8,}")
PLAY = [
    {
        "name": "Enrol",
        "hosts": "all",
        "gather_facts": False,
        "roles": [{"role": "bartizan_agent"}],
    }
]


@dataclass
class Control:
    """The control node and its one host."""

    folder: Path
    host: Host
    verifier: VerifierProcess

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def program(self) -> Path:
        return self.folder / "bartizan-agent"

    def variables(self) -> dict[str, object]:
        command = self.folder / "bartizan"
        command.write_text(f'#!/bin/sh\nexec {sys.executable} -m bartizan "$@"\n', encoding="utf-8")
        command.chmod(0o755)
        return {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "bartizan_agent_service": f"http://127.0.0.1:{self.verifier.port}",
            "bartizan_agent_pin": "",
            "bartizan_agent_package": str(self.folder / "dist" / "bartizan-agent.pyz"),
            "bartizan_agent_control": str(command),
            "bartizan_agent_control_token_file": str(self.verifier.data / "operator.token"),
            "bartizan_agent_wait": 60,
            "bartizan_agent_wait_every": 1,
            "bartizan_agent_systemd": False,
            "bartizan_agent_program": str(self.program),
            "bartizan_agent_state": str(self.state),
            "bartizan_agent_user": NOBODY,
            "bartizan_agent_enrol_options": ["--tpm", self.host.address, "--root", str(self.host.root)],
        }

    def start(self, *options: str, **variables: object) -> "subprocess.Popen[str]":
        """A run of the role under way."""
        inventory = self.folder / "inventory.json"
        hosts = {NAME: self.variables() | variables}
        inventory.write_text(json.dumps({"all": {"hosts": hosts}}), encoding="utf-8")
        play = self.folder / "play.yml"
        play.write_text(json.dumps(PLAY), encoding="utf-8")
        environment = {
            **os.environ,
            "ANSIBLE_ROLES_PATH": str(ROOT / "deploy/ansible/roles"),
            "ANSIBLE_LOCAL_TEMP": str(self.folder / "ansible"),
            "ANSIBLE_REMOTE_TEMP": str(self.folder / "ansible"),
            "ANSIBLE_NOCOLOR": "1",
            "LC_ALL": "C.UTF-8",
        }
        return subprocess.Popen(
            [str(ANSIBLE), "-i", inventory, play, *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
        )

    def run(self, *options: str, **variables: object) -> str:
        """What a whole run said."""
        said, _ = self.start(*options, **variables).communicate(timeout=180)
        return said

    def enrolled(self) -> bool:
        path = self.state / "network" / "node.json"
        return path.exists() and json.loads(path.read_text("utf-8"))["node"] is not None

    @contextmanager
    def agent(self) -> Iterator[None]:
        """The agent runs, as a unit would run it."""
        command: list[str | Path] = [self.program, "run", "--state", self.state, "--user", NOBODY]
        command += ["--tpm", self.host.address, "--root", self.host.root]
        with (self.folder / "agent.log").open("w") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            process.wait()


@pytest.fixture
def control(factory: Factory, host: Host, tmp_path: Path) -> Iterator[Control]:
    # Not below pytest's folder, which only its owner may enter.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        script = ROOT / "scripts" / "build-packages"
        subprocess.run(
            [sys.executable, script, "--agent-only", "--out", folder / "dist"], check=True, capture_output=True
        )
        verifier = prepare(tmp_path / "service", factory, ())
        verifier.start()
        yield Control(folder, host, verifier)
        verifier.kill()


def recap(said: str) -> dict[str, int]:
    """Ansible's own count of what it did."""
    (line,) = re.findall(rf"^{NAME} +: (.*)$", said, re.MULTILINE)
    return {key: int(number) for key, number in re.findall(r"([a-z]+)=([0-9]+)", line)}


def test_a_host_is_enrolled_and_has_attested_and_a_second_run_changes_nothing(control: Control) -> None:
    first = control.start("-vvv")
    until("the node is enrolled", lambda: control.enrolled() or first.poll() is not None)
    assert first.poll() is None, first.communicate()[0]
    with control.agent():
        said, _ = first.communicate(timeout=180)
        again = control.run()

    assert recap(said)["failed"] == recap(said)["unreachable"] == 0, said
    assert recap(said)["changed"] == 3  # the program, the token, the enrolment
    assert not JOIN_TOKEN.search(said)
    assert recap(again) | {"changed": 0, "failed": 0} == recap(again), again


def test_a_look_enrols_nobody(control: Control) -> None:
    said = control.run("--check", "--diff")

    assert recap(said)["failed"] == 0, said
    assert not control.state.exists()
    assert not control.program.exists()


def test_it_stops_where_the_service_makes_no_token(control: Control) -> None:
    other = control.folder / "auditor.token"
    shutil.copy(control.verifier.data / "auditor.token", other)
    said = control.run(bartizan_agent_control_token_file=str(other))

    assert recap(said)["failed"] == 1
    assert "use a token of that role" in re.sub(r"\s+|\\n", " ", said), said
    assert not control.state.exists()


def test_a_node_that_is_not_let_in_is_told_why_and_leaves_no_token(control: Control) -> None:
    said = control.run("-v", bartizan_agent_user="nobody-of-this-name")

    assert recap(said)["failed"] == 1
    assert "nobody-of-this-name" in said
    assert "there is none" in said
    assert not JOIN_TOKEN.search(said)
    where = ["--data", str(control.verifier.data)]
    command = [str(control.folder / "bartizan"), "token", "list", "--json", *where]
    listed = subprocess.run(command, check=True, capture_output=True, text=True)
    assert json.loads(listed.stdout) == {"tokens": []}
