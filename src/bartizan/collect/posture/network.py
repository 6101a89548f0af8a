"""Network acceleration: drivers that user space drives, DPDK's runtime folders, vhost-user sockets."""

from __future__ import annotations

import re
from typing import List

from bartizan.collect.posture.host import Host, Reading

DRIVERS = "/sys/bus/pci/drivers"
USER_SPACE = ("igb_uio", "uio_pci_generic", "vfio-pci")
RUNTIME = "/run/dpdk"
SOCKETS = "/proc/net/unix"
VHOST = re.compile(r"(?:^|/)[^/]*(?:vhost|vhu)[^/]*(?:/|$)")
"""Socket paths that are vhost-user's by their name or folder: Nova's vhu…, vhost_sockets, vhost-user1."""
MAX_SOCKETS = 1024
PATH_COLUMN = 7


def read(host: Host) -> None:
    """Keep which devices the drivers hold, and the modes of folders and sockets; of other sockets nothing is kept."""
    host.names("/sys/bus/pci")
    bound = host.names(DRIVERS).names or ()
    for driver in USER_SPACE:
        if driver in bound:
            host.names(f"{DRIVERS}/{driver}")
    for name in host.names(RUNTIME).names or ():
        host.node(f"{RUNTIME}/{name}")
    table = host.glance(SOCKETS)
    paths = _vhost_sockets(table.value or "")[:MAX_SOCKETS]
    host.files[SOCKETS] = table if table.value is None else Reading(SOCKETS, "".join(f"{path}\n" for path in paths))
    for path in paths:
        host.node(path)


def _vhost_sockets(table: str) -> List[str]:
    """Paths of bound sockets that look like vhost-user's; abstract ones (@) have no mode."""
    rows = (line.split(None, PATH_COLUMN) for line in table.splitlines()[1:])
    paths = {row[PATH_COLUMN] for row in rows if len(row) > PATH_COLUMN}
    return sorted(path for path in paths if path.startswith("/") and VHOST.search(path))
