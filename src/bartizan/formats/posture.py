"""The posture document, version 1: canonical JSON of what an agent read. It proves nothing and judges nothing.

Written by `bartizan.collect.posture`; the byte form is unique, since quotes are bound to its hash.
"""

import json
from collections.abc import Iterable
from itertools import pairwise
from typing import Annotated, Literal, TypeVar

import msgspec

from bartizan.errors import DecodeError
from bartizan.formats.strict import json_value
from bartizan.model.posture import Listing, Node, ReadError, Reading, ReportedPosture, Workload

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
    mode: Annotated[int, msgspec.Meta(ge=0, le=0o7777)]
    uid: Count
    gid: Count


class _Workload(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pid: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
    kind: Literal["vm", "container", "switch"]
    comm: Short
    name: Short | None
    uuid: Short | None
    uid: Count | None
    label: Annotated[str, msgspec.Meta(max_length=MAX_TEXT)] | None
    seccomp: Count | None
    no_new_privs: Count | None
    cap_eff: Short | None
    private: Annotated[tuple[Short, ...], msgspec.Meta(max_length=16)] | None


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: Literal[1]
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
        workloads=tuple(Workload(**msgspec.structs.asdict(some)) for some in document.workloads),
    )


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
