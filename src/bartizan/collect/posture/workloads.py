"""Which virtual machines, containers and packet switches run: found by name, cgroup or namespaces, told by `process`.

Who a process says it is and what the kernel holds of it are kept apart; nothing here decides which to believe.
"""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Dict, List, Optional, Tuple

from bartizan.collect.posture.host import Host
from bartizan.collect.posture.process import GROUPS, Found, Namespaces, Told, Workload, described

MAX_PROCESSES = 65536
MAX_WORKLOADS = 2048
VM = re.compile(r"qemu-system-|qemu-kvm|qemu:|cloud-hyperviso|firecracker")
"""Names of virtual machine monitors; the kernel cuts a name after 15 bytes."""
SWITCH = re.compile(r"ovs-vswitchd|vpp_main|dpdk-|testpmd|spdk_tgt|vhost$")
CONTAINER = re.compile(r"(?:docker|cri-containerd|crio|libpod|lxc\.payload)[-./:](?!conmon-)([A-Za-z0-9_.-]{1,128})")
"""A container's own cgroup, by the names that Docker, containerd, CRI-O, Podman and LXC give it."""
LIBVIRT = "/run/libvirt/qemu"
UUID = re.compile(r"<domain[ >].*?<uuid>([0-9a-fA-F-]{36})</uuid>", re.DOTALL)


def read(host: Host) -> List[Dict[str, object]]:
    """The workloads by process id; whether process 1 can be seen tells if others can."""
    host.node("/proc/1")
    own = Namespaces.of_host(host)
    listed = libvirts(host)
    processes = host.glance_names("/proc", MAX_PROCESSES).names or ()
    seen: Dict[Tuple[str, ...], int] = {}
    found: List[Dict[str, object]] = []
    for pid in sorted(int(name) for name in processes if name.isascii() and name.isdigit()):
        workload = _workload(host, pid, own, seen, listed)
        if workload is not None and len(found) < MAX_WORKLOADS:
            found.append(asdict(workload))
            for group in workload.iommu_groups or ():
                host.names(f"{GROUPS}/{group}/devices")
    return found


def libvirts(host: Host) -> Dict[int, Told]:
    """What libvirt's own files say of which process is which guest; root can write them."""
    found = {}
    for name in host.glance_names(LIBVIRT).names or ():
        if name.endswith(".pid"):
            guest = name.removesuffix(".pid")
            pid = (host.glance(f"{LIBVIRT}/{name}").value or "").strip()
            uuid = UUID.search(host.glance(f"{LIBVIRT}/{guest}.xml").value or "")
            if pid.isascii() and pid.isdigit() and len(pid) < len("4194304") + 1:
                found[int(pid)] = Told(guest, uuid.group(1).lower() if uuid else None)
    return found


def ended(host: Host, pid: int) -> bool:
    """It is only waited for by its parent: nothing runs there any more."""
    status = host.glance(f"/proc/{pid}/status").value or ""
    return "\nState:\tZ" in status or "\nState:\tX" in status


def _workload(
    host: Host, pid: int, own: Namespaces, seen: Dict[Tuple[str, ...], int], listed: Dict[int, Told]
) -> Optional[Workload]:
    comm = (host.glance(f"/proc/{pid}/comm").value or "").rstrip("\n")
    if (VM.match(comm) or SWITCH.match(comm)) and ended(host, pid):
        return None
    if VM.match(comm):
        return described(host, pid, own, Found("vm", comm, libvirt=listed.get(pid)))
    if SWITCH.match(comm):
        return described(host, pid, own, Found("switch", comm))
    container = CONTAINER.search(host.glance(f"/proc/{pid}/cgroup").value or "")
    name = container.group(1) if container else None
    name = name.removesuffix(".scope") if name is not None else None
    apart = own.apart(host, pid)
    if name is None and not apart:
        return None
    key = ("", name) if name is not None else apart
    if key in seen or ended(host, pid):
        return None
    if apart:
        seen.setdefault(apart, pid)
    seen[key] = pid
    return described(host, pid, own, Found("container", comm, name))
