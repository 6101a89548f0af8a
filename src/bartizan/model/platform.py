"""Platform certificates as decoded: which machine a maker says belongs to which TPM. Nothing here is proved."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from bartizan.model.certificate import CertificateKey


class PlatformForm(Enum):
    """How the statement is wrapped; TCG Platform Certificate Profile 1.1, 3.1 and 2.0, 4."""

    ATTRIBUTE = "attribute certificate"
    PUBLIC_KEY = "public-key certificate"


class PlatformKind(Enum):
    """What the statement is about; TCG Platform Certificate Profile 2.0, 3.1."""

    BASE = "base"
    DELTA = "delta"
    ADDITIONAL = "additional"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """The certificate that a platform certificate speaks of: its issuer (DER bytes, text) and serial number.

    For a base certificate it is the EK certificate, for a delta certificate the base certificate.
    """

    issuer: bytes
    issuer_text: str
    serial: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformCertificate:
    """A platform certificate; `raw`, `tbs`, `signature…`, `repairs` are as in `Certificate`.

    `holder` is None in a public-key certificate, which carries the EK's `key` instead. Texts that the certificate
    does not state are empty. Times are aware UTC.
    """

    raw: bytes
    tbs: bytes
    signature: bytes
    signature_oid: str
    signature_hash: str
    pss_salt: int
    form: PlatformForm
    kind: PlatformKind
    holder: Holder | None
    key: CertificateKey | None
    issuer: bytes
    issuer_text: str
    serial: int
    not_before: datetime
    not_after: datetime
    manufacturer: str
    model: str
    version: str
    platform_serial: str
    authority_key_id: bytes | None
    unknown_critical: tuple[str, ...]
    repairs: tuple[str, ...] = ()
