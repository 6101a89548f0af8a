"""What could not be read is unknown and never passes; what is surely absent may mean something."""

import os
from pathlib import Path
from typing import Any

import pytest

from bartizan.app.defaults import posture_rules
from bartizan.appraise.posture.engine import appraise_posture
from bartizan.collect.posture.document import collect_posture
from bartizan.collect.posture.host import Host
from bartizan.formats.posture import decode_posture
from bartizan.model.posture import PostureFinding, PostureResult, Profile, ReadError, Told
from bartizan.model.result import Tier
from tests.unit.posture_hosts import VECTORS, Tree, judged, tree

UUID = "7f5c2c1e-4f0b-4b57-9a0e-6d4c7f7f0a01"
NOTHING = b'{"files":[],"folders":[],"nodes":[],"privileged":%s,"version":2,"workloads":[]}'


def found(result: PostureResult, rule: str) -> PostureFinding:
    [one] = [one for one in result.findings if one.rule.id == rule]
    return one


def changed(tmp_path: Path, *, host: str = "hardened_apparmor", **edit: object) -> PostureResult:
    return judged(tree(host).change(edit).write(tmp_path))


@pytest.mark.parametrize("profile", Profile)
def test_an_empty_document_passes_nothing(profile: Profile) -> None:
    result = appraise_posture(decode_posture(NOTHING % b"true"), posture_rules(), profile)

    assert {one.finding.tier for one in result.findings} == {Tier.NONE}
    assert set(result.inapplicable) == {r.id for r in posture_rules().values() if not r.terms[profile].applies}


@pytest.mark.parametrize("profile", Profile)
def test_an_empty_file_tree_passes_nothing(profile: Profile, tmp_path: Path) -> None:
    result = judged(tmp_path, profile)

    assert {one.finding.tier for one in result.findings} == {Tier.NONE}


@pytest.mark.parametrize(("privileged", "advice"), [(b"true", "even as root"), (b"false", "run as root to know")])
def test_a_denied_reading_is_unknown_and_says_what_would_help(privileged: bytes, advice: str) -> None:
    raw = (NOTHING % privileged).replace(
        b'"files":[]', b'"files":[{"error":"denied","path":"/proc/sys/net/core/bpf_jit_harden","value":null}]'
    )

    one = found(appraise_posture(decode_posture(raw), posture_rules(), Profile.BASELINE), "KRN-012")

    assert one.finding.tier is Tier.NONE
    assert advice in one.finding.why
    assert [reading.error for reading in one.read] == [ReadError.DENIED]


def test_lockdown_is_unknown_where_securityfs_is_not_mounted(tmp_path: Path) -> None:
    one = found(changed(tmp_path, absent=["/sys/kernel/security"], folders={"/sys/kernel/security": []}), "HWT-004")

    assert one.finding.tier is Tier.NONE
    assert "is securityfs mounted?" in one.finding.why


def test_access_control_is_known_without_securityfs(tmp_path: Path) -> None:
    for host in ("hardened_apparmor", "hardened_selinux"):
        result = changed(tmp_path / host, host=host, absent=["/sys/kernel/security"])

        assert found(result, "KRN-007").finding.tier is Tier.AFFIRMING


def test_a_lockdown_file_of_another_form_is_unknown(tmp_path: Path) -> None:
    result = changed(tmp_path, files={"/sys/kernel/security/lockdown": "integrity\n"})

    assert found(result, "HWT-004").finding.tier is Tier.NONE


def test_unsigned_modules_are_seen_where_lockdown_cannot_be_read(tmp_path: Path) -> None:
    edit = {"files": {"/sys/module/module/parameters/sig_enforce": "N\n"}, "absent": ["/sys/kernel/security"]}

    assert found(changed(tmp_path, **edit), "HWT-006").finding.tier is Tier.WARNING


