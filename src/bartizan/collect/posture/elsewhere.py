"""Programs that run in a file tree of their own, as a containerised control plane's do (Kolla, Kubernetes).

Their files are found by looking for the program, not by knowing where a deployment puts them.
"""

from __future__ import annotations

from typing import Dict, List, Tuple

from bartizan.collect.posture.host import Host

MAX_PROCESSES = 65536
MAX_ROOTS = 16


def other_roots(host: Host, programs: Tuple[str, ...]) -> List[str]:
    """`/proc/PID/root` of each of these programs that does not share the host's mount namespace, each tree once."""
    own = host.link("/proc/1/ns/mnt") or host.link("/proc/self/ns/mnt")
    found: Dict[str, str] = {}
    names = host.glance_names("/proc", MAX_PROCESSES).names or ()
    for pid in sorted(int(name) for name in names if name.isascii() and name.isdigit()):
        comm = (host.glance(f"/proc/{pid}/comm").value or "").rstrip("\n")
        its = host.link(f"/proc/{pid}/ns/mnt") if comm in programs else None
        if its is not None and own is not None and its != own:
            found.setdefault(its, f"/proc/{pid}/root")
    return list(found.values())[:MAX_ROOTS]
