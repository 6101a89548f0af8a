"""Which virtual machines, containers and packet switches run, and how each is fenced by the kernel.

Command lines of containers are not read: they may hold secrets. Of QEMU's only the name and the UUID are kept.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Dict, List, Optional, Tuple

from bartizan.collect.posture.host import Host

MAX_PROCESSES = 65536
MAX_WORKLOADS = 2048
NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")
VM = re.compile(r"qemu-system-|qemu-kvm|qemu:|cloud-hyperviso|firecracker")
"""Names of virtual machine monitors; the kernel cuts a name after 15 bytes."""
SWITCH = re.compile(r"ovs-vswitchd|vpp_main|dpdk-|testpmd")
CONTAINER = re.compile(r"(?:docker|cri-containerd|crio|libpod|lxc\.payload)[-./:](?!conmon-)([A-Za-z0-9_.-]{1,128})")
"""A container's own cgroup, by the names that Docker, containerd, CRI-O, Podman and LXC give it."""
ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}")


@dataclass(frozen=True)
class Workload:
    """One process that stands for a workload; None where the kernel did not tell.

    seccomp: 0 none, 1 strict, 2 filter, of the main thread; cap_eff: hexadecimal; private: the kinds of namespaces
    that it does not share with the collector.
    """

    pid: int
    kind: str
    comm: str
    name: Optional[str]
    uuid: Optional[str]
    uid: Optional[int]
    label: Optional[str]
    seccomp: Optional[int]
    no_new_privs: Optional[int]
    cap_eff: Optional[str]
    private: Optional[Tuple[str, ...]]


def read(host: Host) -> List[Dict[str, object]]:
    """The workloads by process id; whether process 1 can be seen tells if others can."""
    host.node("/proc/1")
    processes = host.glance_names("/proc", MAX_PROCESSES).names or ()
    seen: Dict[str, int] = {}
    found: List[Dict[str, object]] = []
    for pid in sorted(int(name) for name in processes if name.isascii() and name.isdigit()):
        workload = _workload(host, pid, seen)
        if workload is not None and len(found) < MAX_WORKLOADS:
            found.append(asdict(workload))
    return found


def _workload(host: Host, pid: int, seen: Dict[str, int]) -> Optional[Workload]:
    comm = (host.glance(f"/proc/{pid}/comm").value or "").rstrip("\n")
    if VM.match(comm):
        name, uuid = _identity(host.glance(f"/proc/{pid}/cmdline").value or "")
        return _described(host, pid, kind="vm", comm=comm, name=name, uuid=uuid)
    if SWITCH.match(comm):
        return _described(host, pid, kind="switch", comm=comm)
    container = CONTAINER.search(host.glance(f"/proc/{pid}/cgroup").value or "")
    name = container.group(1).removesuffix(".scope") if container else None
    if name is None or name in seen:
        return None
    seen[name] = pid
    return _described(host, pid, kind="container", comm=comm, name=name)


def _identity(cmdline: str) -> Tuple[Optional[str], Optional[str]]:
    """QEMU's -name (its guest= part) and -uuid, if they look like such."""
    words = cmdline.split("\0")
    name = _after(words, "-name").split(",", 1)[0].removeprefix("guest=")
    uuid = _after(words, "-uuid")
    return (name if ID.fullmatch(name) else None), (uuid if ID.fullmatch(uuid) else None)


def _after(words: List[str], option: str) -> str:
    at = words.index(option) + 1 if option in words else len(words)
    return words[at] if at < len(words) else ""


def _described(
    host: Host, pid: int, kind: str, comm: str, name: Optional[str] = None, uuid: Optional[str] = None
) -> Workload:
    status = _status(host.glance(f"/proc/{pid}/status").value or "")
    uid = status.get("Uid", "").split("\t")[0]
    return Workload(
        pid=pid,
        kind=kind,
        comm=comm,
        name=name,
        uuid=uuid,
        uid=_number(uid),
        label=_label(host, pid),
        seccomp=_number(status.get("Seccomp", "")),
        no_new_privs=_number(status.get("NoNewPrivs", "")),
        cap_eff=status.get("CapEff"),
        private=_private(host, pid),
    )


def _status(text: str) -> Dict[str, str]:
    rows = (line.partition(":") for line in text.splitlines())
    return {key: value.strip() for key, _, value in rows}


def _number(text: str) -> Optional[int]:
    return int(text) if text.isascii() and text.isdigit() else None


def _label(host: Host, pid: int) -> Optional[str]:
    """The label of whichever security module answers; None when none does."""
    for place in ("attr/apparmor/current", "attr/selinux/current", "attr/current"):
        value = (host.glance(f"/proc/{pid}/{place}").value or "").rstrip("\0\n")
        if value:
            return value
    return None


def _private(host: Host, pid: int) -> Optional[Tuple[str, ...]]:
    own = {kind: host.link(f"/proc/self/ns/{kind}") for kind in NAMESPACES}
    its = {kind: host.link(f"/proc/{pid}/ns/{kind}") for kind in NAMESPACES}
    if None in its.values() or None in own.values():
        return None
    return tuple(kind for kind in NAMESPACES if own[kind] != its[kind])
