"""One process as the kernel holds it: users, capabilities, filters, namespaces, open devices, shared memory.

Of a command line only options of a known kind are kept: others may hold secrets. Nothing is traced or stopped.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Dict, Iterable, List, Optional, Tuple

from bartizan.collect.posture.core_scheduling import cookies
from bartizan.collect.posture.host import DENIED, Host

NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")
APART = ("pid", "user")
"""Namespaces that make a process a container whoever started it; services of the host have others of their own."""
GROUPS = "/sys/kernel/iommu_groups"
ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
OPTIONS = {
    "vm": ("-sandbox", "-runas", "-run-with", "-chroot", "-accel", "-enable-kvm"),
    "switch": ("--in-memory", "--huge-unlink", "--no-huge", "--no-pci", "--proc-type", "--file-prefix", "--user"),
}
"""Options that are kept, by kind; none of them takes a secret."""
MAX_OPTION = 256
MAX_THREADS = 4096
MAX_OPEN = 65536
MAX_SHOWN = 64
DEVICE = re.compile(r"/dev/(?!null$|zero$|full$|random$|urandom$|tty|pts/|ptmx$|console$|shm/|hugepages|mqueue/)")
"""Open devices that mean something."""
SHARED = re.compile(r"[0-9a-f]+-[0-9a-f]+ .w.s [0-9a-f]+ [0-9a-f]+:[0-9a-f]+ \d+ +(/.*)")
"""A line of maps: writable, shared, of a file; Linux Documentation/filesystems/proc.rst, 1.1."""
CONTROL = re.compile(r"/(?:docker|containerd|crio|podman|libvirt-sock|virtqemud-sock)(?:\.sock|)$")
MOUNT_POINT = 4
SELINUX = "/sys/fs/selinux"
CONTEXT = re.compile(r"[A-Za-z0-9_.-]+:[A-Za-z0-9_.-]+:[A-Za-z0-9_.-]+:[A-Za-z0-9_.:,-]+")
ANSWERS, PERMISSIVE = 6, 1
"""Numbers in an answer, the last of them flags; AVD_FLAGS_PERMISSIVE of security/selinux/include/security.h."""
STATUS = ("Uid", "Seccomp", "Seccomp_filters", "NoNewPrivs", "CapEff", "CapPrm", "CapBnd", "CapAmb")


@dataclass(frozen=True)
class Told:
    """Who a guest is, as a file says that root can write."""

    name: str
    uuid: Optional[str]


@dataclass(frozen=True)
class Found:
    """Why a process counts as a workload: its kind, what it is called, and what libvirt's files say of it."""

    kind: str
    comm: str
    name: Optional[str] = None
    libvirt: Optional[Told] = None


@dataclass(frozen=True)
class Shared:
    """A file that a process maps shared and writable, and its mode; None where it cannot be seen."""

    path: str
    bytes: int
    mode: Optional[int]
    uid: Optional[int]
    gid: Optional[int]


@dataclass(frozen=True)
class Workload:
    """One process that stands for a workload; None where the kernel did not tell.

    name, uuid: its own command line's or cgroup's; libvirt: what libvirt's files say; label: empty where no security
    module answers; permissive: SELinux only logs what its domain may not do; seccomp, no_new_privs: the least of all
    threads; cap_…: hexadecimal, of all threads together; private: the kinds of namespaces that it does not share with
    the host; images: files that it holds open, and what its root is; control: sockets of a container runtime or of
    libvirt that it can reach; ksm: no, mergeable, merging; core_cookies: of a virtual machine's threads, which share
    cores with those of the same cookie alone.
    """

    pid: int
    kind: str
    comm: str
    name: Optional[str]
    uuid: Optional[str]
    libvirt: Optional[Told]
    options: Optional[Tuple[str, ...]]
    exe: Optional[str]
    uids: Optional[Tuple[int, ...]]
    uid_map: Optional[Tuple[Tuple[int, ...], ...]]
    label: Optional[str]
    permissive: Optional[bool]
    threads: Optional[int]
    seccomp: Optional[int]
    filters: Optional[int]
    no_new_privs: Optional[int]
    cap_eff: Optional[str]
    cap_permitted: Optional[str]
    cap_bounding: Optional[str]
    private: Optional[Tuple[str, ...]]
    cgroup: Optional[str]
    devices: Optional[Tuple[str, ...]]
    iommu_groups: Optional[Tuple[str, ...]]
    images: Optional[Tuple[str, ...]]
    control: Optional[Tuple[str, ...]]
    shared: Optional[Tuple[Shared, ...]]
    ksm: Optional[str]
    core_cookies: Optional[Tuple[str, ...]]


