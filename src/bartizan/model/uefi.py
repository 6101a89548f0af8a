"""UEFI's own nouns as decoded: GUIDs, device paths, signature databases, variables. Nothing here is proved."""

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, NewType
from uuid import UUID

Guid = NewType("Guid", bytes)
"""An EFI_GUID, 16 bytes in wire order (the first three fields little-endian); UEFI 2.10, appendix A."""


def guid(text: str) -> Guid:
    """The GUID written so: `8be4df61-93ca-11d2-aa0d-00e098032b8c`."""
    return Guid(UUID(text).bytes_le)


def guid_text(value: Guid) -> str:
    """A GUID as people write it, lower case."""
    return str(UUID(bytes_le=value))


EFI_GLOBAL = guid("8be4df61-93ca-11d2-aa0d-00e098032b8c")
"""EFI_GLOBAL_VARIABLE: SecureBoot, PK, KEK, BootOrder, Boot####; UEFI 2.10, 3.3."""
IMAGE_SECURITY = guid("d719b2cb-3d3a-4596-a3bc-dad00e67656f")
"""EFI_IMAGE_SECURITY_DATABASE_GUID: db, dbx, dbt, dbr; UEFI 2.10, 32.4.1."""
SHIM_LOCK = guid("605dab50-e046-4300-abb6-3dd810dd8b23")
"""Shim's own variables: SbatLevel, MokList and its kin."""


class PathNode(NamedTuple):
    """One device path node; `data` is what follows its four-byte header."""

    type: int
    subtype: int
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class DevicePath:
    """Where something was loaded from; the closing End node is not kept, ends of instances are."""

    nodes: tuple[PathNode, ...]


class SignatureKind(Enum):
    """What an EFI_SIGNATURE_LIST holds; UEFI 2.10, 32.4.1."""

    SHA1 = "sha1"
    SHA224 = "sha224"
    SHA256 = "sha256"
    SHA384 = "sha384"
    SHA512 = "sha512"
    SM3 = "sm3"
    RSA2048 = "rsa2048"
    RSA2048_SHA1 = "rsa2048-sha1"
    RSA2048_SHA256 = "rsa2048-sha256"
    X509 = "x509"
    X509_SHA256 = "x509-sha256"
    X509_SHA384 = "x509-sha384"
    X509_SHA512 = "x509-sha512"
    X509_SM3 = "x509-sm3"
    EXTERNAL = "external"


class SignatureEntry(NamedTuple):
    """EFI_SIGNATURE_DATA: whose it is (a vendor's claim) and the certificate, digest or key."""

    owner: Guid
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureList:
    """EFI_SIGNATURE_LIST; `kind` is None for a signature type that Bartizan does not know."""

    signature_type: Guid
    kind: SignatureKind | None
    entries: tuple[SignatureEntry, ...]
    header: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityVersion:
    """A boot application's lowest allowed security version, as Microsoft puts it into a dbx."""

    application: Guid
    major: int
    minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EfiTime:
    """EFI_TIME as found, to the second; authenticated variables use UTC and nothing finer; UEFI 2.10, 8.2.2."""

    year: int
    month: int
    day: int
    hour: int
    minute: int
    second: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedUpdate:
    """EFI_VARIABLE_AUTHENTICATION_2 and the signature lists that follow; `pkcs7` is not verified."""

    timestamp: EfiTime
    pkcs7: bytes
    lists: tuple[SignatureList, ...]


class SbatEntry(NamedTuple):
    """One line of SBAT: a component, its generation, and whatever else the line says."""

    component: str
    generation: int
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SbatLevel:
    """The lowest generations that may boot, as shim measures them; the first line is `sbat` itself with a date."""

    entries: tuple[SbatEntry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """A one-byte variable such as SecureBoot: 1 is on, 0 is off, anything else is neither."""

    value: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Absent:
    """A variable without data: it does not exist on that machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureDatabase:
    """The contents of PK, KEK, db, dbx, dbt or dbr."""

    lists: tuple[SignatureList, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """The one entry that let an image run; `owner` is None where shim measured the bare certificate or digest."""

    owner: Guid | None
    kind: SignatureKind
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class BootOrder:
    """The numbers of Boot#### (Driver####, SysPrep####) in the order they are tried."""

    order: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOption:
    """EFI_LOAD_OPTION; the first path is what would be started; UEFI 2.10, 3.1.3."""

    attributes: int
    description: str
    paths: tuple[DevicePath, ...]
    optional_data: bytes

    @property
    def active(self) -> bool:
        """LOAD_OPTION_ACTIVE: the boot manager tries it."""
        return bool(self.attributes & 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opaque:
    """Bytes without a structure that we could read; `reason` says why."""

    reason: str
    data: bytes


VariableValue = Flag | Absent | SignatureDatabase | Authority | BootOrder | LoadOption | SbatLevel | Opaque


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """UEFI_VARIABLE_DATA; PFP 1.06, 10.2.6.

    trailing: bytes past its lengths. Shim before 15.3 logged six of them, and hashed the event without its last byte.
    """

    vendor: Guid
    name: str
    data: bytes
    trailing: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class VariableEvent:
    """A measured variable and what its data means."""

    variable: Variable
    value: VariableValue
