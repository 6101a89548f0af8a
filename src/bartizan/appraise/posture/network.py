"""Network acceleration: drivers without isolation, huge pages, DPDK's folders, vhost-user sockets, Open vSwitch."""

import re
from collections.abc import Mapping

from bartizan.appraise.posture.facts import Evaluator, Facts, Outcome, broken, holds, inapplicable, unknown
from bartizan.model.posture import Node

DRIVERS = "/sys/bus/pci/drivers"
UNSAFE = ("igb_uio", "uio_pci_generic")
DEVICE = re.compile(r"[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")
RUNTIME = "/run/dpdk"
SOCKETS = "/proc/net/unix"
MOUNTS = "/proc/self/mounts"
FIRST_PROCESS = "/proc/1"
"""Visible unless /proc is mounted with hidepid."""
OTHERS = 0o007
OTHERS_WRITE = 0o002
OTHERS_READ_WRITE = 0o006


def unsafe_drivers(facts: Facts) -> Outcome:
    """No device is driven from user space without the IOMMU."""
    if facts.maybe_names(DRIVERS) is None:
        return inapplicable("this machine has no PCI bus")
    there = [driver for driver in UNSAFE if driver in facts.names(DRIVERS)]
    bound = [
        f"{name} ({driver})" for driver in there for name in facts.names(f"{DRIVERS}/{driver}") if DEVICE.match(name)
    ]
    if bound:
        return broken(f"devices are driven from user space without an IOMMU: {', '.join(bound)}")
    return holds("no device is bound to igb_uio or uio_pci_generic")


def huge_pages(facts: Facts) -> Outcome:
    """What lies in huge pages is open to its owner only."""
    points = [row.partition(" ")[2] for row in facts.text(MOUNTS).splitlines()]
    if not points:
        return inapplicable("no huge pages are mounted")
    nodes = [node for node in facts.posture.nodes.values() if _lies_in(node, points)]
    loose = [node for node in nodes if node.kind == "file" and node.mode & OTHERS_READ_WRITE]
    loose += [node for node in nodes if node.path in points and node.mode & OTHERS_WRITE]
    if loose:
        return broken(f"open to everybody: {_modes(facts, loose)}")
    return holds(f"huge pages at {', '.join(points)} are open to their owners only")


def _lies_in(node: Node, points: list[str]) -> bool:
    return any(node.path == point or node.path.startswith(f"{point}/") for point in points)


def runtime(facts: Facts) -> Outcome:
    """DPDK's runtime folders are closed to others."""
    names = facts.maybe_names(RUNTIME)
    if not names:
        return inapplicable(f"no DPDK process has made {RUNTIME}")
    nodes = [facts.node(f"{RUNTIME}/{name}") for name in names]
    loose = [node for node in nodes if node is not None and node.mode & OTHERS]
    if loose:
        return broken(f"open to everybody: {_modes(facts, loose)}")
    return holds(f"DPDK's runtime folders are closed to others: {', '.join(names)}")


def vhost_sockets(facts: Facts) -> Outcome:
    """Nobody but its user and group can connect to a vhost-user socket."""
    paths = facts.text(SOCKETS).splitlines()
    if not paths:
        return inapplicable("no vhost-user socket is open")
    nodes = [facts.node(path) for path in paths]
    loose = [node for node in nodes if node is not None and node.mode & OTHERS_WRITE]
    if loose:
        return broken(f"anybody may connect: {_modes(facts, loose)}")
    if None in nodes:
        return unknown(
            f"{nodes.count(None)} of {len(paths)} vhost-user sockets lie out of sight, in another mount namespace"
        )
    return holds(f"no vhost-user socket is open to others (looked at: {len(paths)})")


def switch_user(facts: Facts) -> Outcome:
    """Open vSwitch does not run as root."""
    if FIRST_PROCESS not in facts.posture.nodes:
        return unknown("processes of other users are hidden (hidepid): run as root to know")
    users = facts.users("ovs-vswitchd")
    if not users:
        return inapplicable("ovs-vswitchd does not run here")
    if None in users:
        return unknown("the user of ovs-vswitchd cannot be seen")
    return broken("ovs-vswitchd runs as root") if 0 in users else holds(f"ovs-vswitchd runs as user {users[0]}")


def _modes(facts: Facts, nodes: list[Node]) -> str:
    return ", ".join(f"{node.path} ({node.mode:04o})" for node in nodes if facts.node(node.path))


EVALUATORS: Mapping[str, Evaluator] = {
    "DPK-001": unsafe_drivers,
    "DPK-005": huge_pages,
    "DPK-008": runtime,
    "DPK-010": vhost_sockets,
    "DPK-014": switch_user,
}
