"""Open vSwitch's own settings, as its database tells them over its socket (RFC 7047): nothing is written to it.

Kept are the settings of DPDK and vhost-user and the kinds of vhost-user ports; of addresses and keys nothing.
"""

from __future__ import annotations

import json
import socket
from typing import Dict, List, Optional

from bartizan.collect.posture.host import MACHINE, Host, Reading

SOCKET = "/run/openvswitch/db.sock"
KEPT = ("dpdk-init", "dpdk-extra", "dpdk-socket-mem", "vhost-iommu-support", "userspace-tso-enable", "vhost-sock-dir")
"""Keys of other_config that are kept; ovs-vswitchd.conf.db(5)."""
PORTS = ("dpdkvhostuser", "dpdkvhostuserclient")
MAX_ANSWER = 8 * 1024 * 1024
"""Bytes; a row of a port has some 60."""
MAX_LINES = 4096
PATIENCE = 3.0
QUESTION = {
    "method": "transact",
    "id": 0,
    "params": [
        "Open_vSwitch",
        {"op": "select", "table": "Open_vSwitch", "where": [], "columns": ["other_config"]},
        {"op": "select", "table": "Interface", "where": [["type", "==", PORTS[0]]], "columns": ["name", "type"]},
        {"op": "select", "table": "Interface", "where": [["type", "==", PORTS[1]]], "columns": ["name", "type"]},
    ],
}


def read(host: Host) -> None:
    """Keep what each running Open vSwitch tells, in whatever mount namespace its socket lies."""
    for place in places(host):
        node = host.node(f"{place}{SOCKET}")
        if node is None:
            continue
        if host.root != MACHINE:
            host.text(f"{place}{SOCKET}.json")
            continue
        path = f"{place}{SOCKET}"
        answer = _asked(path)
        host.files[path] = Reading(path, answer, None if answer is not None else "failed")


def places(host: Host) -> List[str]:
    """Where a switch's files lie: at the host's own root, and at those of switches in other mount namespaces."""
    return ["", *host.other_roots("ovs-vswitchd")]


def _asked(path: str) -> Optional[str]:
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as database:
            database.settimeout(PATIENCE)
            database.connect(path)
            database.sendall(json.dumps(QUESTION).encode("ascii"))
            return _answer(database)
    except (OSError, ValueError):
        return None


def _answer(database: socket.socket) -> str:
    """The first whole document that answers; the database may ask for a sign of life before.

    Raises:
        ValueError: it is too long, ends before it is whole, or is of another form.
    """
    decoder, text = json.JSONDecoder(), ""
    while len(text) <= MAX_ANSWER:
        part = database.recv(65536).decode("utf-8", "replace")
        if not part:
            break
        text += part
        document, end = _first(decoder, text)
        if document is not None and document.get("id") == 0:
            return told(document)
        text = text[end:]
    raise ValueError("no answer")


def _first(decoder: json.JSONDecoder, text: str) -> "tuple[Optional[Dict[str, object]], int]":
    try:
        document, end = decoder.raw_decode(text)
    except json.JSONDecodeError:
        return None, 0
    return (document if isinstance(document, dict) else {}), end


def told(document: Dict[str, object]) -> str:
    """One line for each setting, `other_config KEY VALUE`, and each port, `port TYPE NAME`.

    Raises:
        ValueError: not an answer of this form.
    """
    try:
        switches, *ports = [part["rows"] for part in document["result"]]  # type: ignore[index, attr-defined]
        settings = [pair for row in switches for pair in row["other_config"][1] if pair[0] in KEPT]
        lines = [f"other_config {key} {value}" for key, value in settings]
        lines += [f"port {row['type']} {row['name']}" for rows in ports for row in rows]
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise ValueError("not an answer of Open vSwitch's database") from error
    clean = (line.replace("\n", " ")[:256] for line in sorted(lines)[:MAX_LINES])
    return "".join(f"{line}\n" for line in clean)
