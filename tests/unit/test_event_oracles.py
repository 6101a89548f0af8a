"""Event by event, our decoding of real logs agrees with what others published about the same logs."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from bartizan.formats.device_path_text import device_path_text
from bartizan.formats.event_data import decode_event_data
from bartizan.formats.event_text import describe
from bartizan.formats.tcg_log import decode_boot_log
from bartizan.model.boot_log import NO_PCR, Event, type_label
from bartizan.model.event_data import BootText, FirmwareBlob, ImageLoad, PartitionTable, Text
from bartizan.model.uefi import (
    Authority,
    BootOrder,
    DevicePath,
    Flag,
    LoadOption,
    Opaque,
    SignatureDatabase,
    VariableEvent,
    guid_text,
)

LOGS = Path(__file__).parents[1] / "vectors" / "boot_logs"
ORACLES = sorted((LOGS / "oracles").glob("*.json"))
Row = dict[str, Any]


def sha256(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


def path_bytes(path: DevicePath) -> str:
    body = b"".join(bytes([n.type, n.subtype]) + (len(n.data) + 4).to_bytes(2, "little") + n.data for n in path.nodes)
    return (body + b"\x7f\xff\x04\x00").hex() if path.nodes else ""


def steps(text: str) -> list[str]:
    """A device path's text with numbers in one form, so that 65535 and 0xFFFF are the same."""
    return [
        re.sub(r"\b(?:0[xX][0-9a-fA-F]+|\d+)\b", lambda m: str(int(m.group(), 0)), step) for step in text.split("/")
    ]


def same_path(path: DevicePath, theirs: str, *, behind: bytes = b"") -> bool:
    """`behind`: bytes after the path, which `tpm2_eventlog` takes for a part of it."""
    if re.fullmatch(r"[0-9a-f]*", theirs):
        return theirs in (path_bytes(path), path_bytes(path) + behind.hex())
    plain = re.sub(r"\bFile\(([^)]*)\)", r"\1", theirs).replace("FvVol(", "Fv(")
    return steps(device_path_text(path).lower()) == steps(plain.lower())


def check_flag(value: object, theirs: Row) -> None:
    on = isinstance(value, Flag) and value.value == 1
    assert on is theirs["flag"]


def check_lists(value: object, theirs: Row) -> None:
    assert isinstance(value, SignatureDatabase)
    ours = [
        [guid_text(each.signature_type), [[guid_text(owner), sha256(data)] for owner, data in each.entries]]
        for each in value.lists
    ]
    assert ours == theirs["lists"]


def check_authority(value: object, theirs: Row) -> None:
    assert isinstance(value, Authority)
    if value.owner is not None:
        assert [guid_text(value.owner), sha256(value.data)] == theirs["authority"]


def check_order(value: object, theirs: Row) -> None:
    assert isinstance(value, BootOrder)
    assert [f"Boot{number:04x}" for number in value.order] == theirs["order"]


def check_option(value: object, theirs: Row) -> None:
    assert isinstance(value, LoadOption)
    description, enabled, path = theirs["option"]
    assert (value.description, value.active) == (description, enabled)
    assert path_matches(value.paths, path)


def path_matches(paths: tuple[DevicePath, ...], theirs: str) -> bool:
    if re.fullmatch(r"[0-9a-f]*", theirs):
        return theirs.startswith("".join(path_bytes(path) for path in paths))
    return same_path(paths[0], theirs)


VALUES: Mapping[str, Callable[[object, Row], None]] = {
    "flag": check_flag,
    "lists": check_lists,
    "authority": check_authority,
    "order": check_order,
    "option": check_option,
}


def check_variable(found: object, row: Row) -> None:
    theirs = row["variable"]
    assert isinstance(found, VariableEvent)
    assert guid_text(found.variable.vendor) == theirs["vendor"]
    assert found.variable.name == theirs["name"]
    assert len(found.variable.data) == theirs["size"]
    for key in VALUES.keys() & theirs.keys():
        VALUES[key](found.value, theirs)


def check_image(found: object, row: Row) -> None:
    assert isinstance(found, ImageLoad)
    *numbers, path = row["image"]
    assert [found.location, found.length, found.link_address] == numbers
    assert same_path(found.path, path, behind=found.trailing)


def check_blob(found: object, row: Row) -> None:
    assert isinstance(found, FirmwareBlob)
    assert [found.base, found.length] == row["blob"]


def check_gpt(found: object, row: Row) -> None:
    assert isinstance(found, PartitionTable)
    theirs = row["gpt"]
    assert guid_text(found.disk) == theirs["disk"]
    assert [found.first_usable, found.last_usable] == theirs["usable"]
    assert [[guid_text(p.kind), guid_text(p.unique), p.first, p.last] for p in found.partitions] == theirs["partitions"]
    for partition, name in zip(found.partitions, theirs["names"], strict=True):
        assert name in (partition.name, None)


def check_text(found: object, row: Row) -> None:
    assert isinstance(found, Text | BootText)
    assert row["text"].replace("\0", "").endswith(found.text)  # UTF-16 is printed there byte by byte


CHECKS: Mapping[str, Callable[[object, Row], None]] = {
    "variable": check_variable,
    "image": check_image,
    "blob": check_blob,
    "gpt": check_gpt,
    "text": check_text,
}


def check_event(event: Event, row: Row) -> None:
    assert event.pcr == row["pcr"]
    assert len(event.data) == row["size"]
    if row["type"].startswith("EV_"):
        assert type_label(event.reported_type) == row["type"]
    for key in CHECKS.keys() & row.keys():
        CHECKS[key](decode_event_data(event), row)


@pytest.mark.parametrize("oracle", ORACLES, ids=lambda path: path.stem)
def test_our_decoding_agrees_with_the_published_one(oracle: Path) -> None:
    table = json.loads(oracle.read_text(encoding="utf-8"))
    log = decode_boot_log((LOGS / table["log"]).read_bytes())

    rows = table["events"][1:]  # the header is no event of ours
    for event, row in zip(log.events, rows, strict=False):
        check_event(event, row)
    assert not rows[len(log.events) :]
    assert all(event.pcr == NO_PCR for event in log.events[len(rows) :])  # tpm2_eventlog stops at one of these


@pytest.mark.parametrize("oracle", ORACLES, ids=lambda path: path.stem)
def test_next_to_nothing_in_a_real_log_stays_opaque(oracle: Path) -> None:
    table = json.loads(oracle.read_text(encoding="utf-8"))
    events = decode_boot_log((LOGS / table["log"]).read_bytes()).events

    opaque = {type_label(event.reported_type) for event in events if isinstance(decode_event_data(event), Opaque)}
    assert opaque <= {"EV_COMPACT_HASH"}
    assert all(describe(decode_event_data(event)).isprintable() for event in events)


def test_there_are_published_decodings_for_several_machines() -> None:
    assert len(ORACLES) == 11
