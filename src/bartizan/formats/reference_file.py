"""Reference Values as a file: one canonical JSON document, so that its SHA-256 names exactly this set."""

import hashlib
import json
import os

import msgspec

from bartizan.errors import DecodeError
from bartizan.formats.strict import hex_bytes, json_value
from bartizan.model.digest import PCR_COUNT, HashAlg
from bartizan.model.reference import ReferenceEvent, ReferenceFile, ReferenceSet

FORMAT = "bartizan-reference-1"
MAX_FILE = 256 * 1024 * 1024
"""Bytes; 100,000 files need about 15 MiB."""


class _Event(msgspec.Struct, forbid_unknown_fields=True):
    pcr: int
    label: str
    digests: dict[str, str]


class _File(msgspec.Struct, forbid_unknown_fields=True):
    path: str
    digest: str


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    format: str
    name: str
    source: str
    events: list[_Event]
    files: list[_File]


def encode_reference(reference: ReferenceSet) -> bytes:
    """The canonical document of a set; its `digest` is not in it, but computed over it."""
    document = _Document(
        format=FORMAT,
        name=reference.name,
        source=reference.source,
        events=[
            _Event(
                pcr=event.pcr,
                label=event.label,
                digests={alg.label: digest.hex() for alg, digest in sorted(event.digests.items())},
            )
            for event in reference.events
        ],
        files=[
            _File(path=os.fsdecode(file.path), digest=f"{file.alg}:{file.digest.hex()}")
            for file in sorted(reference.files, key=lambda file: (file.path, file.alg, file.digest))
        ],
    )
    # Paths that are not UTF-8 hold lone surrogates, which only the standard library writes (escaped, so all is ASCII).
    return json.dumps(msgspec.to_builtins(document), ensure_ascii=True, indent=1).encode() + b"\n"


def decode_reference(raw: bytes) -> ReferenceSet:
    """A set from its document.

    Raises:
        DecodeError: not such a document, an unknown field, bank or algorithm, or a digest of the wrong length.
    """
    if len(raw) > MAX_FILE:
        raise DecodeError("Reference Values", 0, f"{len(raw)} bytes are over the limit of {MAX_FILE}")
    try:
        document = msgspec.convert(json_value(raw, "Reference Values"), _Document, strict=True)
    except msgspec.ValidationError as error:
        raise DecodeError("Reference Values", 0, str(error)) from error
    if document.format != FORMAT:
        raise DecodeError("Reference Values", 0, f"format {FORMAT} expected, found {document.format[:40]!a}")
    return ReferenceSet(
        name=document.name,
        source=document.source,
        events=tuple(_event(row) for row in document.events),
        files=tuple(_file(row) for row in document.files),
        digest=hashlib.sha256(raw).hexdigest(),
    )


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
    return ReferenceEvent(pcr=row.pcr, digests=digests, label=row.label)


def _file(row: _File) -> ReferenceFile:
    alg, _, text = row.digest.partition(":")
    try:
        path = os.fsencode(row.path)
    except UnicodeEncodeError as error:
        raise DecodeError("Reference Values", 0, f"path {row.path[:80]!a} cannot be a file's") from error
    return ReferenceFile(path=path, alg=alg, digest=_digest(alg, text, f"file {row.path[:80]!a}"))