@dataclass(frozen=True)
class Namespaces:
    """The namespaces of the host: process 1's where they can be read, the collector's own otherwise."""

    links: Dict[str, Optional[str]]

    @classmethod
    def of_host(cls, host: Host) -> "Namespaces":
        """Each kind by itself."""
        return cls({kind: host.link(f"/proc/1/ns/{kind}") or host.link(f"/proc/self/ns/{kind}") for kind in NAMESPACES})

    def apart(self, host: Host, pid: int) -> Tuple[str, ...]:
        """The process's own namespaces of those kinds that make a container; empty when it has none, or hides them."""
        its = {kind: host.link(f"/proc/{pid}/ns/{kind}") or "" for kind in APART}
        other = any(its[kind] not in ("", self.links[kind]) for kind in APART)
        return tuple(its.values()) if other and all(self.links[kind] for kind in APART) else ()

    def private(self, host: Host, pid: int) -> Optional[Tuple[str, ...]]:
        """The kinds that it has for itself, None when that cannot be seen."""
        its = {kind: host.link(f"/proc/{pid}/ns/{kind}") for kind in NAMESPACES}
        if None in its.values() or None in self.links.values():
            return None
        return tuple(kind for kind in NAMESPACES if self.links[kind] != its[kind])


def described(host: Host, pid: int, own: Namespaces, found: Found) -> Workload:
    """Everything that the kernel tells of one process."""
    kind, name, uuid = found.kind, found.name, None
    words = (host.glance(f"/proc/{pid}/cmdline").value or "").split("\0")
    if kind == "vm":
        name, uuid = _identity(words)
    threads, label = _threads(host, pid), _label(host, pid)
    opened = _opened(host, pid)
    return Workload(
        pid=pid,
        kind=kind,
        comm=found.comm,
        name=name,
        uuid=uuid,
        libvirt=found.libvirt,
        options=_options(words, OPTIONS.get(kind, ())) if words != [""] else None,
        exe=host.link(f"/proc/{pid}/exe"),
        uids=_uids(threads),
        uid_map=_uid_map(host, pid),
        label=label,
        permissive=_permissive(host, label),
        threads=len(threads) if threads else None,
        seccomp=_least(threads, "Seccomp"),
        filters=_least(threads, "Seccomp_filters"),
        no_new_privs=_least(threads, "NoNewPrivs"),
        cap_eff=_together(threads, "CapEff"),
        cap_permitted=_together(threads, "CapPrm"),
        cap_bounding=_together(threads, "CapBnd"),
        private=own.private(host, pid),
        cgroup=_cgroup(host, pid),
        devices=_devices(opened),
        iommu_groups=_iommu_groups(host, opened),
        images=_images(host, pid, opened, kind=kind),
        control=_control(host, pid),
        shared=_shared(host, pid),
        ksm=_ksm(host, pid),
        core_cookies=cookies(host, pid) if kind == "vm" else None,
    )


def _identity(words: List[str]) -> Tuple[Optional[str], Optional[str]]:
    """QEMU's -name (its guest= part) and -uuid, if they look like such."""
    name = _after(words, "-name").split(",", 1)[0]
    name = name.removeprefix("guest=")
    uuid = _after(words, "-uuid").lower()
    return (name if ID.fullmatch(name) else None), (uuid if ID.fullmatch(uuid) else None)


def _after(words: List[str], option: str) -> str:
    at = words.index(option) + 1 if option in words else len(words)
    return words[at] if at < len(words) else ""


def _options(words: List[str], known: Iterable[str]) -> Tuple[str, ...]:
    found = []
    for at, word in enumerate(words):
        name, has_value, _ = word.partition("=")
        if name in known:
            following = words[at + 1] if at + 1 < len(words) else ""
            value = "" if has_value or following.startswith("-") else f" {following}"
            found.append(f"{word}{value}"[:MAX_OPTION].strip())
    return tuple(found[:MAX_SHOWN])


