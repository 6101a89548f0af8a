"""Processor: vulnerabilities, mitigations and what switches them off, SMT, nested virtualization."""

import re
from collections.abc import Mapping

from bartizan.appraise.posture.facts import Evaluator, Facts, Outcome, broken, holds, inapplicable, unknown
from bartizan.appraise.posture.libvirt import settings

FOLDER = "/sys/devices/system/cpu/vulnerabilities"
OLD_MICROCODE = "old_microcode"
"""Has a rule of its own."""
OPEN = re.compile(r"Vulnerable|Processor vulnerable|.*\b(?:KVM|VMX): [Vv]ulnerable")
"""Linux Documentation/ABI/testing/sysfs-devices-system-cpu; l1tf and itlb_multihit tell of guests in their own part."""
VECTORS = {
    "no_user_kernel": "programs against the kernel",
    "no_user_user": "programs against each other",
    "no_guest_host": "guests against the host",
    "no_guest_guest": "guests against each other",
    "no_cross_thread": "threads of one core against each other",
}
"""Attack vectors by the option that leaves them open; Linux admin-guide/hw-vuln/attack_vector_controls.rst."""
CONTROLS_SINCE = (6, 17)
"""The first kernel release with attack-vector controls."""
ISOLATING = frozenset({"full", "emulator"})
"""Values of libvirt's sched_core that keep foreign threads off a virtual machine's cores."""
NO_COOKIE = "0" * 16
PRESENT = frozenset({"nopti", "nospectre_v1", "nospectre_v2", "nospec_store_bypass_disable", "no_entry_flush"})
SWITCHES = {
    "kvm.nx_huge_pages": "off",
    "kvm_intel.vmentry_l1d_flush": "never",
} | dict.fromkeys(
    (
        "gather_data_sampling",
        "indirect_target_selection",
        "kpti",
        "l1tf",
        "mds",
        "mmio_stale_data",
        "pti",
        "reg_file_data_sampling",
        "retbleed",
        "spec_rstack_overflow",
        "spec_store_bypass_disable",
        "spectre_bhi",
        "spectre_v2",
        "spectre_v2_user",
        "srbds",
        "tsa",
        "tsx_async_abort",
        "vmscape",
    ),
    "off",
)
"""Parameters that switch one mitigation off, with the value that does it."""


def vulnerabilities(facts: Facts) -> Outcome:
    """No vulnerability that the kernel knows is open."""
    states = {name: facts.text(f"{FOLDER}/{name}") for name in facts.names(FOLDER) if name != OLD_MICROCODE}
    if not states:
        return unknown("the kernel lists no vulnerabilities, not even those that the processor does not have")
    found = {name: state for name, state in states.items() if OPEN.match(state)}
    if found:
        facts.first(*(f"{FOLDER}/{name}" for name in found))
        shown = "; ".join(f"{name} ({state})" for name, state in found.items())
        return broken(f"{len(found)} of {len(states)} known vulnerabilities are open: {shown}")
    unsure = [name for name, state in states.items() if state.startswith("Unknown")]
    if unsure:
        return unknown(f"the kernel cannot tell about {', '.join(unsure)}; below a hypervisor only its host can")
    return holds(f"all {len(states)} known vulnerabilities are absent or mitigated")


def mitigations(facts: Facts) -> Outcome:
    """The command line leaves no class of attacks open; `mitigations=off` is only one way to do so."""
    values = facts.cmdline().get("mitigations", ())
    said = " ".join(f"mitigations={value}" for value in values) or "mitigations= is not given"
    if any(value.startswith("off") for value in values):
        return broken(f"{said}: no processor vulnerability is mitigated")
    tokens = {token for value in values for token in value.split(",")}
    left = [words for token, words in VECTORS.items() if token in tokens and token not in facts.terms.accepts]
    if left:
        release = facts.maybe("/proc/sys/kernel/osrelease") or ""
        doubt = "" if _knows_controls(release) else f", if this kernel ({release}) knows attack-vector controls"
        return broken(f"{said} leaves open: {', '.join(left)}, although it is not mitigations=off{doubt}")
    return holds(f"the command line leaves no class of attacks open ({said})")


