"""What the collectors ask of the kernel and of Open vSwitch: answers that they take, and those that they do not."""

import struct
from pathlib import Path

import pytest

from bartizan.collect.posture import switch
from bartizan.collect.posture.elsewhere import other_roots
from bartizan.collect.posture.host import Host
from bartizan.collect.posture.netlink import told

UNSAID = 0xFFFFFFFF


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", len(value) + 4, kind) + value + bytes(-len(value) % 4)


def function(number: int, *, trust: int | None = 0, spoof_check: int = 1, vlan: int = 0) -> bytes:
    """IFLA_VF_INFO as drivers fill it; linux/if_link.h."""
    parts = attribute(1, struct.pack("=I32s", number, b"\x02" * 6)) + attribute(2, struct.pack("=III", number, vlan, 0))
    parts += attribute(4, struct.pack("=II", number, spoof_check))
    parts += b"" if trust is None else attribute(9, struct.pack("=II", number, trust))
    return attribute(0x8001, parts)


def answer(*functions: bytes, kind: int = 16) -> bytes:
    links = attribute(3, b"ens1f0\0") + attribute(0x8000 | 22, b"".join(functions))
    body = struct.pack("=BxHiII", 0, 1, 2, 0, 0) + links
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 1, 0) + body


def test_each_virtual_function_is_one_line() -> None:
    raw = answer(
        function(0, vlan=100), function(1, trust=1, spoof_check=0), function(2, trust=None), function(3, trust=UNSAID)
    )

    assert told(raw) == (
        "vf 0 trust off spoofcheck on vlan 100\nvf 1 trust on spoofcheck off vlan 0\n"
        "vf 2 trust unsaid spoofcheck on vlan 0\nvf 3 trust unsaid spoofcheck on vlan 0\n"
    )


def test_an_answer_that_is_cut_short_or_an_error_is_none() -> None:
    raw = answer(function(0))

    assert [told(raw[:size]) for size in range(len(raw))] == [None] * len(raw)
    assert told(answer(function(0), kind=2)) is None
    broken = raw.replace(struct.pack("=HH", 12, 4), struct.pack("=HH", 4000, 4))
    assert told(broken) is None
    assert told(answer()) == ""


SWITCH = {"other_config": ["map", [["dpdk-init", "true"], ["vhost-iommu-support", "true"], ["secret", "x"]]]}
PORT = {"name": "vhu1", "type": "dpdkvhostuserclient"}
ANSWER = {"id": 0, "error": None, "result": [{"rows": [SWITCH]}, {"rows": []}, {"rows": [PORT]}]}
LINES = "other_config dpdk-init true\nother_config vhost-iommu-support true\nport dpdkvhostuserclient vhu1\n"


def test_of_a_switchs_database_only_settings_of_dpdk_and_ports_are_kept() -> None:
    assert switch.told(ANSWER) == LINES


@pytest.mark.parametrize("document", [{}, {"result": None}, {"result": []}, {"result": [{"rows": [{}]}] * 3}])
def test_another_answer_of_a_database_is_refused(document: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="not an answer"):
        switch.told(document)


def test_a_switch_in_a_container_is_found_by_its_program(tmp_path: Path) -> None:
    for path, text in (("proc/1/comm", "init\n"), ("proc/7/comm", "ovs-vswitchd\n"), ("proc/8/comm", "ovs-vswitchd\n")):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text(text)
    for pid, space in ((1, 1), (7, 2), (8, 2)):
        (tmp_path / f"proc/{pid}/ns").mkdir()
        (tmp_path / f"proc/{pid}/ns/mnt").symlink_to(f"mnt:[{space}]")
    (tmp_path / "proc/7/root/run/openvswitch").mkdir(parents=True)
    (tmp_path / "proc/7/root/run/openvswitch/db.sock").write_text(LINES)
    host = Host(tmp_path)

    assert other_roots(host, ("ovs-vswitchd",)) == ["/proc/7/root"]
    switch.read(host)
    assert host.files["/proc/7/root/run/openvswitch/db.sock"].value == LINES
