"""Which threads may share a core: the kernel's core scheduling cookies; Linux admin-guide/hw-vuln/core-scheduling.rst.

Asks only. A kernel without core scheduling, or one that may not be asked about a process, tells nothing.
"""

from __future__ import annotations

import ctypes
from typing import Optional, Tuple

from bartizan.collect.posture.host import MACHINE, Host

SCHED_CORE, GET, ONE_THREAD = 62, 0, 0
"""PR_SCHED_CORE, PR_SCHED_CORE_GET, PR_SCHED_CORE_SCOPE_THREAD; linux/prctl.h."""
MAX_THREADS = 4096
MAX_SHOWN = 64
LIBC = ctypes.CDLL(None)


def cookies(host: Host, pid: int) -> Optional[Tuple[str, ...]]:
    """The cookies of all threads of a process, each once; zeros stand for a thread that shares cores with anybody."""
    if host.root != MACHINE:
        told = host.glance(f"/proc/{pid}/core_cookies").value
        return None if told is None else tuple(told.split())
    found = set()
    for name in host.glance_names(f"/proc/{pid}/task", MAX_THREADS).names or ():
        cookie = _cookie(int(name)) if name.isascii() and name.isdigit() else None
        if cookie is not None:
            found.add(cookie)
        elif host.glance_node(f"/proc/{pid}/task/{name}") is not None:
            return None
    return tuple(sorted(found))[:MAX_SHOWN] or None


def _cookie(thread: int) -> Optional[str]:
    value = ctypes.c_uint64()
    done = LIBC.prctl(SCHED_CORE, GET, thread, ONE_THREAD, ctypes.byref(value))
    return f"{value.value:016x}" if done == 0 else None
