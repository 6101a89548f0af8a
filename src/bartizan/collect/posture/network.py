"""Network acceleration: drivers that user space drives, SR-IOV, DPDK's runtime folders, vhost-user sockets."""

from __future__ import annotations

import re
from typing import List

from bartizan.collect.posture.host import FAILED, MACHINE, Host, Listing, Reading
from bartizan.collect.posture.netlink import link_index, virtual_functions

DRIVERS = "/sys/bus/pci/drivers"
USER_SPACE = ("igb_uio", "uio_pci_generic", "vfio-pci")
RUNTIME = "/run/dpdk"
SOCKETS = "/proc/net/unix"
VHOST = re.compile(r"(?:^|/)[^/]*(?:vhost|vhu)[^/]*(?:/|$)")
"""Socket paths that are vhost-user's by their name or folder: Nova's vhu…, vhost_sockets, vhost-user1."""
MAX_SOCKETS = 1024
PATH_COLUMN = 7
LINKS = "/sys/class/net"
COUNT = "device/sriov_numvfs"
FUNCTIONS = "virtual_functions"
"""Not a file: below a link's folder, what the kernel answers about its virtual functions (`netlink`)."""
MAX_LINKS = 65536


def read(host: Host) -> None:
    """Keep which devices the drivers hold, and the modes of folders and sockets; of other sockets nothing is kept."""
    host.names("/sys/bus/pci")
    bound = host.names(DRIVERS).names or ()
    for driver in USER_SPACE:
        if driver in bound:
            host.names(f"{DRIVERS}/{driver}")
    for name in host.names(RUNTIME).names or ():
        host.node(f"{RUNTIME}/{name}")
    _read_functions(host)
    table = host.glance(SOCKETS)
    paths = _vhost_sockets(table.value or "")[:MAX_SOCKETS]
    host.files[SOCKETS] = table if table.value is None else Reading(SOCKETS, "".join(f"{path}\n" for path in paths))
    for path in paths:
        host.node(path)


def _read_functions(host: Host) -> None:
    """Keep which links have virtual functions and what is told of these; of other links not even the name."""
    links = host.glance_names(LINKS, MAX_LINKS)
    counts = {name: host.glance(f"{LINKS}/{name}/{COUNT}").value or "0" for name in links.names or ()}
    parents = tuple(name for name, count in counts.items() if count.strip() != "0")
    host.folders[LINKS] = links if links.names is None else Listing(LINKS, parents)
    for name in parents:
        path = f"{LINKS}/{name}/{FUNCTIONS}"
        host.files[path] = _asked(name, path) if host.root == MACHINE else host.glance(path)


def _asked(name: str, path: str) -> Reading:
    index = link_index(name)
    told = virtual_functions(index) if index is not None else None
    return Reading(path, told, None if told is not None else FAILED)


def _vhost_sockets(table: str) -> List[str]:
    """Paths of bound sockets that look like vhost-user's; abstract ones (@) have no mode."""
    rows = (line.split(None, PATH_COLUMN) for line in table.splitlines()[1:])
    paths = {row[PATH_COLUMN] for row in rows if len(row) > PATH_COLUMN}
    return sorted(path for path in paths if path.startswith("/") and VHOST.search(path))