def test_lockdown_keeps_unsigned_modules_out_by_itself(tmp_path: Path) -> None:
    result = changed(tmp_path, files={"/sys/module/module/parameters/sig_enforce": "N\n"})

    assert "lockdown lets signed modules in only" in found(result, "HWT-006").finding.why


def test_a_kernel_without_modules_loads_none(tmp_path: Path) -> None:
    assert "cannot load modules" in found(changed(tmp_path, absent=["/proc/modules"]), "HWT-006").finding.why


def test_a_vulnerability_that_only_the_hypervisor_knows_is_unknown(tmp_path: Path) -> None:
    path = "/sys/devices/system/cpu/vulnerabilities/srbds"
    one = found(changed(tmp_path, files={path: "Unknown: Dependent on hypervisor status\n"}), "CPU-001")

    assert one.finding.tier is Tier.NONE
    assert "srbds" in one.finding.why


def test_an_old_kernel_that_lists_no_vulnerability_is_unknown(tmp_path: Path) -> None:
    result = changed(tmp_path, absent=["/sys/devices/system/cpu/vulnerabilities"])

    assert found(result, "CPU-001").finding.tier is Tier.NONE


def test_the_deciding_file_stands_first_in_what_was_read(tmp_path: Path) -> None:
    path = "/sys/devices/system/cpu/vulnerabilities/spectre_v1"
    one = found(changed(tmp_path, files={path: "Vulnerable\n"}), "CPU-001")

    assert one.read[0].path == path
    assert one.finding.at.path == path


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"/proc/cpuinfo": "vendor_id\t: AuthenticAMD\n"}, "Intel's processors only"),
        (
            {"/sys/devices/system/cpu/vulnerabilities/old_microcode": "Unknown (running under hypervisor)\n"},
            "cannot tell",
        ),
    ],
)
def test_microcode_is_unknown_where_the_kernel_cannot_tell(files: dict[str, str], why: str, tmp_path: Path) -> None:
    one = found(changed(tmp_path, files=files), "HWT-007")

    assert one.finding.tier is Tier.NONE
    assert why in one.finding.why


def test_amd_processors_have_rules_of_their_own(tmp_path: Path) -> None:
    edit = {
        "absent": ["/sys/module/kvm_intel"],
        "files": {"/sys/module/kvm_amd/parameters/nested": "0\n", "/sys/module/kvm_amd/parameters/sev_snp": "Y\n"},
    }
    result = judged(tree("hardened_apparmor").change(edit).write(tmp_path), Profile.CONFIDENTIAL)

    assert found(result, "CPU-005").finding.why == "kvm_amd offers no nested virtualization"
    assert found(result, "HWT-008").finding.why == "KVM offers SEV-SNP to guests"


def test_the_fault_of_huge_pages_does_not_matter_where_the_processor_lacks_it(tmp_path: Path) -> None:
    files = {
        "/sys/devices/system/cpu/vulnerabilities/itlb_multihit": "Not affected\n",
        "/sys/module/kvm/parameters/nx_huge_pages": "N\n",
    }

    assert found(changed(tmp_path, files=files), "CPU-006").finding.tier is Tier.AFFIRMING


def test_smt_that_is_off_needs_no_scheduling(tmp_path: Path) -> None:
    edit = {"files": {"/sys/devices/system/cpu/smt/active": "0\n"}, "qemu": 'sched_core = "none"'}

    assert found(changed(tmp_path, **edit), "CPU-004").finding.why == "SMT is not active (on)"


def test_smt_without_libvirt_is_not_isolated(tmp_path: Path) -> None:
    result = changed(tmp_path, absent=["/etc/libvirt"])

    assert found(result, "CPU-004").finding.tier is Tier.WARNING
    assert {rule for rule in posture_rules() if rule.startswith("LVC-")} <= set(result.inapplicable)


