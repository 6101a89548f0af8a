"""What a workload's process does not tell, or tells in a way of its own: unknown where it matters, and never a pass."""

from pathlib import Path
from typing import Any

import pytest

from bartizan.app.defaults import posture_rules
from bartizan.appraise.posture.catalogue import load_rules
from bartizan.appraise.posture.facts import Facts
from bartizan.collect.posture.document import collect_posture
from bartizan.collect.posture.host import Host
from bartizan.errors import PolicyError
from bartizan.formats.posture import decode_posture
from bartizan.model.posture import Profile, Shared, Workload
from bartizan.model.result import Tier
from tests.unit.posture_hosts import judged, tree

HEAD = "/proc/42"
SCOPE = "machine-qemu\\x2d1\\x2dinstance\\x2d00000001.scope"


def workload(tmp_path: Path, pid: int, **edit: Any) -> Workload:  # noqa: ANN401  # an edit of cases.toml
    """One workload of the hardened host after an edit."""
    found = decode_posture(collect_posture(tree("hardened_apparmor").change(edit).write(tmp_path))).workloads
    [one] = [one for one in found if one.pid == pid]
    return one


def tier(tmp_path: Path, rule: str, **edit: Any) -> Tier | None:  # noqa: ANN401  # an edit of cases.toml
    """The worst tier that a rule gives the hardened host after an edit; None where it has no subject."""
    result = judged(tree("hardened_apparmor").change(edit).write(tmp_path))
    return next((one.finding.tier for one in result.findings if one.rule.id == rule), None)


def test_a_rule_about_workloads_names_their_kinds() -> None:
    text = (Path(__file__).parents[2] / "src/bartizan/data/posture/workloads.toml").read_text(encoding="utf-8")

    with pytest.raises(PolicyError, match="QMP-014 names a part"):
        load_rules({"a.toml": text.replace('kinds = ["vm"]\n', "", 1)})


def test_a_rule_about_the_host_has_no_workload_to_look_at(tmp_path: Path) -> None:
    posture = decode_posture(collect_posture(tree("hardened_apparmor").write(tmp_path)))
    rule = posture_rules()["QMP-001"]

    with pytest.raises(ValueError, match="QMP-001 is about workloads"):
        Facts(posture=posture, rule=rule, terms=rule.terms[Profile.BASELINE]).subject  # noqa: B018  # it raises


def test_a_guests_own_profile_in_complain_mode_is_told_once(tmp_path: Path) -> None:
    edit = {"files": {f"{HEAD}/attr/current": "libvirt-7f5c2c1e-4f0b-4b57-9a0e-6d4c7f7f0a01 (complain)\n"}}

    assert tier(tmp_path / "a", "AA-002", **edit) is None
    assert tier(tmp_path / "b", "QMP-016", **edit) is Tier.CONTRAINDICATED


@pytest.mark.parametrize(
    ("rule", "path"),
    [
        ("QMP-009", f"{HEAD}/cgroup"),
        ("QMP-010", f"{HEAD}/fd"),
        ("DPK-018", f"{HEAD}/fd"),
        ("QMP-011", f"{HEAD}/maps"),
        ("DPK-006", "/proc/41/maps"),
        ("DPK-016", "/proc/41/fd"),
        ("LXC-001", "/proc/43/uid_map"),
        ("LXC-007", "/proc/43/mountinfo"),
        ("QMP-013", f"{HEAD}/exe"),
        ("QMP-008", f"{HEAD}/ns"),
        ("QMP-001", f"{HEAD}/task"),
        ("QMP-014", f"{HEAD}/cmdline"),
    ],
)
def test_what_a_process_does_not_tell_is_unknown(rule: str, path: str, tmp_path: Path) -> None:
    assert tier(tmp_path, rule, absent=[path]) is Tier.NONE


def test_a_label_that_no_security_module_gives_is_none_at_all(tmp_path: Path) -> None:
    assert workload(tmp_path, 42, absent=[f"{HEAD}/attr"]).label == ""


