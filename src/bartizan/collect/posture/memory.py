"""Memory that is shared: KSM, and where huge pages are mounted."""

from __future__ import annotations

from typing import List

from bartizan.collect.posture.host import Host, Reading

KSM = "/sys/kernel/mm/ksm"
MOUNTS = "/proc/self/mounts"
MAX_FILES = 256
"""Huge page files looked at in one mount."""


def read(host: Host) -> None:
    """Keep KSM's state, the mounts of huge pages and the modes of what lies in them."""
    for name in ("run", "pages_sharing", "merge_across_nodes"):
        host.text(f"{KSM}/{name}")
    mounts = host.glance(MOUNTS)
    points = _huge_page_mounts(mounts.value or "")
    host.files[MOUNTS] = Reading(MOUNTS, None, mounts.error) if mounts.value is None else _listed(points)
    for point in points:
        host.node(point)
        for name in (host.glance_names(point).names or ())[:MAX_FILES]:
            host.node(f"{point}/{name}")


def _listed(points: List[str]) -> Reading:
    return Reading(MOUNTS, "".join(f"hugetlbfs {point}\n" for point in points))


def _huge_page_mounts(mounts: str) -> List[str]:
    """Where hugetlbfs is mounted; of the other mounts nothing is kept."""
    rows = [line.split(" ") for line in mounts.splitlines()]
    return sorted({row[1] for row in rows if row[2:3] == ["hugetlbfs"]})
