"""Mandatory access control: which modules are active, SELinux's state and booleans, AppArmor's profiles and digests."""

from __future__ import annotations

from bartizan.collect.posture.host import Host, Reading

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
LOADED = "/sys/kernel/security/apparmor/policy/profiles"
DIGESTS = ("sha256", "sha1")
"""The kernel's digest of a profile as it was loaded; SHA-1 before Linux 6.8."""
MAX_PROFILES = 4096
"""A host has one for each guest, and some hundred others."""


def read(host: Host) -> None:
    """Keep every boolean of SELinux, and digests of its policy; the Verifier decides which matter."""
    for path in FILES:
        host.text(path)
    for name in ("/sys/fs", "/sys/kernel/security"):
        host.names(name)
    _keep_digests(host)
    if host.names(SELINUX).names is None:
        return
    host.text(CONFIG)
    host.digests(f"{SELINUX}/policy")
    for name in host.names(f"{SELINUX}/booleans").names or ():
        host.text(f"{SELINUX}/booleans/{name}")


def _keep_digests(host: Host) -> None:
    """One line for each loaded profile, `ALGORITHM DIGEST NAME`, in place of the folder that the kernel shows."""
    listed = host.glance_names(LOADED, MAX_PROFILES)
    lines = [_digest(host, f"{LOADED}/{name}") for name in listed.names or ()]
    host.files[LOADED] = Reading(LOADED, None if listed.names is None else "".join(sorted(lines)), listed.error)


def _digest(host: Host, profile: str) -> str:
    name = (host.glance(f"{profile}/name").value or "?").strip()
    for algorithm in DIGESTS:
        digest = (host.glance(f"{profile}/{algorithm}").value or "").strip()
        if digest:
            return f"{algorithm} {digest} {name}\n"
    return f"- - {name}\n"
