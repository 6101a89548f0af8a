"""Certificates as decoded, whatever their maker's DER was like. Nothing here is proved."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum, StrEnum


class KeyKind(Enum):
    """Public key families that EK certificates carry."""

    RSA = "rsa"
    EC = "ec"


class Repair(StrEnum):
    """What was odd about a certificate's bytes and was read all the same."""

    STORED_HEADER = "a TPM 1.2 storage header stood before it"
    PADDING = "one byte, repeated, stood after it"
    SET_ORDER = "the attributes of a name are not in DER order"
    OAEP_KEY = "the key is labelled RSAES-OAEP"
    SPELLED_DEFAULT = "a default value is spelled out"
    LONG_LENGTH = "a length is not in its shortest form"
    LONG_INTEGER = "an integer is not in its shortest form"
    LONG_SERIAL = "the serial number is over 20 octets"
    SERIAL_SIGN = "the serial number is not positive"
    MODULUS_SIGN = "the RSA modulus is encoded as a negative number"
    LAX_BOOLEAN = "a boolean is neither 00 nor ff"
    PARAMETERS = "the parameters beside an algorithm are not those that its specification names"
    STORED_SIZE = "the storage header states another size"


VENDOR_HABITS = frozenset(
    {Repair.STORED_HEADER, Repair.PADDING, Repair.SET_ORDER, Repair.OAEP_KEY, Repair.SPELLED_DEFAULT}
)
"""Oddities that whole families of genuine TPMs share: Nuvoton, STMicroelectronics, Infineon, any NV index."""


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
    `subject_text` and `issuer_text` are for people. `signature_hash` is empty for an algorithm Bartizan does not know;
    `pss_salt` is the salt length of RSASSA-PSS in bytes. `alternative` holds object identifier and text of each
    attribute of the subjectAltName's directory names.
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
    pss_salt: int = 0
    alternative: tuple[tuple[str, str], ...] = ()


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
