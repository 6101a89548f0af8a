"""Who a workload is. What the kernel holds (label, cgroup) counts before what text says that root can write."""

import re
from collections import Counter
from collections.abc import Mapping

from bartizan.appraise.posture.facts import Evaluator, Facts, Outcome, broken, holds, inapplicable
from bartizan.model.posture import Identity, ReportedPosture, Workload

PROFILE = re.compile(r"libvirt-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?: \((\w+)\))?")
"""The AppArmor profile that libvirt makes for one guest; libvirt src/security/virt-aa-helper.c."""
SCOPE = re.compile(r"machine-(?:qemu|lxc)-\d+-(.+)\.scope")
"""A guest's scope of systemd once its escapes are undone; libvirt src/util/virsystemd.c."""
ESCAPE = re.compile(r"\\x([0-9a-f]{2})")
MODE = re.compile(r"(.*?)(?: \((\w+)\))?")
NOT_IN_SCOPES = re.compile(r"[^A-Za-z0-9.-]")
UNCONFINED_TYPES = frozenset(
    {"unconfined_t", "unconfined_service_t", "spc_t", "init_t", "initrc_t", "kernel_t", "qemu_t", "virtd_t"}
)
"""SELinux types that fence nothing, or are not a guest's; libvirt docs/drvqemu.rst."""
LABEL = "attr/current"
SELINUX = "/sys/fs/selinux"
ENFORCED = frozenset({"enforce", "kill"})
CUT = 48
"""A scope's name is cut after 64 characters, `qemu-`, a number and a dash included."""
CATEGORIES = 2
"""libvirt and container runtimes give each workload two."""


def kernel_uuid(workload: Workload) -> str | None:
    """The UUID in its AppArmor profile's name."""
    found = PROFILE.fullmatch(workload.label or "")
    return found[1] if found else None


def kernel_name(workload: Workload) -> str | None:
    """The name in its cgroup."""
    if workload.kind == "container":
        return workload.untrusted_name
    last = (workload.cgroup or "").rstrip("/").split("/")
    for part in reversed(last):
        found = SCOPE.fullmatch(ESCAPE.sub(lambda escape: chr(int(escape[1], 16)), part))
        if found:
            return found[1]
    return None


def identify(workload: Workload) -> Identity:
    """The name and UUID that count."""
    uuid, name = kernel_uuid(workload), kernel_name(workload)
    kernel = [f"UUID {uuid} from its label {workload.label}"] if uuid else []
    kernel += [f"name {name} from its cgroup {workload.cgroup}"] if name else []
    told = workload.libvirt
    text_name = workload.untrusted_name or (told.name if told else None)
    text_uuid = workload.untrusted_uuid or (told.uuid if told else None)
    if name is not None and text_name is not None and _in_scope(text_name, name):
        name = text_name  # the kernel's is the same one, with some characters left out
    contradicted = (uuid is not None and text_uuid not in {None, uuid}) or (name is not None and name != text_name)
    return Identity(
        name=name or ("" if contradicted else text_name) or "",
        uuid=uuid or ("" if contradicted else text_uuid) or "",
        kernel=tuple(kernel),
    )


def _in_scope(name: str, scope: str) -> bool:
    """A scope's name is the guest's without some characters, cut after 64."""
    plain = NOT_IN_SCOPES.sub("", name)
    return plain == scope or (len(scope) >= CUT and plain.startswith(scope))


def agreement(facts: Facts) -> Outcome:
    """Whatever tells who a guest is tells the same."""
    workload = facts.subject
    facts.told("cmdline", workload.options, f"name {workload.untrusted_name}, uuid {workload.untrusted_uuid}")
    uuids = _uuids(facts)
    names = {"its command line": workload.untrusted_name, "libvirt's files": workload.libvirt and workload.libvirt.name}
    scope = kernel_name(workload)
    wrong = [(who, name) for who, name in names.items() if name and scope and not _in_scope(name, scope)]
    if len(set(uuids.values())) > 1 or wrong:
        said = [f"{who} says {uuid}" for who, uuid in uuids.items()]
        said += [f"its cgroup says {scope}", *(f"{who} says {name}" for who, name in wrong)] if wrong else []
        return broken(f"who it is is contradicted: {'; '.join(said)}; what the kernel holds counts", *said)
    if len(uuids) + sum(bool(name) for name in names.values()) + bool(scope) < CATEGORIES:
        return inapplicable("only one source tells who it is")
    return holds(
        f"all that tell who it is agree ({', '.join([*uuids, *(who for who, name in names.items() if name)])})"
    )


def _uuids(facts: Facts) -> dict[str, str]:
    workload = facts.subject
    libvirt = workload.libvirt.uuid if workload.libvirt else None
    found = {
        "its label": kernel_uuid(workload),
        "its command line": workload.untrusted_uuid,
        "libvirt's files": libvirt,
    }
    return {who: uuid for who, uuid in found.items() if uuid}


