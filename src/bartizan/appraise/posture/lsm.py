"""Mandatory access control: is a module active and enforcing, and what loosens it? It does not read policies."""

import re
from collections.abc import Mapping
from functools import partial

from bartizan.appraise.posture.facts import (
    SELINUX,
    Evaluator,
    Facts,
    Outcome,
    UnreadError,
    broken,
    holds,
    inapplicable,
    unknown,
)

LSM = "/sys/kernel/security/lsm"
APPARMOR = "/sys/module/apparmor/parameters/enabled"
PROFILES = "/sys/kernel/security/apparmor/profiles"
NO_SELINUX = "this kernel has no SELinux, or it was turned off at boot"
NO_APPARMOR = "this kernel has no AppArmor"
PROFILE = re.compile(r"(.+) \((\w[\w-]*)\)")
ENFORCED = frozenset({"enforce", "kill"})
"""Modes that deny; kill also ends the process."""
SHOWN = 5
WIDENING = (
    "virt_use_comm",
    "virt_use_evdev",
    "virt_use_execmem",
    "virt_use_fusefs",
    "virt_use_glusterd",
    "virt_use_nfs",
    "virt_use_rawip",
    "virt_use_samba",
    "virt_use_sanlock",
    "virt_use_usb",
    "virt_use_xserver",
)
"""Booleans that each give guests' QEMU more of the host; those of sysfs and vfio serve devices that a pool declares."""
OPENING = (
    "container_connect_any",
    "domain_can_mmap_files",
    "domain_kernel_load_modules",
    "virt_hooks_unconfined",
    "virt_sandbox_use_all_caps",
    "virt_sandbox_use_mknod",
    "virt_sandbox_use_netlink",
    "virt_sandbox_use_sys_admin",
    "virt_transition_userdomain",
)
"""Booleans that open whole classes of access to virtual machines or containers."""


def active(facts: Facts) -> Outcome:
    """A mandatory access control module is active."""
    try:
        modules = facts.text(LSM).split(",")
    except UnreadError:
        modules = _guessed(facts)
    found = [module for module in modules if module in facts.terms.accepts]
    if found:
        return holds(f"{' and '.join(found)} is active")
    others = f"; active are: {', '.join(modules)}" if modules else ""
    return broken(f"neither SELinux nor AppArmor is active{others}")


def _guessed(facts: Facts) -> list[str]:
    """Without securityfs: SELinux makes its mount point only when it is on, AppArmor tells by its parameter."""
    selinux = facts.maybe_names(SELINUX) is not None
    return (["selinux"] if selinux else []) + (["apparmor"] if facts.maybe(APPARMOR) == "Y" else [])


def switched_off(facts: Facts) -> Outcome:
    """No word on the command line turns mandatory access control off."""
    given = facts.cmdline()
    off = [f"{name}=0" for name in ("apparmor", "selinux", "enforcing") if "0" in given.get(name, ())]
    orders = [value for value in given.get("lsm", ()) if not {"selinux", "apparmor"} & set(value.split(","))]
    off += [f"lsm={value}" for value in orders]
    off += [f"security={value}" for value in given.get("security", ()) if value not in {"selinux", "apparmor"}]
    if off:
        return broken(f"the command line turns mandatory access control off: {', '.join(off)}")
    return holds("the command line does not turn mandatory access control off")


def apparmor(facts: Facts) -> Outcome:
    """AppArmor is on where SELinux is not."""
    if facts.maybe_names(SELINUX) is not None:
        return inapplicable("SELinux is active")
    value = facts.maybe(APPARMOR)
    if value is None:
        return inapplicable(NO_APPARMOR)
    return holds("AppArmor is on") if value == "Y" else broken("AppArmor is built into this kernel, but turned off")


def profiles(facts: Facts) -> Outcome:
    """Every loaded AppArmor profile is enforced."""
    if facts.maybe(APPARMOR) != "Y":
        return inapplicable("AppArmor is not active")
    rows = [PROFILE.fullmatch(line) for line in facts.text(PROFILES).splitlines()]
    loose = [f"{row[1]} ({row[2]})" for row in rows if row is not None and row[2] not in ENFORCED]
    if loose:
        more = f" and {len(loose) - SHOWN} more" if len(loose) > SHOWN else ""
        return broken(f"{len(loose)} of {len(rows)} profiles are not enforced: {', '.join(loose[:SHOWN])}{more}")
    return holds(f"all {len(rows)} loaded profiles are enforced") if rows else broken("AppArmor has no profile loaded")


def enforcing(facts: Facts) -> Outcome:
    """SELinux denies what its policy forbids."""
    value = facts.maybe(f"{SELINUX}/enforce")
    if value is None:
        return inapplicable(NO_SELINUX)
    return (
        holds("SELinux is enforcing") if value == "1" else broken("SELinux is permissive: it logs and denies nothing")
    )


def next_boot(facts: Facts) -> Outcome:
    """SELinux stays enforcing after a reboot."""
    if facts.maybe_names(SELINUX) is None:
        return inapplicable(NO_SELINUX)
    text = facts.maybe("/etc/selinux/config")
    modes = re.findall(r"^[ \t]*SELINUX[ \t]*=[ \t]*(\w+)", text or "", re.MULTILINE)
    if not modes:
        return unknown("/etc/selinux/config does not say what the next boot does")
    if modes[-1] == "enforcing":
        return holds("the next boot is enforcing")
    return broken(f"the next boot is {modes[-1]} (/etc/selinux/config)")


def booleans_off(facts: Facts, *, names: tuple[str, ...]) -> Outcome:
    """None of these booleans is on."""
    there = facts.maybe_names(SELINUX)
    if there is None:
        return inapplicable(NO_SELINUX)
    known = [name for name in facts.names(f"{SELINUX}/booleans") if name in names]
    on = [name for name in known if facts.text(f"{SELINUX}/booleans/{name}").startswith("1")]
    facts.first(*(f"{SELINUX}/booleans/{name}" for name in on))
    if on:
        return broken(f"SELinux booleans are on: {', '.join(on)}")
    return holds(f"none of the {len(known)} such booleans of this policy is on")


def ptrace_denied(facts: Facts) -> Outcome:
    """SELinux lets no confined process trace another."""
    if facts.maybe_names(SELINUX) is None:
        return inapplicable(NO_SELINUX)
    value = (
        facts.maybe(f"{SELINUX}/booleans/deny_ptrace") if "deny_ptrace" in facts.names(f"{SELINUX}/booleans") else None
    )
    if value is None:
        return unknown("this policy has no boolean deny_ptrace")
    return holds("the boolean deny_ptrace is on") if value.startswith("1") else broken("the boolean deny_ptrace is off")


EVALUATORS: Mapping[str, Evaluator] = {
    "AA-001": apparmor,
    "AA-003": profiles,
    "KRN-006": switched_off,
    "KRN-007": active,
    "SEL-001": enforcing,
    "SEL-005": next_boot,
    "SEL-011": partial(booleans_off, names=WIDENING),
    "SEL-012": partial(booleans_off, names=OPENING),
    "SEL-019": ptrace_denied,
}
