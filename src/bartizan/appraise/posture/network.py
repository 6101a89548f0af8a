"""Network acceleration: drivers without isolation, SR-IOV, huge pages, DPDK's folders, vhost-user, Open vSwitch."""

import re
from collections.abc import Mapping

from bartizan.appraise.posture.facts import (
    Evaluator,
    Facts,
    Outcome,
    UnreadError,
    broken,
    holds,
    inapplicable,
    unknown,
)
from bartizan.model.posture import Node

DRIVERS = "/sys/bus/pci/drivers"
UNSAFE = ("igb_uio", "uio_pci_generic")
DEVICE = re.compile(r"[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")
RUNTIME = "/run/dpdk"
SOCKETS = "/proc/net/unix"
MOUNTS = "/proc/self/mounts"
FIRST_PROCESS = "/proc/1"
"""Visible unless /proc is mounted with hidepid."""
LINKS = "/sys/class/net"
DATABASE = re.compile(r"(?:/proc/[0-9]+/root)?/run/openvswitch/db\.sock")
HIDDEN = "processes of other users are hidden (hidepid): run as root to know"
NO_DPDK = "no Open vSwitch here drives DPDK"
LOOSE, SETTLED = {("trust", "on"), ("spoofcheck", "off")}, {("trust", "off"), ("spoofcheck", "on")}
SHOWN = 8
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
        return unknown(HIDDEN)
    users = facts.users("ovs-vswitchd")
    if not users:
        return inapplicable("ovs-vswitchd does not run here")
    if None in users:
        return unknown("the user of ovs-vswitchd cannot be seen")
    return broken("ovs-vswitchd runs as root") if 0 in users else holds(f"ovs-vswitchd runs as user {users[0]}")


def virtual_functions(facts: Facts) -> Outcome:
    """No virtual function may change its own fences, or speak for another."""
    links = facts.names(LINKS)
    if not links:
        return inapplicable("no network device here has virtual functions")
    said = {link: facts.text(f"{LINKS}/{link}/virtual_functions") for link in links}
    rows = [(link, row.split(" ")) for link, text in said.items() for row in text.splitlines()]
    open_ones = [f"{link} {' '.join(row)}" for link, row in rows if LOOSE & set(_settings(row).items())]
    if open_ones:
        more = f" and {len(open_ones) - SHOWN} more" if len(open_ones) > SHOWN else ""
        return broken(f"virtual functions may do more than their own: {'; '.join(open_ones[:SHOWN])}{more}")
    unsaid = [link for link, text in said.items() if not text]
    unsaid += [f"{link} {' '.join(row[:2])}" for link, row in rows if not set(_settings(row).items()) >= SETTLED]
    if unsaid:
        return unknown(f"the driver does not tell whether these are checked: {', '.join(unsaid[:SHOWN])}")
    return holds(f"all {len(rows)} virtual functions are untrusted and checked for spoofing")


def _settings(row: list[str]) -> dict[str, str]:
    return dict(zip(row[::2], row[1::2], strict=False))


def vhost_clients(facts: Facts) -> Outcome:
    """The switch connects to sockets that QEMU made, rather than making its own."""
    lines = _switch(facts)
    if lines is None:
        return inapplicable(NO_DPDK)
    servers = [line.split(" ", 2)[2] for line in lines if line.startswith("port dpdkvhostuser ")]
    if servers:
        return broken(f"ports for which the switch itself makes the socket: {', '.join(servers[:SHOWN])}")
    return holds("no port makes the switch the server of a vhost-user socket")


def vhost_iommu(facts: Facts) -> Outcome:
    """The switch maps what a guest shares, not all of its memory."""
    lines = _switch(facts)
    if lines is None:
        return inapplicable(NO_DPDK)
    if not any(line.startswith("port dpdkvhostuser") for line in lines):
        return inapplicable("Open vSwitch has no vhost-user port")
    if "other_config vhost-iommu-support true" in lines:
        return holds("vhost-iommu-support is true: a guest with a virtual IOMMU shares only what it maps")
    return broken("vhost-iommu-support is not true: the switch maps all memory of every guest with a vhost-user port")


def _switch(facts: Facts) -> list[str] | None:
    """What the databases of Open vSwitch tell, None where none drives DPDK.

    Raises:
        UnreadError: one is there and does not tell, or nothing shows that none is there.
    """
    if FIRST_PROCESS not in facts.posture.nodes:
        raise UnreadError(HIDDEN)
    places = sorted(path for path in facts.posture.files if DATABASE.fullmatch(path))
    if not places and facts.users("ovs-vswitchd"):
        raise UnreadError("ovs-vswitchd runs, but its database was not found at run/openvswitch/db.sock")
    lines = [line for path in places for line in facts.text(path).splitlines()]
    return lines if any(line.startswith(("other_config dpdk-init ", "port dpdkvhost")) for line in lines) else None


def _modes(facts: Facts, nodes: list[Node]) -> str:
    return ", ".join(f"{node.path} ({node.mode:04o})" for node in nodes if facts.node(node.path))


EVALUATORS: Mapping[str, Evaluator] = {
    "DPK-001": unsafe_drivers,
    "DPK-005": huge_pages,
    "DPK-008": runtime,
    "DPK-010": vhost_sockets,
    "DPK-011": vhost_clients,
    "DPK-012": vhost_iommu,
    "DPK-014": switch_user,
    "DPK-015": virtual_functions,
}