def test_core_scheduling_is_unknown_when_libvirts_settings_may_not_be_read() -> None:
    raw = (NOTHING % b"false").replace(
        b'"files":[]',
        b'"files":[{"error":"denied","path":"/etc/libvirt/qemu.conf","value":null},'
        b'{"error":null,"path":"/sys/devices/system/cpu/smt/active","value":"1\\n"}]',
    )

    one = found(appraise_posture(decode_posture(raw), posture_rules(), Profile.BASELINE), "CPU-004")

    assert one.finding.tier is Tier.NONE


@pytest.mark.parametrize(
    ("setting", "rule", "tier", "why"),
    [
        ("seccomp_sandbox = 1", "LVC-006", Tier.AFFIRMING, "seccomp_sandbox = 1"),
        ("other = 1", "LVC-006", Tier.AFFIRMING, "not set, and libvirt's default is 1"),
        ('security_driver = [ "selinux", "apparmor" ]', "LVC-001", Tier.AFFIRMING, "selinux, apparmor"),
        ('security_driver = "none"', "LVC-001", Tier.CONTRAINDICATED, "none"),
        ('user = "qemu"', "LVC-004", Tier.AFFIRMING, "guests run as qemu"),
        ("other = 1", "LVC-004", Tier.AFFIRMING, "user is not set, and running guests are user 64055"),
        ("other = 1", "LVC-001", Tier.AFFIRMING, "libvirt takes what the host has"),
    ],
)
def test_a_setting_of_libvirt_counts_with_its_default(
    setting: str, rule: str, tier: Tier, why: str, tmp_path: Path
) -> None:
    one = found(changed(tmp_path, files={"/etc/libvirt/qemu.conf": f"# comment\n{setting}\n"}), rule)

    assert one.finding.tier is tier
    assert why in one.finding.why


@pytest.mark.parametrize(
    ("edit", "tier"),
    [
        ({"files": {"/proc/42/task/42/status": "Uid:\t0\t0\t0\t0\n"}}, Tier.CONTRAINDICATED),
        ({"files": {"/proc/42/task/42/status": "Name:\tqemu\n"}}, Tier.NONE),
        ({"absent": ["/proc/42"]}, Tier.NONE),
    ],
)
def test_where_no_user_is_set_for_qemu_running_guests_tell(edit: dict[str, Any], tier: Tier, tmp_path: Path) -> None:
    files = {"/etc/libvirt/qemu.conf": "other = 1\n", **edit.get("files", {})}

    assert found(changed(tmp_path, **(edit | {"files": files})), "LVC-004").finding.tier is tier


def test_a_host_without_pci_dpdk_or_open_vswitch_has_no_subject_for_their_rules(tmp_path: Path) -> None:
    gone = ["/sys/bus", "/run", "/proc/41", "/sys/module/vfio", "/sys/module/vfio_pci", "/sys/module/kvm"]
    edit = {"absent": gone, "files": {"/proc/self/mounts": "proc /proc proc rw 0 0\n", "/proc/net/unix": "Num\n"}}
    result = changed(tmp_path, **edit)

    assert {"DPK-001", "DPK-002", "DPK-004", "DPK-005", "DPK-008", "DPK-010", "DPK-014"} <= set(result.inapplicable)
    assert result.inapplicable["DPK-002"] == "the module vfio is not loaded, or has no such parameter"
    assert {"CPU-006", "CPU-007"} <= set(result.inapplicable)


def test_a_socket_in_another_mount_namespace_is_unknown(tmp_path: Path) -> None:
    one = found(changed(tmp_path, absent=["/run/openvswitch"]), "DPK-010")

    assert one.finding.tier is Tier.NONE
    assert "1 of 1 vhost-user sockets lie out of sight" in one.finding.why


def test_open_vswitch_is_unknown_where_processes_are_hidden(tmp_path: Path) -> None:
    assert found(changed(tmp_path, absent=["/proc/1"]), "DPK-014").finding.tier is Tier.NONE


def test_the_user_of_open_vswitch_is_shown_as_read(tmp_path: Path) -> None:
    [reading] = found(judged(tree("hardened_apparmor").write(tmp_path)), "DPK-014").read

    assert (reading.path, reading.value) == ("/proc/41/status", "Uid 997 (ovs-vswitchd)")


