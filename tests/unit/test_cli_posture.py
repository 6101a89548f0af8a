"""`bartizan posture` as people and programs call it."""

import os
import time
from pathlib import Path

import pytest

from bartizan.app.defaults import posture_rules
from bartizan.collect.posture.document import collect_posture
from bartizan.collect.posture.host import Host, Reading
from tests.unit.cli_runner import ids, run
from tests.unit.posture_hosts import tree

NAMESPACES = {"cgroup", "ipc", "mnt", "net", "pid", "user", "uts"}


@pytest.fixture
def hardened(tmp_path: Path) -> Path:
    return tree("hardened_apparmor").write(tmp_path / "hardened")


@pytest.fixture
def cloud(tmp_path: Path) -> Path:
    return tree("cloud_vm").write(tmp_path / "cloud")


def test_this_very_machine_is_judged_in_time_and_only_read() -> None:
    start = time.monotonic()
    ran = run("posture", "--json")

    assert time.monotonic() - start < 5
    assert ran.code in {0, 1}
    assert ran.document["privileged"] is (os.geteuid() == 0)
    assert ids(ran.findings) | ran.document["inapplicable"].keys() == posture_rules().keys()
    assert ran.code == int(any(finding["tier"] == "contraindicated" for finding in ran.findings))


def test_a_hardened_host_is_good(hardened: Path) -> None:
    ran = run("posture", "--root", hardened, "--profile", "confidential", "--json")

    assert ran.code == 0
    assert ran.document["profile"] == "confidential"
    assert ran.document["status"] == "affirming"
    assert [workload["kind"] for workload in ran.document["workloads"]] == ["switch", "vm", "container"]
    assert ran.document["workloads"][2]["vector"]["namespaces"]["tier"] == "affirming"
    assert set(ran.document["workloads"][2]["vector"]["namespaces"]["witness"]) >= NAMESPACES


def test_each_finding_says_what_was_read_why_it_matters_and_how_to_mend_it(cloud: Path) -> None:
    ran = run("posture", "--root", cloud, "--json")

    assert ran.code == 1
    [finding] = [finding for finding in ran.findings if finding["id"] == "CPU-002"]
    assert finding["tier"] == "contraindicated"
    assert finding["anchor"] == "agent"
    assert finding["at"] == {"path": "/proc/cmdline"}
    assert finding["read"][0]["value"].startswith("mitigations=auto,no_guest_host,no_guest_guest")
    assert all(finding[member] for member in ("why", "fix", "impact", "title", "severity", "area", "references"))
    [unread] = [finding for finding in ran.findings if finding["id"] == "HWT-004"]
    assert unread["read"] == [{"path": "/sys/kernel/security/lockdown", "error": "absent"}]


def test_people_see_the_worst_area_first_and_what_is_unknown(cloud: Path) -> None:
    ran = run("posture", "--root", cloud)

    assert ran.code == 1
    assert ran.out.index("✘ contraindicated  CPU-002") < ran.out.index("! warning  KRN-002")
    assert ran.out.index("Processor") < ran.out.index("Kernel settings")
    assert "read: /proc/sys/kernel/kptr_restrict = 0" in ran.out
    assert "fix: Set kernel.kptr_restrict = 2." in ran.out
    assert "– unknown  HWT-004" in ran.out
    assert "what is unknown never passes" in ran.out
    assert "machine's own word" in ran.out
    assert "No virtual machine, container or packet switch was seen." in ran.out
    assert "KRN-009" not in ran.out


def test_all_shows_what_is_in_order_too(hardened: Path) -> None:
    ran = run("posture", "--root", hardened, "--all")

    assert ran.code == 0
    assert "✔ affirming  CPU-002" in ran.out
    assert "instance-00000001" in ran.out
    assert "✔ affirming users and capabilities" in " ".join(ran.out.split())


def test_one_rule_is_explained_with_its_outcome(cloud: Path) -> None:
    ran = run("posture", "--root", cloud, "--explain", "cpu-002")

    assert "CPU-002  No class of attacks is left open" in ran.out
    assert "attack_vector_controls.rst" in ran.out
    assert "guests against the host" in ran.out
    assert "KRN-002" not in ran.out


def test_a_rule_without_a_subject_says_so(cloud: Path) -> None:
    ran = run("posture", "--root", cloud, "--explain", "SEL-001")

    assert "no subject: this kernel has no SELinux" in ran.out


def test_explain_in_json_is_one_finding(cloud: Path) -> None:
    assert ids(run("posture", "--root", cloud, "--explain", "CPU-002", "--json").findings) == {"CPU-002"}


def test_the_plan_groups_what_to_mend_by_where(cloud: Path) -> None:
    ran = run("posture", "--root", cloud, "--fix-plan")

    assert ran.out.index("sysctl --system") < ran.out.index("Kernel command line") < ran.out.index("Firmware setup")
    assert "kernel.kptr_restrict = 2" in ran.out
    assert "HWT-004" not in ran.out


