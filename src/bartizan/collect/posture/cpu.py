"""The processor: known vulnerabilities and how they are met, SMT, microcode, features."""

from __future__ import annotations

from bartizan.collect.posture.host import Host, Reading

CPU = "/sys/devices/system/cpu"
CPUINFO = "/proc/cpuinfo"
SHOWN = ("vendor_id", "cpu family", "model", "model name", "stepping", "microcode", "flags", "Features")
"""Lines of /proc/cpuinfo that are kept, of the first processor only."""


def read(host: Host) -> None:
    """Keep one file for each vulnerability the kernel knows, whatever its name."""
    for name in host.names(f"{CPU}/vulnerabilities").names or ():
        host.text(f"{CPU}/vulnerabilities/{name}")
    host.text(f"{CPU}/smt/control")
    host.text(f"{CPU}/smt/active")
    host.files[CPUINFO] = _first_processor(host.glance(CPUINFO))


def _first_processor(reading: Reading) -> Reading:
    if reading.value is None:
        return reading
    lines = reading.value.split("\n\n", 1)[0].splitlines()
    kept = [line for line in lines if line.split(":", 1)[0].strip() in SHOWN]
    return Reading(CPUINFO, "\n".join(kept) + "\n")
