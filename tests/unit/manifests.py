"""Small manifests to break in one place each. Not a test."""

import copy
from collections.abc import Mapping
from typing import Any

from bartizan.formats.cbor import encode_cbor
from bartizan.model.cbor import Tagged

SHA256 = [1, bytes(range(32))]
UUID = bytes(range(16))
MEASUREMENT: dict[int, Any] = {1: {2: [SHA256]}}
ENVIRONMENT: dict[int, Any] = {0: {1: "ACME", 2: "RoadRunner"}}
COMID: dict[int, Any] = {1: {0: "a-comid"}, 4: {0: [[ENVIRONMENT, [MEASUREMENT]]]}}
COSWID: dict[int, Any] = {
    0: "a-coswid",
    1: "software",
    2: {31: "ACME", 33: 1},
    6: {17: {24: "cat", 23: "/usr/bin", 7: SHA256}},
    12: 3,
}
VALIDITY = {0: Tagged(1, 1000), 1: Tagged(1, 2000)}
TAG_LIST: dict[int, Any] = {0: {0: "a-list"}, 1: [{0: "a-comid"}], 2: VALIDITY}
CORIM: dict[int, Any] = {0: "a-corim", 1: [Tagged(506, encode_cbor(COMID))]}


def with_changes(base: Mapping[int, Any], changes: Mapping[tuple[int, ...], Any]) -> dict[int, Any]:
    """A copy with members set along paths of keys and indices; the value `...` removes one."""
    found: Any = copy.deepcopy(dict(base))
    for path, value in changes.items():
        holder = found
        for step in path[:-1]:
            holder = holder[step]
        if value is ...:
            del holder[path[-1]]
        else:
            holder[path[-1]] = value
    result: dict[int, Any] = found
    return result


def comid_with(values: Mapping[int, Any] | None = None, **parts: object) -> bytes:
    """A CoMID with one reference triple of these values, environment and key."""
    measurement: dict[int, object] = {1: dict(MEASUREMENT[1] if values is None else values)}
    if "key" in parts:
        measurement[0] = parts["key"]
    if "authorized" in parts:
        measurement[2] = parts["authorized"]
    return encode_cbor({1: {0: "a"}, 4: {0: [[parts.get("environment", ENVIRONMENT), [measurement]]]}})


def corim_of(*tags: Tagged, **members: object) -> bytes:
    """An unsigned CoRIM of some tags; members by their names."""
    numbers = {"id": 0, "dependents": 2, "profile": 3, "validity": 4, "entities": 5}
    base: dict[int, Any] = {0: "a-corim", 1: list(tags)}
    return encode_cbor(Tagged(501, base | {numbers[name]: value for name, value in members.items()}))


def comid_tag(comid: Mapping[int, Any]) -> Tagged:
    return Tagged(506, encode_cbor(comid))


def coswid_tag(coswid: Mapping[int, Any]) -> Tagged:
    return Tagged(505, encode_cbor(coswid))
