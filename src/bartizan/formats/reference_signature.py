"""Signatures beside a set of Reference Values, or beside waivers: one JSON document. `verify` says whether one holds.

What is signed: the document's format, a zero byte, and the SHA-256 of what it lies beside. So a signature made for
anything else is none here.
"""

import base64
import binascii
import json
from dataclasses import dataclass

import msgspec

from bartizan.errors import DecodeError
from bartizan.formats.strict import hex_bytes, json_value

FORMAT = "bartizan-reference-signature-1"
WAIVERS_FORMAT = "bartizan-waivers-signature-1"
MAX_SIGNATURES_FILE = 64 * 1024
MAX_SIGNATURES = 32
"""People who sign one set."""
ALGORITHMS = ("ed25519", "ecdsa-p256-sha256")
KEY_BYTES = 32
WHAT = "signatures of Reference Values"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceSignature:
    """One signature; `key` is SHA-256 over the public key's SubjectPublicKeyInfo."""

    key: bytes
    algorithm: str
    signature: bytes


class _Row(msgspec.Struct, forbid_unknown_fields=True):
    key: str
    algorithm: str
    signature: str


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    format: str
    signatures: list[_Row]


def signed_message(digest: str, *, kind: str = FORMAT) -> bytes:
    """The bytes that a signature of what has this digest covers."""
    return kind.encode("ascii") + b"\0" + bytes.fromhex(digest)


def encode_reference_signatures(signatures: tuple[ReferenceSignature, ...], *, kind: str = FORMAT) -> bytes:
    """The document."""
    rows = [
        {"key": row.key.hex(), "algorithm": row.algorithm, "signature": base64.b64encode(row.signature).decode("ascii")}
        for row in signatures
    ]
    return json.dumps({"format": kind, "signatures": rows}, indent=1).encode("ascii") + b"\n"


def decode_reference_signatures(raw: bytes, *, kind: str = FORMAT) -> tuple[ReferenceSignature, ...]:
    """The signatures of a document.

    Raises:
        DecodeError: not such a document, an unknown field or algorithm, a key or signature that is none.
    """
    if len(raw) > MAX_SIGNATURES_FILE:
        raise DecodeError(WHAT, 0, f"{len(raw)} bytes are over the limit of {MAX_SIGNATURES_FILE}")
    try:
        document = msgspec.convert(json_value(raw, WHAT), _Document, strict=True)
    except msgspec.ValidationError as error:
        raise DecodeError(WHAT, 0, str(error)) from error
    if document.format != kind or len(document.signatures) > MAX_SIGNATURES:
        raise DecodeError(WHAT, 0, f"format {kind} with at most {MAX_SIGNATURES} signatures expected")
    return tuple(_signature(row) for row in document.signatures)


def _signature(row: _Row) -> ReferenceSignature:
    key = hex_bytes(row.key, WHAT)
    if row.algorithm not in ALGORITHMS or len(key) != KEY_BYTES:
        raise DecodeError(WHAT, 0, f"a SHA-256 of a key, and one of {', '.join(ALGORITHMS)}, expected")
    try:
        signature = base64.b64decode(row.signature, validate=True)
    except (binascii.Error, ValueError) as error:
        raise DecodeError(WHAT, 0, f"not base64: {error}") from error
    return ReferenceSignature(key=key, algorithm=row.algorithm, signature=signature)
