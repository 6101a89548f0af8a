"""Reference Values as a file: one canonical JSON document, so that its SHA-256 names exactly this set."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime

import msgspec

from bartizan.errors import DecodeError
from bartizan.formats.strict import hex_bytes, json_value
from bartizan.model.digest import PCR_COUNT, HashAlg
from bartizan.model.reference import Origin, ReferenceEvent, ReferenceFile, ReferenceSet, ReferenceState

FORMAT = "bartizan-reference-1"
MAX_FILE = 256 * 1024 * 1024
"""Bytes; 100,000 files need about 15 MiB."""
TIME = "%Y-%m-%dT%H:%M:%SZ"
FILE_DIGEST = re.compile(r"((?:verity:)?[a-z0-9][a-z0-9_-]{0,63}):((?:[0-9a-f]{2}){1,64})")
"""A file digest as the kernel labels it, an fs-verity digest included; 64 bytes are the longest hash."""


class _Event(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    pcr: int
    label: str
    digests: dict[str, str]
    provenance: str = ""


class _Origin(msgspec.Struct, forbid_unknown_fields=True):
    package: str
    version: str
    architecture: str
    repository: str
    signer: str


class _File(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    path: str
    digest: str
    origin: int | None = None
    changeable: bool = False


class _Document(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    format: str
    name: str
    source: str
    state: ReferenceState = ReferenceState.APPROVED
    valid_from: str | None = None
    valid_until: str | None = None
    origins: list[_Origin] = []
    events: list[_Event]
    files: list[_File]


def encode_reference(reference: ReferenceSet) -> bytes:
    """The canonical document of a set; its `digest` is not in it, but computed over it.

    Each origin stands once, and files name it by its number.
    """
    origins = sorted({file.origin for file in reference.files if file.origin is not None})
    numbers = {origin: number for number, origin in enumerate(origins)}
    document = _Document(
        format=FORMAT,
        name=reference.name,
        source=reference.source,
        state=reference.state,
        valid_from=_time_text(reference.valid_from),
        valid_until=_time_text(reference.valid_until),
        events=[
            _Event(
                pcr=event.pcr,
                label=event.label,
                digests={alg.label: digest.hex() for alg, digest in sorted(event.digests.items())},
                provenance=event.provenance,
            )
            for event in reference.events
        ],
        origins=[_Origin(**asdict(origin)) for origin in numbers],
        files=_file_rows(reference.files, numbers),
    )
    # Paths that are not UTF-8 hold lone surrogates, which only the standard library writes (escaped, so all is ASCII).
    return json.dumps(msgspec.to_builtins(document), ensure_ascii=True, indent=1).encode() + b"\n"


def _file_rows(files: Iterable[ReferenceFile], numbers: Mapping[Origin, int]) -> list[_File]:
    rows = ((file, -1 if file.origin is None else numbers[file.origin]) for file in files)
    return [
        _File(
            path=file.path.decode("utf-8", "surrogateescape"),
            digest=f"{file.alg}:{file.digest.hex()}",
            origin=None if number < 0 else number,
            changeable=file.changeable,
        )
        for file, number in sorted(
            rows, key=lambda row: (row[0].path, row[0].alg, row[0].digest, row[1], row[0].changeable)
        )
    ]


def decode_reference(raw: bytes) -> ReferenceSet:
    """A set from its document.

    Raises:
        DecodeError: not such a document, an unknown field or bank, a digest of the wrong length, or not the canonical
            document of its set.
    """
    if len(raw) > MAX_FILE:
        raise DecodeError("Reference Values", 0, f"{len(raw)} bytes are over the limit of {MAX_FILE}")
    try:
        document = msgspec.convert(json_value(raw, "Reference Values"), _Document, strict=True)
    except msgspec.ValidationError as error:
        raise DecodeError("Reference Values", 0, str(error)) from error
    if document.format != FORMAT:
        raise DecodeError("Reference Values", 0, f"format {FORMAT} expected, found {document.format[:40]!a}")
    origins = tuple(Origin(**msgspec.structs.asdict(row)) for row in document.origins)
    found = ReferenceSet(
        name=document.name,
        source=document.source,
        events=tuple(_event(row) for row in document.events),
        files=tuple(_file(row, origins) for row in document.files),
        digest=hashlib.sha256(raw).hexdigest(),
        state=document.state,
        valid_from=_time(document.valid_from, "valid_from"),
        valid_until=_time(document.valid_until, "valid_until"),
    )
    if encode_reference(found) != raw:
        raise DecodeError("Reference Values", 0, "not in canonical form: it must be as it was written, byte for byte")
    return found


def _time_text(moment: datetime | None) -> str | None:
    """A time in UTC, to the second; RFC 3339."""
    return moment.astimezone(UTC).strftime(TIME) if moment is not None else None


def _time(text: str | None, what: str) -> datetime | None:
    if text is None:
        return None
    try:
        return datetime.strptime(text, TIME).replace(tzinfo=UTC)
    except ValueError as error:
        raise DecodeError("Reference Values", 0, f"{what}: a time as 2026-01-31T23:59:59Z expected") from error


def _alg(label: str) -> HashAlg:
    try:
        return HashAlg.from_label(label)
    except KeyError as error:
        raise DecodeError("Reference Values", 0, f"{label[:40]!a} is not a hash algorithm") from error


def _digest(label: str, text: str, what: str) -> bytes:
    digest = hex_bytes(text, what)
    if len(digest) != _alg(label).size:
        raise DecodeError("Reference Values", 0, f"{what}: wrong length of {len(digest)} bytes for {label}")
    return digest


def _event(row: _Event) -> ReferenceEvent:
    if not 0 <= row.pcr < PCR_COUNT or not row.digests:
        raise DecodeError("Reference Values", 0, f"PCR 0 to {PCR_COUNT - 1} with digests expected, found {row.pcr}")
    what = f"event in PCR {row.pcr}"
    digests = {_alg(alg): _digest(alg, text, what) for alg, text in row.digests.items()}
    return ReferenceEvent(pcr=row.pcr, digests=digests, label=row.label, provenance=row.provenance)


def _file(row: _File, origins: tuple[Origin, ...]) -> ReferenceFile:
    what = f"file {row.path[:80]!a}"
    found = FILE_DIGEST.fullmatch(row.digest)
    if found is None:
        raise DecodeError("Reference Values", 0, f"{what}: algorithm:digest expected, found {row.digest[:80]!a}")
    alg, digest = found[1], bytes.fromhex(found[2])
    if len(digest) != _file_digest_size(alg, len(digest)):
        raise DecodeError("Reference Values", 0, f"{what}: wrong length of {len(digest)} bytes for {alg}")
    try:
        path = row.path.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise DecodeError("Reference Values", 0, f"path {row.path[:80]!a} cannot be a file's") from error
    if row.origin is not None and not 0 <= row.origin < len(origins):
        raise DecodeError("Reference Values", 0, f"{what}: there is no origin {row.origin}")
    origin = None if row.origin is None else origins[row.origin]
    return ReferenceFile(path=path, alg=alg, digest=digest, origin=origin, changeable=row.changeable)


def _file_digest_size(alg: str, otherwise: int) -> int:
    """Bytes of a file digest; kernels also name algorithms that are not known here."""
    try:
        return HashAlg.from_label(alg.removeprefix("verity:").replace("-", "_")).size
    except KeyError:
        return otherwise
