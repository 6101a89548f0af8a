"""What a workload can reach beside the kernel: namespaces, cgroup, raw devices, memory that it shares, DMA."""

import re
from collections.abc import Mapping

from bartizan.appraise.posture.facts import Evaluator, Facts, Outcome, UnreadError, broken, holds, inapplicable

KINDS = ("cgroup", "ipc", "mnt", "net", "pid", "uts")
"""Namespaces that every container has for itself; that of users has a rule of its own."""
OWN_CGROUP = re.compile(r"machine[-.]|libvirt|kubepods|docker|libpod|crio|containerd|lxc|nova")
"""Parts of a cgroup's path that libvirt, systemd-machined or a container runtime made."""
RAW = re.compile(
    r"/dev/(?:mem|kmem|port|sd[a-z]|nvme\d|vd[a-z]|xvd|dm-\d|mapper/|tpm|cpu/\d+/msr|dri/card|infiniband/|uhid|kmsg)"
)
AROUND = re.compile(r"/dev/(?:uio\d|vfio/noiommu-)")
"""Devices that are driven with nothing between them and memory."""
KSM_RUN = "/sys/kernel/mm/ksm/run"
GROUPS = "/sys/kernel/iommu_groups"
OTHERS = 0o006
HUGE_FILE = re.compile(r"map_\d+$")
"""Files of huge pages are called PREFIXmap_NUMBER; DPDK lib/eal/common/eal_filesystem.h."""


def own_mounts(facts: Facts) -> Outcome:
    """A guest's QEMU has mounts, and so a /dev, of its own."""
    private = facts.told("ns/mnt", facts.subject.private, f"own: {' '.join(facts.subject.private or ())}")
    if "mnt" in private:
        return holds(f"it has namespaces of its own: {', '.join(private)}", *private)
    return broken("it sees the host's file tree and /dev: it has no mount namespace of its own", *private)


def own_namespaces(facts: Facts) -> Outcome:
    """A container shares no namespace with the host."""
    private = facts.told("ns", facts.subject.private, f"own: {' '.join(facts.subject.private or ())}")
    shared = [kind for kind in KINDS if kind not in private]
    if shared:
        return broken(f"it shares with the host: {', '.join(shared)}", *shared)
    return holds("it shares no namespace with the host", *private)


def own_cgroup(facts: Facts) -> Outcome:
    """It stands in a cgroup of its own, where limits and the device controller hold."""
    path = facts.told("cgroup", facts.subject.cgroup, f"{facts.subject.cgroup}")
    if OWN_CGROUP.search(path):
        return holds(f"its cgroup is {path}", path)
    return broken(f"its cgroup is {path}: neither libvirt nor a container runtime put it into one of its own", path)


def raw_devices(facts: Facts) -> Outcome:
    """It holds no raw device of the host open."""
    devices = facts.told("fd", facts.subject.devices, " ".join(facts.subject.devices or ()) or "no device")
    raw = [device for device in devices if RAW.match(device)]
    if raw:
        return broken(f"it holds raw devices of the host open: {', '.join(raw)}", *raw)
    return holds(f"it holds no raw device open (devices open: {len(devices)})", *devices)


def no_control(facts: Facts) -> Outcome:
    """No socket of a container runtime or of libvirt is mounted into it."""
    sockets = facts.told("mountinfo", facts.subject.control, " ".join(facts.subject.control or ()) or "no such socket")
    if sockets:
        return broken(f"it can order the host's runtime about: {', '.join(sockets)}", *sockets)
    return holds("no socket of a runtime is mounted into it")


def shared_files(facts: Facts) -> Outcome:
    """Memory that it shares through files is closed to others."""
    found = facts.subject.shared
    files = facts.told("maps", found, f"{len(found or ())} files mapped shared and writable")
    modes = {file.path: f"{file.path} ({file.mode:04o})" for file in files if file.mode is not None}
    loose = [modes[file.path] for file in files if file.mode is not None and file.mode & OTHERS]
    if loose:
        return broken(f"everybody may open memory that it shares: {', '.join(loose)}", *loose)
    named = [modes.get(file.path, file.path) for file in files]
    total = sum(file.bytes for file in files) >> 20
    return holds(f"memory that it shares through files is closed to others ({len(files)} files, {total} MiB)", *named)