def test_open_vswitch_of_an_unknown_user_is_unknown(tmp_path: Path) -> None:
    result = changed(tmp_path, files={"/proc/41/task/41/status": "Name:\tovs-vswitchd\n"})

    assert found(result, "DPK-014").finding.tier is Tier.NONE


def test_a_machine_without_uefi_cannot_hold_devices_back_early(tmp_path: Path) -> None:
    result = judged(
        tree("hardened_apparmor").change({"absent": ["/sys/firmware/efi"]}).write(tmp_path), Profile.HIGH_PERFORMANCE
    )

    assert result.inapplicable["IOM-008"] == "this machine was not started by UEFI firmware"


def test_without_an_iommu_its_groups_are_no_subject(tmp_path: Path) -> None:
    result = changed(tmp_path, absent=["/sys/kernel/iommu_groups"])

    assert {"IOM-004", "IOM-005"} <= set(result.inapplicable)


def test_a_kernel_that_lacks_io_uring_or_its_switch_does_not_tell(tmp_path: Path) -> None:
    one = found(changed(tmp_path, absent=["/proc/sys/kernel/io_uring_disabled"]), "KRN-004")

    assert one.finding.tier is Tier.NONE
    assert one.finding.why == "kernel.io_uring_disabled is not there: this kernel does not have it"


@pytest.mark.parametrize(
    ("edit", "rule"),
    [
        ({"absent": ["/etc/selinux/config"]}, "SEL-005"),
        ({"absent": ["/sys/fs/selinux/booleans/deny_ptrace"]}, "SEL-019"),
        ({"absent": ["/sys/fs/selinux"], "folders": {"/sys/fs/selinux": []}}, "SEL-001"),
    ],
)
def test_selinux_that_does_not_tell_is_unknown(edit: dict[str, object], rule: str, tmp_path: Path) -> None:
    assert found(changed(tmp_path, host="hardened_selinux", **edit), rule).finding.tier is Tier.NONE


def test_a_lockdown_that_a_kernel_does_not_tell_is_unknown(tmp_path: Path) -> None:
    one = found(changed(tmp_path, absent=["/sys/kernel/security/lockdown"]), "HWT-004")

    assert one.finding.why == "/sys/kernel/security/lockdown is not there: this kernel does not tell"


def test_a_firmware_variable_of_another_form_is_not_on(tmp_path: Path) -> None:
    path = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"

    assert found(changed(tmp_path, files={path: "\x01"}), "HWT-003").finding.tier is Tier.WARNING


@pytest.mark.parametrize(
    ("guest", "tiers"),
    [
        ("guest_good", {"HWT-004": "affirming", "KSM-001": "affirming", "KRN-007": "affirming", "AA-003": "warning"}),
        ("guest_confine", {"KSM-001": "warning", "AA-003": "warning", "CPU-001": "affirming", "HWT-006": "affirming"}),
        (
            "guest_selinux",
            {"SEL-001": "affirming", "KRN-007": "affirming", "KSM-001": "warning", "KRN-006": "affirming"},
        ),
        ("guest_iommu", {"IOM-003": "affirming", "IOM-006": "affirming", "CPU-002": "affirming"}),
    ],
)
def test_recorded_guests_are_judged_as_they_were_booted(guest: str, tiers: dict[str, str], tmp_path: Path) -> None:
    result = judged(tree(guest).write(tmp_path))

    assert {rule: found(result, rule).finding.tier.value for rule in tiers} == tiers


def test_guest_isolation_that_is_off_is_seen_on_a_recorded_machine_that_never_says_off(tmp_path: Path) -> None:
    host = tree("cloud_vm")
    result = judged(host.write(tmp_path))
    one = found(result, "CPU-002")

    assert "mitigations=off" not in host.files["/proc/cmdline"]
    assert one.finding.tier is Tier.CONTRAINDICATED
    assert "guests against the host, guests against each other" in one.finding.why
    assert found(result, "HWT-004").finding.tier is Tier.NONE


