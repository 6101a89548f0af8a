"""CPU time and peak memory of a call. Standard library only, so that another program's interpreter can run it too."""

import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

REPEATS = 7
LEAST = 0.1
"""CPU seconds that one repeat takes at least: shorter calls are looped."""


def cpu() -> float:
    """CPU seconds of this process and of the children it has waited for."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


def once(call: Callable[[], object], loops: int) -> float:
    """CPU seconds of one call, the mean of some."""
    start = cpu()
    for _ in range(loops):
        call()
    return (cpu() - start) / loops


def peak_kib() -> int:
    """Peak resident memory of this process in KiB; getrusage would count what the parent held at the fork."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0])


def measure(call: Callable[[], str]) -> dict[str, Any]:
    """CPU seconds of each repeat, what the call yields, and the process's peak memory."""
    result = call()
    loops = max(1, math.ceil(LEAST / max(once(call, 1), 1e-6)))
    seconds = [once(call, loops) for _ in range(REPEATS)]
    return {"seconds": seconds, "result": result, "peak_kib": peak_kib()}
