"""The posture document, version 2: canonical JSON of what an agent read. It proves nothing and judges nothing.

Written by `bartizan.collect.posture`; the byte form is unique, since quotes are bound to its hash.
"""

import json
from collections.abc import Iterable
from itertools import pairwise
from typing import Annotated, Literal, TypeVar

import msgspec

from bartizan.errors import DecodeError
from bartizan.formats.strict import json_value
from bartizan.model.posture import (
    Listing,
    MalformedPosture,
    Node,
    ReadError,
    Reading,
    ReportedPosture,
    Shared,
    Told,
    Workload,
)

WHAT = "posture document"
MAX_DOCUMENT = 16 * 1024 * 1024
"""Bytes; a host with a thousand virtual machines needs under 1 MiB."""
MAX_READINGS = 16384
"""Files, folders or nodes; the collectors keep some hundred, and 256 for each huge page mount."""
MAX_TEXT = 1024 * 1024
"""Characters of one file: the collectors' 256 KiB, each byte at most four characters as an escape."""
MAX_NAMES = 4096
MAX_WORKLOADS = 2048

Path = Annotated[str, msgspec.Meta(min_length=1, max_length=16384, pattern=r"^/")]
Short = Annotated[str, msgspec.Meta(max_length=1024)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]
Mode = Annotated[int, msgspec.Meta(ge=0, le=0o7777)]
LongText = Annotated[str, msgspec.Meta(max_length=16384)]
Some = msgspec.Meta(max_length=64)
"""Entries of one of a workload's lists: the collectors keep that many."""
Texts = Annotated[tuple[LongText, ...], Some]
Mask = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{16}$")]
Error = Literal["absent", "denied", "too long", "failed"]


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    path: Path
    value: Annotated[str, msgspec.Meta(max_length=MAX_TEXT)] | None
    error: Error | None


class _Folder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    path: Path
    names: Annotated[tuple[Short, ...], msgspec.Meta(max_length=MAX_NAMES)] | None
    error: Error | None


class _Node(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    path: Path
    kind: Literal["file", "folder", "socket", "other"]
    mode: Mode
    uid: Count
    gid: Count


class _Told(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Short
    uuid: Short | None


class _Shared(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    path: Path
    bytes: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    mode: Mode | None
    uid: Count | None
    gid: Count | None


class _Workload(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pid: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
    kind: Literal["vm", "container", "switch"]
    comm: Short
    name: Short | None
    uuid: Short | None
    libvirt: _Told | None
    options: Texts | None
    exe: LongText | None
    uids: Annotated[tuple[Count, ...], msgspec.Meta(max_length=64)] | None
    uid_map: Annotated[tuple[Annotated[tuple[Count, ...], msgspec.Meta(max_length=3)], ...], Some] | None
    label: LongText | None
    permissive: bool | None
    threads: Count | None
    seccomp: Count | None
    filters: Count | None
    no_new_privs: Count | None
    cap_eff: Mask | None
    cap_permitted: Mask | None
    cap_bounding: Mask | None
    private: Texts | None
    cgroup: LongText | None
    devices: Texts | None
    iommu_groups: Texts | None
    images: Texts | None
    control: Texts | None
    shared: Annotated[tuple[_Shared, ...], Some] | None
    ksm: Literal["no", "mergeable", "merging"] | None
    core_cookies: Annotated[tuple[Mask, ...], Some] | None = None


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: Literal[2]
    privileged: bool
    files: Annotated[tuple[_File, ...], msgspec.Meta(max_length=MAX_READINGS)]
    folders: Annotated[tuple[_Folder, ...], msgspec.Meta(max_length=MAX_READINGS)]
    nodes: Annotated[tuple[_Node, ...], msgspec.Meta(max_length=MAX_READINGS)]
    workloads: Annotated[tuple[_Workload, ...], msgspec.Meta(max_length=MAX_WORKLOADS)]


def decode_posture(raw: bytes) -> ReportedPosture:
    """One posture document.

    Raises:
        DecodeError: another form or version, a path told twice or out of order, a value beside its error, or bytes
            that are not the canonical ones.
    """
    if len(raw) > MAX_DOCUMENT:
        raise DecodeError(WHAT, 0, f"{len(raw)} bytes are over the limit of {MAX_DOCUMENT}")
    value = json_value(raw, WHAT)
    try:
        document = msgspec.convert(value, _Document, strict=True)
    except msgspec.ValidationError as error:
        raise DecodeError(WHAT, 0, str(error)) from error
    if json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode() != raw:
        raise DecodeError(WHAT, 0, "not in the canonical form: sorted keys, no white space, ASCII")
    _in_order(file.path for file in document.files)
    _in_order(folder.path for folder in document.folders)
    _in_order(node.path for node in document.nodes)
    _in_order(workload.pid for workload in document.workloads)
    return ReportedPosture(
        privileged=document.privileged,
        files={file.path: _reading(file) for file in document.files},
        folders={folder.path: _listing(folder) for folder in document.folders},
        nodes={node.path: Node(**msgspec.structs.asdict(node)) for node in document.nodes},
        workloads=tuple(_workload(row) for row in document.workloads),
    )


def read_posture(raw: bytes | None) -> ReportedPosture | MalformedPosture | None:
    """The posture document that came with evidence; one that is malformed is told and refuses nothing."""
    if raw is None:
        return None
    try:
        return decode_posture(raw)
    except DecodeError as error:
        return MalformedPosture(why=error.why)


Key = TypeVar("Key", str, int)


def _in_order(keys: Iterable[Key]) -> None:
    found = list(keys)
    if any(not first < second for first, second in pairwise(found)):
        raise DecodeError(WHAT, 0, "a path or process stands twice, or out of order")


def _reading(file: _File) -> Reading:
    _either(file.path, has_value=file.value is not None, error=file.error)
    return Reading(path=file.path, value=file.value, error=ReadError(file.error) if file.error else None)


def _listing(folder: _Folder) -> Listing:
    _either(folder.path, has_value=folder.names is not None, error=folder.error)
    return Listing(path=folder.path, names=folder.names, error=ReadError(folder.error) if folder.error else None)


def _either(path: str, *, has_value: bool, error: str | None) -> None:
    if has_value == (error is not None):
        raise DecodeError(WHAT, 0, f"{path[:200]!a}: either a value or an error expected")


def _workload(row: _Workload) -> Workload:
    told = msgspec.structs.asdict(row)
    shared = None if row.shared is None else tuple(Shared(**msgspec.structs.asdict(one)) for one in row.shared)
    libvirt = None if row.libvirt is None else Told(**msgspec.structs.asdict(row.libvirt))
    names = {"untrusted_name": told.pop("name"), "untrusted_uuid": told.pop("uuid")}
    return Workload(**(told | names | {"shared": shared, "libvirt": libvirt}))