def _knows_controls(release: str) -> bool:
    version = re.match(r"(\d{1,4})\.(\d{1,4})", release)
    return version is not None and (int(version[1]), int(version[2])) >= CONTROLS_SINCE


def switches(facts: Facts) -> Outcome:
    """No parameter switches a single mitigation off."""
    given = facts.cmdline()
    off = [name for name in sorted(PRESENT) if name in given]
    off += [f"{name}={value}" for name, value in sorted(SWITCHES.items()) if value in given.get(name, ())]
    if off:
        return broken(f"the command line switches mitigations off: {', '.join(off)}")
    return holds("the command line switches no single mitigation off")


def threads(facts: Facts) -> Outcome:
    """No two tenants share a core: SMT is off, or the kernel or libvirt schedules by cores."""
    if facts.text("/sys/devices/system/cpu/smt/active") == "0":
        return holds(f"SMT is not active ({facts.maybe('/sys/devices/system/cpu/smt/control') or 'no control'})")
    proved = _cores(facts)
    if proved is not None:
        return proved
    found = settings(facts)
    if found is None:
        return broken("SMT is on, and no libvirt is here that would keep two tenants off one core")
    scheduled = found.get("sched_core", "none")
    if scheduled in ISOLATING:
        return holds(f"SMT is on, and libvirt keeps each virtual machine on cores of its own (sched_core={scheduled})")
    return broken(f"SMT is on, and libvirt does not keep two tenants off one core (sched_core={scheduled})")


def _cores(facts: Facts) -> Outcome | None:
    """What the kernel tells of running virtual machines by their cookies, None where there are none or it tells not."""
    machines = [one for one in facts.posture.workloads if one.kind == "vm"]
    told = [(one, frozenset(one.core_cookies)) for one in machines if one.core_cookies is not None]
    if not machines or len(told) < len(machines):
        return None
    free = [one for one, cookies in told if NO_COOKIE in cookies]
    if free:
        return broken(f"SMT is on, and threads of process {free[0].pid} ({free[0].comm}) share cores with anybody's")
    if sum(len(cookies) for _, cookies in told) != len(frozenset().union(*(cookies for _, cookies in told))):
        return broken("SMT is on, and two virtual machines have one core scheduling cookie: they share cores")
    return holds(f"SMT is on, and the kernel keeps each of {len(told)} virtual machines on cores of its own")


def nested(facts: Facts) -> Outcome:
    """Guests are not offered virtualization of their own."""
    for module in ("kvm_intel", "kvm_amd"):
        value = facts.maybe(f"/sys/module/{module}/parameters/nested")
        if value in {"Y", "1"}:
            return broken(f"{module} offers nested virtualization to guests")
        if value is not None:
            return holds(f"{module} offers no nested virtualization")
    return inapplicable("neither kvm_intel nor kvm_amd is loaded")


def huge_page_exec(facts: Facts) -> Outcome:
    """Guests cannot stop the host through executable huge pages, where the processor has that fault."""
    value = facts.maybe("/sys/module/kvm/parameters/nx_huge_pages")
    if value is None:
        return inapplicable("KVM is not loaded")
    if facts.maybe(f"{FOLDER}/itlb_multihit") == "Not affected":
        return holds("the processor does not have the fault (itlb_multihit: Not affected)")
    if value in {"Y", "force", "auto"}:
        return holds(f"kvm.nx_huge_pages is {value}")
    return broken(f"kvm.nx_huge_pages is {value}, and the processor may have the fault that it works around")


EVALUATORS: Mapping[str, Evaluator] = {
    "CPU-001": vulnerabilities,
    "CPU-002": mitigations,
    "CPU-003": switches,
    "CPU-004": threads,
    "CPU-005": nested,
    "CPU-006": huge_page_exec,
}
