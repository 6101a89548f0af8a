"""What fences a workload from the kernel: system call filters, users, capabilities, privileges."""

from collections.abc import Mapping

from bartizan.appraise.posture.facts import Evaluator, Facts, Outcome, broken, holds
from bartizan.model.posture import Workload

STATUS = "status"
FILTER = 2
"""SECCOMP_MODE_FILTER; Linux include/uapi/linux/seccomp.h."""
SANDBOX = {
    "elevateprivileges": "setuid, setgid, setresuid, setresgid, setreuid, setregid, setfsuid, setfsgid, setsid",
    "spawn": "fork, vfork, execve, execveat, unshare, setns, clone3",
    "resourcecontrol": "setpriority, sched_setparam, sched_setscheduler, sched_setaffinity",
}
"""QEMU's sets of system calls that `-sandbox on` alone leaves open (QEMU system/qemu-seccomp.c; seen in live filters of
7.2). The set `obsolete` is denied unless it is allowed by name."""
CAPABILITIES = (
    *("chown", "dac_override", "dac_read_search", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap"),
    *("linux_immutable", "net_bind_service", "net_broadcast", "net_admin", "net_raw", "ipc_lock", "ipc_owner"),
    *("sys_module", "sys_rawio", "sys_chroot", "sys_ptrace", "sys_pacct", "sys_admin", "sys_boot", "sys_nice"),
    *("sys_resource", "sys_time", "sys_tty_config", "mknod", "lease", "audit_write", "audit_control", "setfcap"),
    *("mac_override", "mac_admin", "syslog", "wake_alarm", "block_suspend", "audit_read", "perfmon", "bpf"),
    "checkpoint_restore",
)
"""By number; Linux include/uapi/linux/capability.h."""
ESCAPING = frozenset(
    {
        "sys_admin",
        "sys_module",
        "sys_rawio",
        "sys_ptrace",
        "dac_read_search",
        "net_admin",
        "bpf",
        "mac_admin",
        "sys_boot",
    }
)
"""With one of these in the host's user namespace a container is as good as root of the host."""


def seccomp(facts: Facts) -> Outcome:
    """Every thread runs under a filter of system calls."""
    workload = facts.subject
    mode = facts.told(STATUS, workload.seccomp, f"Seccomp {workload.seccomp}, filters {workload.filters}")
    threads = f"{workload.threads or 'its'} threads"
    if mode == FILTER:
        return holds(f"all {threads} run under a filter", f"Seccomp 2, filters {workload.filters}, {threads}")
    return broken(
        f"no filter holds all {threads}: every system call of the kernel is open", f"Seccomp {mode}, {threads}"
    )


def sandbox(facts: Facts) -> Outcome:
    """QEMU's own filter denies every set that it offers."""
    options = facts.told("cmdline", facts.subject.options, " ".join(facts.subject.options or ()))
    given = next((option.partition(" ")[2] for option in options if option.startswith("-sandbox")), "off")
    words = given.split(",")
    missing = {name: calls for name, calls in SANDBOX.items() if f"{name}=deny" not in words}
    missing |= {"obsolete": "system calls that current systems do not use"} if "obsolete=allow" in words else {}
    if "on" not in words and "enable=on" not in words:
        return broken(f"QEMU was started without -sandbox on ({given})", *SANDBOX.values())
    if missing:
        calls = "; ".join(missing.values())
        return broken(
            f"-sandbox {given} lacks {', '.join(f'{n}=deny' for n in missing)}, which leaves open: {calls}", calls
        )
    return holds(f"-sandbox {given}", f"-sandbox {given}")


def no_new_privileges(facts: Facts) -> Outcome:
    """No thread can gain privileges by starting a program."""
    value = facts.told(STATUS, facts.subject.no_new_privs, f"NoNewPrivs {facts.subject.no_new_privs}")
    if value == 1:
        return holds("it cannot gain privileges by starting programs", "NoNewPrivs 1")
    return broken("a program that it starts may have more privileges than it", f"NoNewPrivs {value}")


def user(facts: Facts) -> Outcome:
    """It does not run as root of the host."""
    uids = facts.told(STATUS, facts.subject.uids, f"Uid {facts.subject.uids}")
    said = f"Uid {', '.join(map(str, uids))}"
    return broken("it runs as root of the host", said) if 0 in uids else holds(f"it runs as user {uids[0]}", said)


def none_held(facts: Facts) -> Outcome:
    """It has no capability over the host."""
    held = _held(facts)
    if held and not _own_users(facts.subject):
        return broken(f"it holds {_shown(held)} over the host", *sorted(held))
    return holds(_of_own(held) if held else "it holds no capability", *sorted(held))


def switch_rights(facts: Facts) -> Outcome:
    """A packet switch is not root, and holds what it needs for memory and network alone."""
    uids = facts.told(STATUS, facts.subject.uids, f"Uid {facts.subject.uids}")
    held = _held(facts)
    if 0 in uids:
        return broken(f"it runs as root of the host, with {_shown(held) or 'no capability'}", "Uid 0", *sorted(held))
    beyond = held - set(facts.terms.accepts)
    if beyond:
        return broken(f"it holds {_shown(beyond)}, which a packet switch does not need", *sorted(beyond))
    return holds(f"it runs as user {uids[0]} with {_shown(held) or 'no capability'}", f"Uid {uids[0]}", *sorted(held))


def escaping(facts: Facts) -> Outcome:
    """A container holds no capability that makes it root of the host."""
    held = _held(facts)
    grave = held & ESCAPING
    if grave and not _own_users(facts.subject):
        return broken(f"it holds {_shown(grave)} over the host", *sorted(grave))
    return holds(_of_own(held) if held else "it holds no capability", *sorted(held))


def mapped(facts: Facts) -> Outcome:
    """Root inside a container is not root outside."""
    rows = facts.told("uid_map", facts.subject.uid_map, f"{facts.subject.uid_map}")
    to_root = [row for row in rows if len(row) == len(("inside", "outside", "count")) and row[1] == 0]
    if not to_root:
        return holds("no user of it is root of the host", *(" ".join(map(str, row)) for row in rows))
    shown = [" ".join(map(str, row)) for row in to_root]
    return broken(f"user {to_root[0][0]} of it is root of the host (uid_map {shown[0]})", *shown)


def _own_users(workload: Workload) -> bool:
    """Its capabilities hold over its own user namespace alone."""
    return "user" in (workload.private or ())


def _held(facts: Facts) -> frozenset[str]:
    """Capabilities that are in force or can be put in force."""
    workload = facts.subject
    mask = facts.told(STATUS, workload.cap_eff, f"CapEff {workload.cap_eff}")
    permitted = facts.told(
        STATUS, workload.cap_permitted, f"CapEff {workload.cap_eff}, CapPrm {workload.cap_permitted}"
    )
    bits = int(mask, 16) | int(permitted, 16)
    named = {name for bit, name in enumerate(CAPABILITIES) if bits >> bit & 1}
    return frozenset(named | {f"capability {bit}" for bit in range(len(CAPABILITIES), 64) if bits >> bit & 1})


def _shown(held: frozenset[str]) -> str:
    if len(held) == len(CAPABILITIES):
        return "all capabilities"
    few = len("many")
    shown = ", ".join(sorted(held)[:few])
    return f"{shown} and {len(held) - few} more" if len(held) > few else shown


def _of_own(held: frozenset[str]) -> str:
    return f"what it holds ({len(held)}) ends at its own user namespace, or makes nobody root of the host"


EVALUATORS: Mapping[str, Evaluator] = {
    "DPK-007": switch_rights,
    "LXC-001": mapped,
    "LXC-002": escaping,
    "LXC-003": seccomp,
    "QMP-001": user,
    "QMP-002": none_held,
    "QMP-003": no_new_privileges,
    "QMP-004": seccomp,
    "QMP-005": sandbox,
}
