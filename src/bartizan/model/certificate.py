"""Certificates as decoded, whatever their maker's DER was like. Nothing here is proved."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum


class KeyKind(Enum):
    """Public key families that EK certificates carry."""

    RSA = "rsa"
    EC = "ec"


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateKey:
    """A subject public key: for RSA `modulus` and `exponent`, for EC `curve` (its name) and the point."""

    kind: KeyKind
    modulus: int = 0
    exponent: int = 0
    curve: str = ""
    x: int = 0
    y: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TpmModel:
    """Who made the TPM, from the subjectAltName's directoryName; TCG EK Credential Profile 2.5, 3.1.2."""

    manufacturer: str
    model: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """An X.509 certificate; `raw` is the DER as found, `tbs` the exact signed bytes, `repairs` says what was odd.

    Times are aware UTC. `subject` and `issuer` are the DER bytes of the names, compared as bytes;
    `subject_text` and `issuer_text` are for people.
    """

    raw: bytes
    tbs: bytes
    signature: bytes
    signature_oid: str
    signature_hash: str
    serial: int
    subject: bytes
    issuer: bytes
    subject_text: str
    issuer_text: str
    not_before: datetime
    not_after: datetime
    key: CertificateKey
    is_ca: bool
    path_length: int | None
    key_usage: frozenset[str] | None
    extended_key_usage: tuple[str, ...]
    subject_key_id: bytes | None
    authority_key_id: bytes | None
    unknown_critical: tuple[str, ...]
    tpm: TpmModel | None
    repairs: tuple[str, ...] = ()


class RootKind(Enum):
    """Where an accepted TPM CA comes from; hardware and virtual TPMs are never mixed."""

    HARDWARE = "hardware"
    VIRTUAL = "virtual"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustAnchors:
    """Accepted TPM CAs (self-signed anchors, each with its kind) and intermediates that only help to build a path."""

    anchors: tuple[tuple[RootKind, Certificate], ...]
    intermediates: tuple[Certificate, ...]
