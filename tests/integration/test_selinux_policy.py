"""Real policies, compiled by secilc and read by setools in a process of its own."""

import json
import subprocess
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from bartizan.appraise.posture.policy import GUESTS
from bartizan.connectors.setools.analysis import MAX_POLICY, analyse
from bartizan.errors import ConnectorError
from bartizan.model.selinux_policy import PolicyAnalysis, Step
from tests.unit.cli_runner import run

WAYS = Path(__file__).parent.parent / "vectors" / "selinux" / "ways.cil"
BY_PROGRAM = Step(source="svirt_t", entry="smbd_exec_t", target="smbd_t")
BY_SCRIPT = Step(source="smbd_t", entry="script_exec_t", target="script_t")


def compiled(folder: Path, *more: str) -> Path:
    """The policy of `ways.cil` with further lines, as the kernel would load it."""
    extra, policy = folder / "more.cil", folder / "policy"
    extra.write_text("\n".join(more) + "\n", encoding="ascii")
    command = ["secilc", "-c", "33", "-M", "true", "-o", policy, "-f", "/dev/null", WAYS, extra]
    subprocess.run(command, check=True, capture_output=True)
    return policy


def analysed(policy: Path, **booleans: bool) -> PolicyAnalysis:
    return analyse(policy.read_bytes(), domains=GUESTS, booleans=booleans)


def targets(analysis: PolicyAnalysis) -> set[str]:
    return {one.target for one in analysis.reached}


def test_a_way_out_of_a_guests_domain_is_found_with_its_steps(tmp_path: Path) -> None:
    policy = compiled(tmp_path)
    analysis = analysed(policy)

    assert analysis.digest == sha256(policy.read_bytes()).digest()
    assert analysis.permissive == ("far_t",)
    assert analysis.domains == {"svirt_t": True}
    [one] = analysis.reached
    assert (one.way, one.constrained, one.unconfined) == ((BY_PROGRAM,), False, False)


def test_a_boolean_that_is_on_opens_the_way_that_depends_on_it(tmp_path: Path) -> None:
    analysis = analysed(compiled(tmp_path), samba_run_unconfined=True, no_such_boolean=True)

    assert targets(analysis) == {"smbd_t", "script_t"}
    [far] = [one for one in analysis.reached if one.target == "script_t"]
    assert far.way == (BY_PROGRAM, BY_SCRIPT)
    assert far.unconfined
    assert targets(analysed(compiled(tmp_path), samba_run_unconfined=False)) == {"smbd_t"}


def test_a_program_is_started_elsewhere_only_by_who_may_choose_or_automatically(tmp_path: Path) -> None:
    """Without a rule that names the domain, only who may set what it executes next gets there."""
    assert targets(analysed(compiled(tmp_path, "(allow svirt_t self (process (setexec)))"))) == {"smbd_t", "chosen_t"}


def test_a_domain_is_changed_without_a_program_by_who_may(tmp_path: Path) -> None:
    change = "(allow svirt_t far_t (process (dyntransition)))"

    assert targets(analysed(compiled(tmp_path, change))) == {"smbd_t"}
    both = analysed(compiled(tmp_path, change, "(allow svirt_t self (process (setcurrent)))"))
    [one] = [one for one in both.reached if one.target == "far_t"]
    assert one.way == (Step(source="svirt_t", entry=None, target="far_t"),)


def test_what_is_no_policy_or_takes_too_long_is_an_error_and_no_answer(tmp_path: Path) -> None:
    with pytest.raises(ConnectorError, match="could not be analysed"):
        analyse(b"no policy", domains=GUESTS, booleans={})
    with pytest.raises(ConnectorError, match="over the limit"):
        analyse(bytes(MAX_POLICY + 1), domains=GUESTS, booleans={})
    with pytest.raises(ConnectorError, match="cannot be run: No such file"):
        analyse(b"", domains=GUESTS, booleans={}, python=str(tmp_path / "python3"))
    with pytest.raises(ConnectorError, match="without an answer"):
        analyse(b"", domains=GUESTS, booleans={}, python="/bin/true")
    with pytest.raises(ConnectorError, match="ended by signal 9"):
        analyse(b"", domains=GUESTS, booleans={}, python=str(program(tmp_path, "kill -9 $$")))


def program(folder: Path, *lines: str) -> Path:
    """A program in the place of Python."""
    path = folder / "program"
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]), encoding="ascii")
    path.chmod(0o755)
    return path


def test_a_worker_that_waits_for_ever_is_killed(tmp_path: Path) -> None:
    waiting = program(tmp_path, "exec tail -f /dev/null")

    with pytest.raises(ConnectorError, match="killed after 2 seconds"):
        analyse(b"", domains=GUESTS, booleans={}, python=str(waiting), seconds=1)


def host(folder: Path, policy: Path, **booleans: str) -> list[str]:
    """A file tree with this policy loaded."""
    selinux = folder / "host" / "sys" / "fs" / "selinux"
    (selinux / "booleans").mkdir(parents=True)
    (selinux / "policy").write_bytes(policy.read_bytes())
    for name, value in booleans.items():
        (selinux / "booleans" / name).write_text(value)
    return ["posture", "--root", str(folder / "host"), "--policy", str(policy)]


def told(result: dict[str, Any], check: str) -> list[tuple[str, str]]:
    return [(one["tier"], one["why"]) for one in result["findings"] if one["id"] == check]


def test_the_command_says_what_the_loaded_policy_allows_with_the_hosts_booleans(tmp_path: Path) -> None:
    policy = compiled(tmp_path)
    ended = run(*host(tmp_path, policy, samba_run_unconfined="1 1"), "--json")

    assert ended.code == 1
    document = json.loads(ended.out)
    assert document["policy"]["sha256"] == sha256(policy.read_bytes()).hexdigest()
    assert told(document, "selinux.analysis")[0][0] == "affirming"
    ways = told(document, "selinux.transitions")
    assert ways[0] == (
        "contraindicated",
        "svirt_t -> smbd_t via smbd_exec_t -> script_t via script_exec_t, which nothing confines",
    )
    shown = run("posture", "--root", str(tmp_path / "host"), "--policy", str(policy))
    assert "to do (selinux.transitions)" in shown.out


def test_a_file_that_is_no_policy_is_unknown_and_never_passes(tmp_path: Path) -> None:
    (tmp_path / "proc/sys/kernel").mkdir(parents=True)
    (tmp_path / "proc/sys/kernel/tainted").write_text("0\n")
    (tmp_path / "file").write_bytes(b"x")
    ended = run("posture", "--root", str(tmp_path), "--policy", str(tmp_path / "file"), "--json")

    document = json.loads(ended.out)
    assert document["policy"] is None
    assert document["status"] == "none"