def merging(facts: Facts) -> Outcome:
    """The kernel does not merge its memory with that of others."""
    if facts.subject.ksm is None and facts.terms.accepts and facts.maybe(KSM_RUN) not in {None, "1"}:
        return holds(
            "the kernel does not tell whether its memory may be merged; the host's switch is off", f"{KSM_RUN}"
        )
    state = facts.told("ksm_stat", facts.subject.ksm, f"{facts.subject.ksm}")
    if state == "merging":
        return broken("the kernel has merged pages of its memory with those of others", "ksm_merging_pages")
    if state == "no":
        return holds("none of its memory may be merged", "ksm_mergeable: no")
    if facts.maybe(KSM_RUN) == "1":
        return broken("its memory may be merged, and KSM runs", "ksm_mergeable: yes", "/sys/kernel/mm/ksm/run = 1")
    if state in facts.terms.accepts:
        return holds("its memory may be merged, and only the host's switch, which is off, keeps it from that")
    return broken("its memory may be merged as soon as somebody switches KSM on", "ksm_mergeable: yes")


def in_memory(facts: Facts) -> Outcome:
    """DPDK leaves no files by which others could map its memory."""
    options = facts.told("cmdline", facts.subject.options, " ".join(facts.subject.options or ()))
    huge = [file.path for file in facts.subject.shared or () if HUGE_FILE.search(file.path)]
    if facts.subject.shared is None:
        raise UnreadError(f"/proc/{facts.subject.pid}/maps does not tell which memory is mapped by path")
    if huge:
        return broken(f"its memory lies in files that a second process can map: {', '.join(huge[:3])}", *huge)
    if any(option.startswith(("--in-memory", "--huge-unlink", "--no-huge")) for option in options):
        return holds("its memory has no files", *options)
    return holds("it maps no file of huge pages of its own")


def own_group(facts: Facts) -> Outcome:
    """Each device that it drives is alone in its IOMMU group, and translated."""
    groups = facts.told("fd", facts.subject.iommu_groups, f"IOMMU groups {facts.subject.iommu_groups}")
    if not groups:
        return inapplicable("it drives no device through VFIO")
    for group in groups:
        members = facts.names(f"{GROUPS}/{group}/devices")
        if not members:
            raise UnreadError(f"{GROUPS}/{group}/devices does not tell which devices belong together")
        if len(members) != 1:
            return broken(f"IOMMU group {group} holds {len(members)} devices, which can reach each other", *members)
        kind = facts.text(f"{GROUPS}/{group}/type")
        if kind == "identity":
            return broken(f"IOMMU group {group} is not translated (identity)", *members)
    return holds(f"each of its devices is alone in its IOMMU group ({', '.join(groups)})", *groups)


def through_iommu(facts: Facts) -> Outcome:
    """It drives no device around the IOMMU."""
    devices = facts.told("fd", facts.subject.devices, " ".join(facts.subject.devices or ()) or "no device")
    around = [device for device in devices if AROUND.match(device)]
    if around:
        return broken(f"it drives devices with nothing between them and memory: {', '.join(around)}", *around)
    groups = facts.subject.iommu_groups or ()
    return holds(f"devices that it drives: {len(groups)}, none of them around the IOMMU", *groups)


EVALUATORS: Mapping[str, Evaluator] = {
    "DPK-006": in_memory,
    "DPK-016": own_group,
    "DPK-018": through_iommu,
    "KSM-003": merging,
    "LXC-005": own_namespaces,
    "LXC-007": no_control,
    "QMP-008": own_mounts,
    "QMP-009": own_cgroup,
    "QMP-010": raw_devices,
    "QMP-011": shared_files,
}
