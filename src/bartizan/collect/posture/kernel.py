"""The kernel: command line and what overrides it, lockdown, module signing, taint, hardening settings."""

from __future__ import annotations

from bartizan.collect.posture.host import Host, Reading

FILES = (
    "/proc/sys/kernel/osrelease",
    "/proc/sys/kernel/tainted",
    "/sys/kernel/security/lockdown",
    "/sys/module/module/parameters/sig_enforce",
)
SETTINGS = (
    "dev/tty/ldisc_autoload",
    "fs/protected_hardlinks",
    "fs/protected_symlinks",
    "fs/suid_dumpable",
    "kernel/apparmor_restrict_unprivileged_userns",
    "kernel/dmesg_restrict",
    "kernel/io_uring_disabled",
    "kernel/kexec_load_disabled",
    "kernel/kptr_restrict",
    "kernel/perf_event_paranoid",
    "kernel/randomize_va_space",
    "kernel/unprivileged_bpf_disabled",
    "kernel/yama/ptrace_scope",
    "net/core/bpf_jit_harden",
    "user/max_user_namespaces",
    "vm/unprivileged_userfaultfd",
)
COMMAND_LINE = "/proc/cmdline"
INIT = " -- "
"""What follows on the command line goes to init and means nothing to the kernel."""
LOADED = "/proc/modules"


def read(host: Host) -> None:
    """Keep what the kernel says of itself; of modules only the names, of the command line only the kernel's part."""
    for path in (*FILES, *(f"/proc/sys/{name}" for name in SETTINGS)):
        host.text(path)
    host.files[COMMAND_LINE] = _kernels_part(host.glance(COMMAND_LINE))
    host.files[LOADED] = _names(host.glance(LOADED))
    host.names("/proc/sys/kernel")
    host.names("/sys/module")


def _kernels_part(reading: Reading) -> Reading:
    if reading.value is None:
        return reading
    return Reading(COMMAND_LINE, reading.value.rstrip("\n").split(INIT, 1)[0] + "\n")


def _names(reading: Reading) -> Reading:
    if reading.value is None:
        return reading
    names = sorted(line.split(" ", 1)[0] for line in reading.value.splitlines())
    return Reading(LOADED, "".join(f"{name}\n" for name in names))