def _threads(host: Host, pid: int) -> List[Dict[str, str]]:
    """What stands in the status of every thread; empty when one that is still there cannot be read."""
    found = []
    for name in host.glance_names(f"/proc/{pid}/task", MAX_THREADS).names or ():
        text = host.glance(f"/proc/{pid}/task/{name}/status").value
        if text:
            found.append(_status(text))
        elif host.glance_node(f"/proc/{pid}/task/{name}") is not None:
            return []
    return found


def _status(text: str) -> Dict[str, str]:
    rows = (line.partition(":") for line in text.splitlines())
    return {key: value.strip() for key, _, value in rows if key in STATUS}


def _number(text: str) -> Optional[int]:
    return int(text) if text.isascii() and text.isdigit() else None


def _least(threads: List[Dict[str, str]], key: str) -> Optional[int]:
    numbers = [_number(thread.get(key, "")) for thread in threads]
    return None if None in numbers or not numbers else min(number for number in numbers if number is not None)


def _together(threads: List[Dict[str, str]], key: str) -> Optional[str]:
    masks = [thread.get(key, "") for thread in threads]
    if not masks or not all(re.fullmatch(r"[0-9a-f]{1,16}", mask) for mask in masks):
        return None
    total = 0
    for mask in masks:
        total |= int(mask, 16)
    return f"{total:016x}"


def _uids(threads: List[Dict[str, str]]) -> Optional[Tuple[int, ...]]:
    """Real, effective, saved and file system user, each once."""
    found = [_number(word) for thread in threads for word in thread.get("Uid", "?").split()]
    return None if None in found or not found else tuple(sorted({number for number in found if number is not None}))


def _uid_map(host: Host, pid: int) -> Optional[Tuple[Tuple[int, ...], ...]]:
    text = host.glance(f"/proc/{pid}/uid_map").value
    if text is None:
        return None
    rows = [tuple(_number(word) for word in line.split()) for line in text.splitlines()]
    return tuple(tuple(n for n in row if n is not None) for row in rows)[:MAX_SHOWN]


def _label(host: Host, pid: int) -> Optional[str]:
    """The label of whichever security module answers; empty when none does."""
    hidden = False
    for place in ("attr/apparmor/current", "attr/selinux/current", "attr/current"):
        reading = host.glance(f"/proc/{pid}/{place}")
        value = (reading.value or "").rstrip("\0\n")
        if value:
            return value
        hidden = hidden or reading.error == DENIED
    return None if hidden else ""


def _permissive(host: Host, label: Optional[str]) -> Optional[bool]:
    """Whether the policy makes its domain permissive; Linux security/selinux/selinuxfs.c (sel_write_access)."""
    if label is None or not CONTEXT.fullmatch(label):
        return None
    index = (host.glance(f"{SELINUX}/class/process/index").value or "").strip()
    answer = (host.ask(f"{SELINUX}/access", f"{label} {label} {index}") or "").split()
    if not index or len(answer) != ANSWERS or not re.fullmatch(r"[0-9a-f]{1,8}", answer[-1]):
        return None
    return bool(int(answer[-1], 16) & PERMISSIVE)


def _cgroup(host: Host, pid: int) -> Optional[str]:
    """The path in the unified hierarchy, or in that of systemd or the device controller."""
    text = host.glance(f"/proc/{pid}/cgroup").value
    if text is None:
        return None
    rows = {row[1]: row[2] for row in (line.split(":", 2) for line in text.splitlines()) if row[2:]}
    return max((rows.get(name, "") for name in ("", "name=systemd", "devices")), key=len) or "/"


def _opened(host: Host, pid: int) -> Optional[List[str]]:
    names = host.glance_names(f"/proc/{pid}/fd", MAX_OPEN).names
    if names is None:
        return None
    links = (host.link(f"/proc/{pid}/fd/{name}") for name in names)
    return sorted({link for link in links if link and link.startswith("/")})


def _devices(opened: Optional[List[str]]) -> Optional[Tuple[str, ...]]:
    return None if opened is None else tuple(path for path in opened if DEVICE.match(path))[:MAX_SHOWN]