def test_the_plan_in_json(cloud: Path) -> None:
    plan = run("posture", "--root", cloud, "--fix-plan", "--json").document["plan"]

    assert {"id": "KRN-009"}.items() not in [rule.items() for step in plan for rule in step["rules"]]
    [settings] = [step for step in plan if step["where"] == "sysctl"]
    assert "kernel.kptr_restrict = 2" in {rule["add"] for rule in settings["rules"]}


def test_a_good_host_has_nothing_to_mend(hardened: Path) -> None:
    assert "nothing to mend" in run("posture", "--root", hardened, "--fix-plan").out


@pytest.mark.parametrize(
    "arguments", [("--explain", "CPU-999"), ("--root", "/no/such/folder"), ("--explain", "CPU-001", "--fix-plan")]
)
def test_what_cannot_be_answered_is_refused(arguments: tuple[str, ...]) -> None:
    ran = run("posture", *arguments, "--json")

    assert ran.code == 2
    assert ran.document["error"]["kind"] == "config"


def test_a_user_without_privileges_is_told_what_root_would_read(
    hardened: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Host.glance

    def glance(self: Host, path: str) -> Reading:
        return Reading(path, None, "denied") if path.endswith("bpf_jit_harden") else whole(self, path)

    monkeypatch.setattr(Host, "glance", glance)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    ran = run("posture", "--root", hardened)

    assert ran.code == 0
    assert "read as a user without privileges" in ran.out
    assert "read: /proc/sys/net/core/bpf_jit_harden (denied)" in ran.out
    assert "Run as root to read 1 of them." in ran.out


def test_a_folder_that_may_not_be_read_is_told(hardened: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = os.listdir

    def listdir(path: str) -> list[str]:
        if str(path).endswith("iommu_groups"):
            raise PermissionError(13, "denied", path)
        return whole(path)

    monkeypatch.setattr(os, "listdir", listdir)

    [finding] = [f for f in run("posture", "--root", hardened, "--json").findings if f["id"] == "IOM-001"]

    assert finding["tier"] == "none"
    assert finding["read"] == [{"path": "/sys/kernel/iommu_groups", "error": "denied"}]


def test_workloads_that_the_kernel_does_not_tell_of_are_shown_as_unknown(hardened: Path) -> None:
    for name in ("task/42/status", "ns/mnt"):
        (hardened / "proc" / "42" / name).unlink()

    machine = run("posture", "--root", hardened, "--json").document["workloads"][1]
    ran = run("posture", "--root", hardened)

    assert {part: verdict["tier"] for part, verdict in machine["vector"].items()} == {
        "identity": "affirming",
        "mac": "affirming",
        "seccomp": "none",
        "privileges": "none",
        "namespaces": "none",
        "memory": "affirming",
        "dma": "affirming",
    }
    assert "– unknown system calls QMP-004: /proc/42/status does not tell" in " ".join(ran.out.split())


def test_what_is_wrong_with_a_workload_is_shown_with_its_witness(hardened: Path) -> None:
    status = hardened / "proc" / "42" / "task" / "44" / "status"
    status.write_text(status.read_text(encoding="utf-8").replace("Seccomp:\t2", "Seccomp:\t0"), encoding="utf-8")

    shown = " ".join(run("posture", "--root", hardened).out.split())

    assert "✘ contraindicated system calls QMP-004: no filter holds all 2 threads" in shown
    assert "shown by: Seccomp 0, 2 threads" in shown


def test_the_posture_document_is_the_same_each_time(hardened: Path) -> None:
    assert collect_posture(hardened) == collect_posture(hardened)


def test_a_folder_without_a_machine_is_refused(tmp_path: Path) -> None:
    ran = run("posture", "--root", tmp_path, "--json")

    assert (ran.code, ran.document["error"]["kind"]) == (2, "config")
    assert "nothing of a machine could be read there" in ran.document["error"]["why"]


def test_grave_rules_that_could_not_be_looked_at_are_counted(cloud: Path, hardened: Path) -> None:
    assert "could not be looked at" not in run("posture", "--root", hardened).out

    (cloud / "proc" / "cmdline").unlink()
    findings = run("posture", "--root", cloud, "--json").findings
    grave = [f for f in findings if f["tier"] == "none" and f["severity"] in {"critical", "high"}]

    assert len(grave) > 1
    assert f"{len(grave)} critical or high rules could not be looked at." in run("posture", "--root", cloud).out


def test_text_from_a_machine_cannot_steer_a_terminal(hardened: Path) -> None:
    (hardened / "proc" / "cmdline").write_text("mitigations=auto,no_guest_host,\x1b[2J\n")

    ran = run("posture", "--root", hardened)

    assert "\x1b[2J" not in ran.out
    assert "\\x1b[2J" in ran.out
