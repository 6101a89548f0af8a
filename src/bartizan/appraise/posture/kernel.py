"""The kernel: lockdown, taint, module signing. Plain settings need no function; their rules are data alone."""

import re
from collections.abc import Mapping

from bartizan.appraise.posture.facts import Evaluator, Facts, Outcome, UnreadError, broken, holds, unknown

LOCKDOWN = "/sys/kernel/security/lockdown"
SIG_ENFORCE = "/sys/module/module/parameters/sig_enforce"
TAINTS = {
    0: "proprietary module",
    1: "module loaded by force",
    2: "kernel out of its specification",
    3: "module unloaded by force",
    4: "machine check",
    5: "bad page",
    6: "taint asked for by user space",
    7: "kernel died",
    8: "ACPI table overridden",
    9: "kernel warning",
    10: "staging driver",
    11: "firmware workaround",
    12: "out-of-tree module",
    13: "unsigned module",
    14: "soft lockup",
    15: "live patch",
    16: "auxiliary taint",
    17: "randomized structure layout",
    18: "test",
    19: "user space mutated data of the kernel",
}
"""Bits of /proc/sys/kernel/tainted; Linux Documentation/admin-guide/tainted-kernels.rst."""


def lockdown(facts: Facts) -> Outcome:
    """The running kernel is closed to root."""
    mode = _mode(facts)
    if mode is None:
        return unknown(f"{LOCKDOWN} names no mode")
    wanted = " or ".join(facts.terms.accepts)
    return (
        holds(f"lockdown is {mode}")
        if mode in facts.terms.accepts
        else broken(f"lockdown is {mode}; expected: {wanted}")
    )


def _mode(facts: Facts) -> str | None:
    chosen = re.search(r"\[(\w+)\]", facts.text(LOCKDOWN))
    return chosen[1] if chosen else None


def taint(facts: Facts) -> Outcome:
    """Nothing has tainted the kernel."""
    said = facts.text("/proc/sys/kernel/tainted")
    if said == "0":
        return holds("the kernel is not tainted")
    number = int(said) if said.isascii() and said.isdigit() else 0
    names = [name for bit, name in TAINTS.items() if number >> bit & 1]
    return broken(f"the kernel is tainted ({said}): {', '.join(names) or 'by something this list does not know'}")


def signing(facts: Facts) -> Outcome:
    """Only signed modules are loaded."""
    if facts.maybe("/proc/modules") is None:
        return holds("this kernel cannot load modules at all")
    if facts.maybe(SIG_ENFORCE) in {"Y", "1"}:
        return holds("the kernel loads signed modules only")
    try:
        locked = _mode(facts) in {"integrity", "confidentiality"}
    except UnreadError:
        locked = False
    return holds("lockdown lets signed modules in only") if locked else broken("the kernel loads unsigned modules")


def tracing(facts: Facts) -> Outcome:
    """Yama keeps processes of one user from tracing each other."""
    value = facts.maybe("/proc/sys/kernel/yama/ptrace_scope")
    if value is None:
        return broken("Yama is not active, so processes of one user may trace each other")
    said = f"kernel.yama.ptrace_scope is {value}"
    return (
        holds(said) if value in facts.terms.accepts else broken(f"{said}: processes of one user may trace each other")
    )


EVALUATORS: Mapping[str, Evaluator] = {"KRN-001": tracing, "HWT-004": lockdown, "HWT-005": taint, "HWT-006": signing}