def _iommu_groups(host: Host, opened: Optional[List[str]]) -> Optional[Tuple[str, ...]]:
    """The groups of devices that VFIO gave it, by group file or by device file."""
    if opened is None:
        return None
    found = {path.rpartition("/")[2] for path in opened if re.fullmatch(r"/dev/vfio/\d+", path)}
    for path in opened:
        if path.startswith("/dev/vfio/devices/"):
            device = path.rpartition("/")[2]
            group = host.link(f"/sys/class/vfio-dev/{device}/device/iommu_group") or "?"
            found.add(group.rpartition("/")[2])
    return tuple(sorted(found))[:MAX_SHOWN]


def _images(host: Host, pid: int, opened: Optional[List[str]], *, kind: str) -> Optional[Tuple[str, ...]]:
    """A machine's open files, a container's root file system."""
    if kind == "container":
        rows = [line.split(" ") for line in (host.glance(f"/proc/{pid}/mountinfo").value or "").splitlines()]
        roots = [row for row in rows if row[MOUNT_POINT : MOUNT_POINT + 1] == ["/"]]
        return tuple(_root(row) for row in roots[-1:]) if rows else None
    if opened is None:
        return None
    files = [path for path in opened if not path.startswith(("/dev/", "/memfd:", "/proc/", "/sys/", "/anon"))]
    return tuple(path for path in files if not path.endswith((".so", ".log", ".pid", " (deleted)")))[:MAX_SHOWN]


def _root(row: List[str]) -> str:
    """`overlay of DIR`, or the file system and where its root lies in it."""
    behind = row[row.index("-") + 1 :] if "-" in row else []
    options = dict(option.partition("=")[::2] for option in (behind[2:] or [""])[0].split(","))
    upper = options.get("upperdir")
    return (f"overlay of {upper}" if upper else f"{(behind or ['?'])[0]} at {row[3]}")[:MAX_OPTION]


def _control(host: Host, pid: int) -> Optional[Tuple[str, ...]]:
    text = host.glance(f"/proc/{pid}/mountinfo").value
    if text is None:
        return None
    points = {row[MOUNT_POINT] for row in (line.split(" ") for line in text.splitlines()) if row[MOUNT_POINT:]}
    return tuple(sorted(point for point in points if CONTROL.search(point)))[:MAX_SHOWN]


def _shared(host: Host, pid: int) -> Optional[Tuple[Shared, ...]]:
    """Files that it maps shared and writable; devices, and memory that has no name, left out."""
    reading = host.glance(f"/proc/{pid}/maps")
    if reading.value is None:
        return None
    sizes: Dict[str, int] = {}
    for line in reading.value.splitlines():
        found = SHARED.fullmatch(line)
        if found and not found.group(1).startswith(("/memfd:", "/dev/zero", "/SYSV", "/anon_hugepage")):
            start, _, end = line.partition(" ")[0].partition("-")
            sizes[found.group(1)] = sizes.get(found.group(1), 0) + int(end, 16) - int(start, 16)
    kept = [path for path in sorted(sizes) if not DEVICE.match(path)][:MAX_SHOWN]
    return tuple(_mapped(host, pid, path, sizes[path]) for path in kept)


def _mapped(host: Host, pid: int, path: str, size: int) -> Shared:
    """A mapped file as the process sees it; one that was deleted can no longer be opened by its path."""
    node = host.glance_node(f"/proc/{pid}/root{path}")
    if path.endswith(" (deleted)") or node is None:
        return Shared(path, size, None, None, None)
    return Shared(path, size, node.mode, node.uid, node.gid)


def _ksm(host: Host, pid: int) -> Optional[str]:
    text = host.glance(f"/proc/{pid}/ksm_stat").value
    if text is None:
        return None
    rows = dict(line.replace(":", " ").split()[:2] for line in text.splitlines() if len(line.split()) > 1)
    if rows.get("ksm_merging_pages", "0") != "0":
        return "merging"
    if "ksm_mergeable" not in rows:
        return None
    return "mergeable" if "yes" in (rows["ksm_mergeable"], rows.get("ksm_merge_any")) else "no"