def vouched(facts: Facts) -> Outcome:
    """The kernel holds which guest it is, so that it does not rest on text that root can write."""
    workload = facts.subject
    facts.told("cgroup", workload.cgroup, f"{workload.cgroup}")
    facts.told(LABEL, workload.label, f"{workload.label}")
    found = identify(workload)
    if found.kernel:
        return holds(f"the kernel holds who it is: {' and '.join(found.kernel)}", *found.kernel)
    if found.name or found.uuid:
        said = " ".join(word for word in (found.name, found.uuid) if word)
        return broken(f"only text that it or root can write says who it is ({said})", f"cgroup {workload.cgroup}")
    return broken(
        "nothing says who it is: neither label, nor cgroup, nor its command line", f"cgroup {workload.cgroup}"
    )


def executable(facts: Facts) -> Outcome:
    """The program that runs is the one that is installed."""
    exe = facts.told("exe", facts.subject.exe, f"{facts.subject.exe}")
    if exe.endswith(" (deleted)"):
        return broken(f"it runs a program that was replaced or deleted since: {exe}: restart it", exe)
    return holds(f"it runs {exe}", exe)


def confined(facts: Facts) -> Outcome:
    """A security module confines it."""
    label = facts.told(LABEL, facts.subject.label, facts.subject.label or "nothing: no security module answers")
    name, mode = _parted(label)
    if not label:
        return broken("no security module confines it: neither SELinux nor AppArmor answers", "no label")
    if name == "unconfined" or mode == "unconfined" or _type(label) in UNCONFINED_TYPES:
        return broken(f"its label confines nothing: {label}", label)
    if mode and mode not in ENFORCED:
        return broken(f"its profile is not enforced: {label}", label)
    return holds(f"it is confined as {label}", label)


def profile(facts: Facts) -> Outcome:
    """A guest's AppArmor profile is the one that was made for it."""
    workload = facts.subject
    label = facts.told(LABEL, workload.label, f"{workload.label}")
    name, mode = _parted(label)
    if _type(label) or not label or name == "unconfined":
        return inapplicable("no AppArmor profile is on it")
    uuid = kernel_uuid(workload)
    if uuid is None:
        return broken(f"its profile is not the one that libvirt makes for a guest: {label}", label)
    if mode not in ENFORCED:
        return inapplicable("its profile is not enforced, which another rule says")
    return holds(f"its profile was made for guest {uuid}", label)


def guest_type(facts: Facts) -> Outcome:
    """A guest's SELinux type is one of sVirt's."""
    label = facts.told(LABEL, facts.subject.label, f"{facts.subject.label}")
    found = _type(label)
    if found is None or found in UNCONFINED_TYPES:
        return inapplicable("it has no SELinux type that confines")
    if found in facts.terms.accepts:
        return holds(f"its type is {found}", label)
    return broken(f"its type is {found}; expected: {' or '.join(facts.terms.accepts)}", label)


def categories(facts: Facts) -> Outcome:
    """Two categories of SELinux that no other workload of the host has."""
    label = facts.told(LABEL, facts.subject.label, f"{facts.subject.label}")
    if _type(label) is None:
        return inapplicable("it has no SELinux label")
    own = _categories(label)
    if len(own) != CATEGORIES:
        return broken(f"its level {_level(label) or 'has none'} does not name two categories of its own", label)
    same = facts.bearers.get(own, 0)
    if same > 1:
        return broken(f"{same} workloads have the categories {_level(label)}: they may touch each other's files", label)
    return holds(f"nobody else has its categories ({_level(label)})", label)


def bearers(posture: ReportedPosture) -> Mapping[frozenset[str], int]:
    """How many workloads have each set of SELinux categories."""
    return Counter(_categories(other.label or "") for other in posture.workloads)


def domain(facts: Facts) -> Outcome:
    """SELinux denies what its domain may not do, instead of only logging it."""
    label = facts.told(LABEL, facts.subject.label, f"{facts.subject.label}")
    found = _type(label)
    if found is None:
        return inapplicable("it has no SELinux label")
    said = {None: None, True: "permissive", False: "not permissive"}[facts.subject.permissive]
    facts.told(LABEL, said, f"{label}, {said}")
    if facts.subject.permissive:
        return broken(
            f"its domain {found} is permissive: SELinux logs and denies nothing, though it is enforcing", label
        )
    return holds(f"its domain {found} is not permissive", label)


def _parted(label: str) -> tuple[str, str]:
    found = MODE.fullmatch(label)
    return (found[1], found[2] or "") if found else (label, "")


def _type(label: str) -> str | None:
    """The type of user:role:type:level."""
    parts = label.split(":")
    return parts[2] if len(parts) > CATEGORIES and parts[2].endswith("_t") else None


def _level(label: str) -> str:
    return ":".join(label.split(":")[3:])


def _categories(label: str) -> frozenset[str]:
    """The categories of its level; a range like c0.c1023 is one name here, and so never two."""
    _, _, named = _level(label).partition(":")
    return frozenset(named.split(",")) - {""}


EVALUATORS: Mapping[str, Evaluator] = {
    "AA-002": profile,
    "LXC-004": confined,
    "QMP-013": executable,
    "QMP-014": agreement,
    "QMP-016": confined,
    "QMP-017": vouched,
    "SEL-002": domain,
    "SEL-006": guest_type,
    "SEL-007": categories,
}
