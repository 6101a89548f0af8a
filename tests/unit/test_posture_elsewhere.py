"""What only the kernel or the host tells: cores that guests share, daemons in containers, a guest's microcode."""

from pathlib import Path

import pytest

from bartizan.collect.posture.document import collect_posture
from bartizan.formats.posture import decode_posture
from bartizan.model.result import Tier
from tests.unit.posture_hosts import Tree, judged, tree
from tests.unit.test_posture_unknown import changed, found


def two_machines(first: str, second: str) -> Tree:
    """A hardened host with SMT on, whose libvirt cares for no cores, and a second machine; with their cookies."""
    host = tree("hardened_apparmor").change({"qemu": 'sched_core = "none"'})
    for table in (host.files, host.links, host.symlinks):
        for path in [path for path in table if path.startswith("/proc/42/")]:
            table[path.replace("/42/", "/45/")] = table[path]  # type: ignore[index, assignment, call-overload]
    cookies = {"/proc/42/core_cookies": first, "/proc/45/core_cookies": second}
    return host.change({"files": {"/sys/devices/system/cpu/smt/active": "1\n", **cookies}})


@pytest.mark.parametrize(
    ("second", "tier", "why"),
    [
        ("00000000000000c2", Tier.AFFIRMING, "keeps each of 2 virtual machines on cores of its own"),
        ("00000000000000c1", Tier.WARNING, "two virtual machines have one core scheduling cookie"),
        ("0000000000000000", Tier.WARNING, "threads of process 45 (qemu-system-x86) share cores"),
    ],
)
def test_what_the_kernel_tells_of_cores_counts_before_what_libvirt_was_told(
    second: str, tier: Tier, why: str, tmp_path: Path
) -> None:
    one = found(judged(two_machines("00000000000000c1\n", f"{second}\n").write(tmp_path)), "CPU-004")

    assert one.finding.tier is tier
    assert why in one.finding.why


def test_libvirt_in_a_container_is_found(tmp_path: Path) -> None:
    text = tree("hardened_apparmor").files["/etc/libvirt/qemu.conf"].replace("libvirt-qemu", "root")
    edit = {
        "absent": ["/etc/libvirt"],
        "files": {"/proc/50/root/etc/libvirt/qemu.conf": text, "/proc/50/comm": "virtqemud\n"},
        "links": {"/proc/50/ns": ["mnt"]},
    }

    assert found(changed(tmp_path, **edit), "LVC-004").finding.tier is Tier.CONTRAINDICATED


def test_a_guest_is_not_asked_for_the_microcode_of_its_host(tmp_path: Path) -> None:
    host = tree("hardened_apparmor")
    info = host.files["/proc/cpuinfo"].replace("flags\t\t: ", "flags\t\t: hypervisor ")
    assert info != host.files["/proc/cpuinfo"]
    edit = {"files": {"/proc/cpuinfo": info}, "absent": ["/sys/devices/system/cpu/vulnerabilities/old_microcode"]}
    result = judged(host.change(edit).write(tmp_path))

    assert "the microcode is the host's" in result.inapplicable["HWT-007"]


@pytest.mark.parametrize(
    ("text", "which"),
    [("vf 0 trust unsaid spoofcheck on vlan 1\n", "ens1f0 vf 0"), ("", "ens1f0"), ("nonsense\n", "ens1f0 nonsense")],
)
def test_a_driver_that_does_not_tell_of_its_virtual_functions_is_unknown(text: str, which: str, tmp_path: Path) -> None:
    one = found(changed(tmp_path, files={"/sys/class/net/ens1f0/virtual_functions": text}), "DPK-015")

    assert one.finding.tier is Tier.NONE
    assert one.finding.why.endswith(f"does not tell whether these are checked: {which}")


def test_a_switch_whose_database_is_not_found_is_unknown(tmp_path: Path) -> None:
    result = changed(tmp_path, absent=["/run/openvswitch/db.sock"])

    for rule in ("DPK-011", "DPK-012"):
        assert found(result, rule).finding.tier is Tier.NONE
        assert "its database was not found" in found(result, rule).finding.why


def test_a_switch_without_dpdk_or_without_ports_of_guests_has_no_subject(tmp_path: Path) -> None:
    database = "/run/openvswitch/db.sock"
    plain = changed(tmp_path / "plain", files={database: ""})
    portless = changed(tmp_path / "portless", files={database: "other_config dpdk-init true\n"})

    assert {"DPK-011", "DPK-012"} <= set(plain.inapplicable)
    assert "no vhost-user port" in portless.inapplicable["DPK-012"]
    assert found(portless, "DPK-011").finding.tier is Tier.AFFIRMING


def test_each_loaded_apparmor_profile_is_kept_with_the_kernels_digest(tmp_path: Path) -> None:
    loaded = "/sys/kernel/security/apparmor/policy/profiles"
    files = {
        f"{loaded}/a.1/name": "libvirt-1\n",
        f"{loaded}/a.1/sha256": "ab\n",
        f"{loaded}/b.2/name": "libvirtd\n",
        f"{loaded}/b.2/sha1": "cd\n",
        f"{loaded}/c.3/name": "bare\n",
    }
    raw = collect_posture(tree("hardened_apparmor").change({"files": files}).write(tmp_path))

    assert decode_posture(raw).files[loaded].value == "- - bare\nsha1 cd libvirtd\nsha256 ab libvirt-1\n"