def test_memory_that_is_kept_in_no_file_is_told_by_the_switchs_options(tmp_path: Path) -> None:
    edit = {"replace": {"/proc/41/cmdline": ["--user", "--in-memory\0--user"]}}

    assert workload(tmp_path / "a", 41, **edit).options == ("--in-memory", "--user openvswitch:hugetlbfs")
    assert tier(tmp_path / "b", "DPK-006", **edit) is Tier.AFFIRMING


def test_a_device_file_of_vfio_leads_to_its_group(tmp_path: Path) -> None:
    link = "/sys/class/vfio-dev/vfio7/device/iommu_group"
    edit = {"symlinks": {f"{HEAD}/fd/12": "/dev/vfio/devices/vfio7", link: "../../../kernel/iommu_groups/0"}}
    folders = {"/sys/kernel/iommu_groups/0/devices": ["0000:5e:00.0"]}

    assert workload(tmp_path / "a", 42, **edit, folders=folders).iommu_groups == ("0",)
    assert tier(tmp_path / "b", "DPK-016", **edit, folders=folders) is Tier.AFFIRMING
    assert tier(tmp_path / "c", "DPK-016", symlinks={f"{HEAD}/fd/12": "/dev/vfio/devices/vfio7"}) is Tier.NONE


@pytest.mark.parametrize(
    ("text", "state"),
    [("ksm_rmap_items 0\n", None), ("ksm_mergeable: no\nksm_merge_any: yes\n", "mergeable"), ("", None)],
)
def test_older_kernels_tell_less_of_merging(text: str, state: str | None, tmp_path: Path) -> None:
    assert workload(tmp_path, 42, files={f"{HEAD}/ksm_stat": text}).ksm == state


@pytest.mark.parametrize(("run", "expected"), [("0", Tier.AFFIRMING), ("2", Tier.AFFIRMING), ("1", Tier.NONE)])
def test_where_merging_is_not_told_the_hosts_switch_decides(run: str, expected: Tier, tmp_path: Path) -> None:
    edit = {"absent": [f"{HEAD}/ksm_stat"], "files": {"/sys/kernel/mm/ksm/run": f"{run}\n"}}

    assert tier(tmp_path, "KSM-003", **edit) is expected


def test_a_shared_file_that_cannot_be_opened_by_its_path_has_no_mode(tmp_path: Path) -> None:
    line = "7f0000000000-7f0000001000 rw-s 00000000 00:1b 2      /run/memory (deleted)\n"

    assert workload(tmp_path, 42, files={f"{HEAD}/maps": line}).shared == (
        Shared(path="/run/memory (deleted)", bytes=4096, mode=None, uid=None, gid=None),
    )


@pytest.mark.parametrize("path", ["/run/libvirt/qemu/odd.pid", "/run/libvirt/qemu/notes.txt"])
def test_other_files_of_libvirt_say_nothing(path: str, tmp_path: Path) -> None:
    found = workload(tmp_path, 42, files={path: "no number"})

    assert found.libvirt is not None
    assert found.libvirt.name == "instance-00000001"


@pytest.mark.parametrize(
    ("name", "scope", "expected"),
    [
        ("instance-00000001", SCOPE, Tier.AFFIRMING),
        ("a_b", "machine-qemu\\x2d1\\x2dab.scope", Tier.AFFIRMING),
        ("x" * 80, f"machine-qemu\\x2d1\\x2d{'x' * 50}.scope", Tier.AFFIRMING),
        ("instance-00000002", SCOPE, Tier.CONTRAINDICATED),
    ],
)
def test_a_scopes_name_is_the_guests_without_what_it_cannot_hold(
    name: str, scope: str, expected: Tier, tmp_path: Path
) -> None:
    cmdline = f"/usr/bin/qemu-system-x86_64\0-name\0guest={name},debug-threads=on\0"
    files = {f"{HEAD}/cmdline": cmdline, f"{HEAD}/cgroup": f"0::/machine.slice/{scope}\n"}

    assert tier(tmp_path, "QMP-014", files=files, absent=["/run/libvirt"]) is expected


def test_a_query_file_is_asked_and_its_answer_read(tmp_path: Path) -> None:
    query = tmp_path / "access"
    query.write_text("-----the answer", encoding="ascii")

    assert Host().ask(str(query), "label") == "the answer"
    assert Host().ask(str(tmp_path / "nothing"), "label") is None
