"""What the kernel tells of a device's virtual functions: trust, spoof check, VLAN; RTM_GETLINK, linux/if_link.h.

Asks for one link at a time and sets nothing. Answers that are cut short or of another form count as none.
"""

from __future__ import annotations

import os
import socket
import struct
from typing import Dict, Iterator, List, Optional, Tuple

GET_LINK, NEW_LINK, ERROR = 18, 16, 2
REQUEST = 1
"""NLM_F_REQUEST."""
EXT_MASK, VF_LIST = 29, 22
"""IFLA_EXT_MASK, IFLA_VFINFO_LIST."""
VF_INFO, WITHOUT_STATISTICS = 1, 8
"""RTEXT_FILTER_VF, RTEXT_FILTER_SKIP_STATS."""
KIND = 0x3FFF
"""Without NLA_F_NESTED and NLA_F_NET_BYTEORDER."""
VLAN, SPOOF_CHECK, TRUST = 2, 4, 9
"""IFLA_VF_VLAN, IFLA_VF_SPOOFCHK, IFLA_VF_TRUST; each begins with the number of the function."""
UNSAID = 0xFFFFFFFF
"""What the kernel says where a driver does not know such a setting."""
HEADER, LINK, ATTRIBUTE = struct.Struct("=IHHII"), struct.Struct("=BxHiII"), struct.Struct("=HH")
PAIR = struct.Struct("=II")
MAX_ANSWER = 256 * 1024
"""Bytes of an answer; each function takes some 200."""
PATIENCE = 2.0


def virtual_functions(index: int) -> Optional[str]:
    """One line for each virtual function of the link of this index: `vf 0 trust off spoofcheck on vlan 0`.

    None where the kernel does not answer.
    """
    attribute = ATTRIBUTE.pack(ATTRIBUTE.size + 4, EXT_MASK) + struct.pack("=I", VF_INFO | WITHOUT_STATISTICS)
    body = LINK.pack(socket.AF_UNSPEC, 0, index, 0, 0) + attribute
    request = HEADER.pack(HEADER.size + len(body), GET_LINK, REQUEST, 1, 0) + body
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as kernel:
            kernel.settimeout(PATIENCE)
            kernel.send(request)
            return told(kernel.recv(MAX_ANSWER))
    except OSError:
        return None


def told(answer: bytes) -> Optional[str]:
    """The lines of an answer; None where it is an error, cut short, or of another kind."""
    if len(answer) < HEADER.size + LINK.size:
        return None
    size, kind, _, _, _ = HEADER.unpack_from(answer)
    if kind != NEW_LINK or size != len(answer):
        return None
    lines: List[str] = []
    try:
        for number, functions in attributes(answer[HEADER.size + LINK.size :]):
            if number == VF_LIST:
                lines += [_line(dict(attributes(one))) for _, one in attributes(functions)]
    except ValueError:
        return None
    return "".join(lines)


def attributes(raw: bytes) -> Iterator[Tuple[int, bytes]]:
    """The attributes one behind the other, each padded to four bytes.

    Raises:
        ValueError: one is longer than what is there, or has no room for its own header.
    """
    while len(raw) >= ATTRIBUTE.size:
        size, kind = ATTRIBUTE.unpack_from(raw)
        if not ATTRIBUTE.size <= size <= len(raw):
            raise ValueError(size)
        yield kind & KIND, raw[ATTRIBUTE.size : size]
        raw = raw[size + -size % 4 :]


def _line(found: Dict[int, bytes]) -> str:
    number = _setting(found, VLAN)[0]
    parts = [f"vf {number}"]
    for name, kind in (("trust", TRUST), ("spoofcheck", SPOOF_CHECK)):
        value = _setting(found, kind)[1]
        parts.append(f"{name} {'unsaid' if value == UNSAID else 'on' if value else 'off'}")
    return " ".join((*parts, f"vlan {_setting(found, VLAN)[1]}")) + "\n"


def _setting(found: Dict[int, bytes], kind: int) -> Tuple[int, int]:
    """The number of the function, and the value of one of its settings."""
    raw = found.get(kind, b"")
    if len(raw) < PAIR.size:
        return (PAIR.unpack_from(found[VLAN])[0] if len(found.get(VLAN, b"")) >= PAIR.size else 0), UNSAID
    number, value = PAIR.unpack_from(raw)
    return number, value


def link_index(name: str) -> Optional[int]:
    """The index of a link in this network namespace."""
    try:
        return socket.if_nametoindex(os.fsdecode(os.fsencode(name)))
    except (OSError, ValueError):
        return None
