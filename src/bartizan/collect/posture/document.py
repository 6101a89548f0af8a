"""The posture document: everything that the collectors read, as canonical JSON bytes that a quote can be bound to.

`bartizan.formats.posture` is its strict reader. Version 2: `files`, `folders`, `nodes`, `workloads`, and who collected.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Callable, Dict, Tuple

from bartizan.collect.posture import cpu, iommu, kernel, libvirt, lsm, memory, network, switch, virt, workloads
from bartizan.collect.posture.host import Host

VERSION = 2
AREAS: Tuple[Callable[[Host], None], ...] = (
    kernel.read,
    cpu.read,
    iommu.read,
    memory.read,
    lsm.read,
    virt.read,
    network.read,
    switch.read,
    libvirt.read,
)


def collect(host: Host) -> Dict[str, object]:
    """Read all areas and describe what was read."""
    for read in AREAS:
        read(host)
    running = workloads.read(host)
    return {
        "version": VERSION,
        "privileged": os.geteuid() == 0,
        "files": [asdict(host.files[path]) for path in sorted(host.files)],
        "folders": [asdict(host.folders[path]) for path in sorted(host.folders)],
        "nodes": [asdict(host.nodes[path]) for path in sorted(host.nodes)],
        "workloads": running,
    }


def canonical(document: Dict[str, object]) -> bytes:
    """The document's one byte form: JSON, sorted keys, no white space, ASCII."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")


def collect_posture(root: Path = Path("/")) -> bytes:
    """The posture of the machine whose files lie at `root`, as canonical bytes."""
    return canonical(collect(Host(root)))
