"""libvirt's settings for QEMU. A setting that is not given counts with libvirt's default (src/qemu/qemu.conf.in)."""

import re
from collections.abc import Mapping
from functools import partial

from bartizan.appraise.posture.facts import Evaluator, Facts, Outcome, broken, holds, inapplicable, unknown
from bartizan.formats.libvirt_conf import Value, parse_libvirt_conf

PLACE = "/etc/libvirt/qemu.conf"
ELSEWHERE = re.compile(rf"/proc/[0-9]+/root{PLACE}")
"""The same file as a daemon in a container sees it."""
NO_LIBVIRT = "libvirt's QEMU driver is not configured on this machine"
ROOT = frozenset({"root", "0", "+0"})
RAW_DEVICES = ("/dev/mem", "/dev/kmem", "/dev/port", "/dev/vfio", "/dev/infiniband", "/dev/sd", "/dev/nvme", "/dev/tpm")


def settings(facts: Facts) -> dict[str, Value] | None:
    """What the configuration of the daemon that runs sets, in a container before the host's; None when there is none.

    Raises:
        UnreadError: one is there and cannot be read.
    """
    for place in (*filter(ELSEWHERE.fullmatch, facts.posture.files), PLACE):
        text = facts.maybe(place)
        if text is not None:
            return dict(parse_libvirt_conf(text))
    return None


def _compared(facts: Facts, *, name: str, default: str) -> Outcome:
    found = settings(facts)
    if found is None:
        return inapplicable(NO_LIBVIRT)
    value = found.get(name, default)
    said = f"{name} = {value}" if name in found else f"{name} is not set, and libvirt's default is {default}"
    wanted = " or ".join(facts.terms.accepts)
    return holds(said) if value in facts.terms.accepts else broken(f"{said}; expected: {wanted}")


def security_driver(facts: Facts) -> Outcome:
    """Guests are confined by libvirt through SELinux or AppArmor, whichever the host has."""
    found = settings(facts)
    if found is None:
        return inapplicable(NO_LIBVIRT)
    value = found.get("security_driver", "")
    if value in {"none", ()} or (isinstance(value, tuple) and "none" in value):
        return broken("security_driver is none: libvirt confines no guest, whatever the host's SELinux or AppArmor do")
    return holds(f"security_driver is {_shown(value) or 'not set: libvirt takes what the host has'}")


def user(facts: Facts) -> Outcome:
    """QEMU does not run as root."""
    found = settings(facts)
    if found is None:
        return inapplicable(NO_LIBVIRT)
    value = found.get("user")
    if value is None:
        return _running_as(facts)
    return broken(f"user is {value}: guests run as root") if value in ROOT else holds(f"guests run as {_shown(value)}")


def _running_as(facts: Facts) -> Outcome:
    """Where libvirt's build decides, running guests tell."""
    users = set(facts.users("qemu"))
    if not users or None in users:
        return unknown("user is not set, so libvirt's build decides, and no running guest tells what it decided")
    if 0 in users:
        return broken("user is not set, and a running guest's QEMU is root")
    return holds(f"user is not set, and running guests are user {', '.join(str(user) for user in users)}")


def namespaces(facts: Facts) -> Outcome:
    """Each guest's QEMU has a /dev of its own."""
    found = settings(facts)
    if found is None:
        return inapplicable(NO_LIBVIRT)
    value = found.get("namespaces", ("mount",))
    if "mount" in value:
        return holds("each QEMU has a mount namespace of its own")
    return broken("namespaces does not hold mount: every QEMU sees the host's /dev")


def devices(facts: Facts) -> Outcome:
    """The device controller fences guests, and lets no raw device through to all of them."""
    found = settings(facts)
    if found is None:
        return inapplicable(NO_LIBVIRT)
    controllers = found.get("cgroup_controllers", ("devices",))
    if "devices" not in controllers:
        return broken("cgroup_controllers leaves out devices: nothing fences raw devices from a guest")
    raw = [device for device in found.get("cgroup_device_acl", ()) if device.startswith(RAW_DEVICES)]
    if raw:
        return broken(f"cgroup_device_acl lets every guest use {', '.join(raw)}")
    return holds("the device controller is used, and no raw device is open to all guests")


def _shown(value: Value) -> str:
    return value if isinstance(value, str) else ", ".join(value)


EVALUATORS: Mapping[str, Evaluator] = {
    "LVC-001": security_driver,
    "LVC-002": partial(_compared, name="security_default_confined", default="1"),
    "LVC-003": partial(_compared, name="security_require_confined", default="0"),
    "LVC-004": user,
    "LVC-005": partial(_compared, name="dynamic_ownership", default="1"),
    "LVC-006": partial(_compared, name="seccomp_sandbox", default="1"),
    "LVC-007": namespaces,
    "LVC-008": devices,
    "LVC-009": partial(_compared, name="relaxed_acs_check", default="0"),
    "LVC-010": partial(_compared, name="dump_guest_core", default="0"),
    "LVC-011": partial(_compared, name="migrate_tls_force", default="0"),
}