def test_a_link_out_of_the_root_is_absent(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("not to be read")
    (tmp_path / "root" / "proc").mkdir(parents=True)
    (tmp_path / "root" / "proc" / "cmdline").symlink_to(tmp_path / "secret")
    host = Host(tmp_path / "root")

    assert host.text("/proc/cmdline").error == "absent"
    assert host.node("/proc/cmdline") is None
    assert host.link("/proc/self/ns/mnt") is None


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    assert Host(tmp_path).text("/pipe").error == "failed"


def test_a_file_over_the_limit_is_not_cut_but_told(tmp_path: Path) -> None:
    (tmp_path / "long").write_bytes(b"a" * (256 * 1024 + 1))
    for number in range(3):
        (tmp_path / "many" / str(number)).mkdir(parents=True)
    host = Host(tmp_path)

    assert host.text("/long").error == "too long"
    assert host.glance_names("/many", 2).error == "too long"


def test_bytes_that_are_no_text_are_shown_as_escapes(tmp_path: Path) -> None:
    (tmp_path / "raw").write_bytes(b"\xff\x00")

    assert Host(tmp_path).text("/raw").value == "\\xff\x00"


def test_what_goes_to_init_is_not_kept(tmp_path: Path) -> None:
    result = Tree(files={"/proc/cmdline": "quiet -- mitigations=off token=1\n"}).write(tmp_path)

    assert found(judged(result), "CPU-002").finding.tier is Tier.AFFIRMING


def test_the_document_of_a_recorded_machine_is_still_the_same_bytes(tmp_path: Path) -> None:
    """A quote is bound to these bytes: what changes them needs a new version of the document."""
    recorded = (VECTORS / "cloud_vm.json").read_bytes()

    collected = collect_posture(tree("cloud_vm").write(tmp_path))

    assert collected.replace(b'"privileged":false', b'"privileged":true') == recorded
    assert decode_posture(recorded).privileged


def test_workloads_are_told_with_their_fences(tmp_path: Path) -> None:
    root = tree("hardened_apparmor").write(tmp_path)
    switch, machine, container = decode_posture(collect_posture(root)).workloads

    assert (switch.kind, switch.uids, switch.private, switch.threads) == ("switch", (997,), ("ipc", "net"), 2)
    assert switch.iommu_groups == ("1",)
    assert [file.path for file in switch.shared or ()] == ["/dev/hugepages/libvirt/qemu/1-instance-00000001/ram"]
    assert (machine.kind, machine.untrusted_name, machine.untrusted_uuid) == ("vm", "instance-00000001", UUID)
    assert machine.libvirt == Told(name="instance-00000001", uuid=UUID)
    assert (machine.label, machine.seccomp) == (f"libvirt-{UUID} (enforce)", 2)
    assert machine.images == ("/var/lib/nova/instances/7f5c2c1e/disk",)
    assert (container.kind, container.pid, container.no_new_privs) == ("container", 43, 0)
    assert container.cap_eff == "00000000a80425fb"
    assert container.images == ("overlay of /var/lib/docker/overlay2/0123456789abcdef/diff",)


@pytest.mark.parametrize("state", ["Z (zombie)", "X (dead)"])
@pytest.mark.parametrize(("pid", "left"), [(41, [42, 43]), (42, [41, 43]), (43, [41, 42, 44])])
def test_a_process_that_has_ended_is_no_workload(state: str, pid: int, left: list[int], tmp_path: Path) -> None:
    edit = {"files": {f"/proc/{pid}/status": f"Name:\tended\nState:\t{state}\n"}}
    root = tree("hardened_apparmor").change(edit).write(tmp_path)

    assert [workload.pid for workload in decode_posture(collect_posture(root)).workloads] == left
