"""Mandatory access control: which modules are active, SELinux's state and booleans, AppArmor's profiles."""

from __future__ import annotations

from bartizan.collect.posture.host import Host

SELINUX = "/sys/fs/selinux"
FILES = (
    "/sys/kernel/security/lsm",
    "/sys/module/apparmor/parameters/enabled",
    "/sys/kernel/security/apparmor/profiles",
    f"{SELINUX}/enforce",
    f"{SELINUX}/checkreqprot",
    f"{SELINUX}/deny_unknown",
)
CONFIG = "/etc/selinux/config"


def read(host: Host) -> None:
    """Keep every boolean of SELinux, and digests of its policy; the Verifier decides which matter."""
    for path in FILES:
        host.text(path)
    for name in ("/sys/fs", "/sys/kernel/security"):
        host.names(name)
    if host.names(SELINUX).names is None:
        return
    host.text(CONFIG)
    host.digests(f"{SELINUX}/policy")
    for name in host.names(f"{SELINUX}/booleans").names or ():
        host.text(f"{SELINUX}/booleans/{name}")
