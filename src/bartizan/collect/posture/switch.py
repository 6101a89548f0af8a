"""Open vSwitch's own settings, as its database tells them over its socket (RFC 7047): nothing is written to it.

Kept are the settings of DPDK and vhost-user and the kinds of vhost-user ports; of addresses and keys nothing.
"""

from __future__ import annotations

import json
import socket
from typing import Dict, Optional, Tuple

from bartizan.collect.posture.elsewhere import other_roots
from bartizan.collect.posture.host import ERRORS, FAILED, MACHINE, Host, Reading

SOCKET = "/run/openvswitch/db.sock"
SWITCH = "ovs-vswitchd"
KEPT = ("dpdk-init", "dpdk-extra", "dpdk-socket-mem", "vhost-iommu-support", "userspace-tso-enable", "vhost-sock-dir")
"""Keys of other_config that are kept; ovs-vswitchd.conf.db(5)."""
PORTS = ("dpdkvhostuser", "dpdkvhostuserclient")
MAX_ANSWER = 1024 * 1024
"""Characters; a row of a port has some 60."""
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
    """Keep what each running Open vSwitch tells, in whatever file tree its socket lies.

    Below another root than this machine's a file stands in the socket's place, with the lines of its answer.
    """
    for path in (f"{root}{SOCKET}" for root in ("", *other_roots(host, (SWITCH,)))):
        if host.glance_node(path) is not None:
            host.files[path] = asked(path) if host.root == MACHINE else host.glance(path)


def asked(path: str) -> Reading:
    """What the database behind a socket tells; a reading without a value where it does not."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as database:
            database.settimeout(PATIENCE)
            database.connect(path)
            database.sendall(json.dumps(QUESTION).encode("ascii"))
            return Reading(path, _answer(database))
    except OSError as error:
        return Reading(path, None, ERRORS.get(error.errno or 0, FAILED))
    except (ValueError, RecursionError):
        return Reading(path, None, FAILED)


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
        while document is not None:
            if document.get("id") == 0:
                return told(document)
            text = text[end:]
            document, end = _first(decoder, text)
    raise ValueError("no answer")


def _first(decoder: json.JSONDecoder, text: str) -> Tuple[Optional[Dict[str, object]], int]:
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
        switches, *ports = [part["rows"] for part in document["result"]]  # type: ignore[attr-defined]
        settings = [pair for row in switches for pair in row["other_config"][1] if pair[0] in KEPT]
        lines = [f"other_config {key} {value}" for key, value in settings]
        lines += [f"port {row['type']} {row['name']}" for rows in ports for row in rows]
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise ValueError("not an answer of Open vSwitch's database") from error
    clean = (line.replace("\n", " ")[:256] for line in sorted(lines)[:MAX_LINES])
    return "".join(f"{line}\n" for line in clean)
