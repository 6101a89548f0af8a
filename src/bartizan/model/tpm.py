"""What a TPM 2.0 reports, as decoded: public areas, attestation structures, signatures. Nothing here is proved."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, IntFlag

from bartizan.model.digest import HashAlg

TPM_GENERATED = 0xFF544347
"""TPM_GENERATED_VALUE; TPM 2.0 Part 2, 6.2."""


class Alg(IntEnum):
    """TPM_ALG_ID values other than hashes; TCG Algorithm Registry 1.34, table 3."""

    RSA = 0x0001
    AES = 0x0006
    KEYEDHASH = 0x0008
    NULL = 0x0010
    SM4 = 0x0013
    RSASSA = 0x0014
    RSAES = 0x0015
    RSAPSS = 0x0016
    OAEP = 0x0017
    ECDSA = 0x0018
    ECDH = 0x0019
    ECDAA = 0x001A
    SM2 = 0x001B
    ECSCHNORR = 0x001C
    ECC = 0x0023
    SYMCIPHER = 0x0025
    CAMELLIA = 0x0026
    CFB = 0x0043


class Curve(IntEnum):
    """TPM_ECC_CURVE; TCG Algorithm Registry 1.34, table 4."""

    NIST_P256 = 0x0003
    NIST_P384 = 0x0004
    NIST_P521 = 0x0005
    SM2_P256 = 0x0020


class Attribute(IntFlag):
    """TPMA_OBJECT; TPM 2.0 Part 2, 8.3."""

    FIXED_TPM = 1 << 1
    ST_CLEAR = 1 << 2
    FIXED_PARENT = 1 << 4
    SENSITIVE_DATA_ORIGIN = 1 << 5
    USER_WITH_AUTH = 1 << 6
    ADMIN_WITH_POLICY = 1 << 7
    NO_DA = 1 << 10
    ENCRYPTED_DUPLICATION = 1 << 11
    RESTRICTED = 1 << 16
    DECRYPT = 1 << 17
    SIGN_ENCRYPT = 1 << 18


class Structure(IntEnum):
    """TPM_ST of attestation structures Bartizan reads; TPM 2.0 Part 2, 6.9."""

    ATTEST_CERTIFY = 0x8017
    ATTEST_QUOTE = 0x8018


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """An asymmetric scheme with its hash; `hash_alg` is None where the scheme has none."""

    alg: int
    hash_alg: int | None
    count: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Symmetric:
    """The symmetric cipher of a storage key (TPMT_SYM_DEF_OBJECT)."""

    alg: int
    key_bits: int
    mode: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RsaKey:
    """RSA parameters; `exponent` is as on the wire, where 0 stands for 65537."""

    bits: int
    exponent: int
    modulus: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class EccKey:
    """An elliptic-curve point; coordinates as on the wire."""

    curve: int
    kdf: Scheme | None
    x: bytes
    y: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicArea:
    """TPMT_PUBLIC of an asymmetric key, with its exact bytes (its Name is computed over them)."""

    raw: bytes
    name_alg: HashAlg
    attributes: Attribute
    policy: bytes
    symmetric: Symmetric | None
    scheme: Scheme | None
    key: RsaKey | EccKey

    @property
    def name(self) -> bytes:
        """NameAlg ‖ H(TPMT_PUBLIC); TPM 2.0 Part 1, 16."""
        return self.name_alg.to_bytes(2, "big") + self.name_alg.digest(self.raw)


@dataclass(frozen=True, slots=True, kw_only=True)
class PcrSelection:
    """One bank's selection; `width` is the bitmap's length in bytes."""

    alg: int
    pcrs: tuple[int, ...]
    width: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockInfo:
    """TPMS_CLOCK_INFO; `clock` in milliseconds of powered time."""

    clock: int
    reset_count: int
    restart_count: int
    safe: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteInfo:
    """TPMS_QUOTE_INFO: what was selected and the digest over it."""

    selections: tuple[PcrSelection, ...]
    pcr_digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class CertifyInfo:
    """TPMS_CERTIFY_INFO: the certified object's names."""

    name: bytes
    qualified_name: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Attest:
    """TPMS_ATTEST with its exact bytes (the signature is over them)."""

    raw: bytes
    magic: int
    type: int
    qualified_signer: bytes
    extra_data: bytes
    clock: ClockInfo
    firmware_version: int
    body: QuoteInfo | CertifyInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Tpm12Quote:
    """TPM_QUOTE_INFO of a TPM 1.2: SHA-1 over the PCR composite, and the nonce; 20 bytes each."""

    raw: bytes
    composite_digest: bytes
    external_data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """TPMT_SIGNATURE: `rsa` for RSASSA and RSAPSS, `r` and `s` for ECDSA."""

    alg: int
    hash_alg: HashAlg
    rsa: bytes | None = None
    r: bytes | None = None
    s: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """TPM2B_ID_OBJECT and TPM2B_ENCRYPTED_SECRET as MakeCredential yields them; TPM 2.0 Part 1, 24."""

    id_object: bytes
    encrypted_secret: bytes


AttributeNames: Mapping[Attribute, str] = {
    Attribute.FIXED_TPM: "fixedTPM",
    Attribute.FIXED_PARENT: "fixedParent",
    Attribute.SENSITIVE_DATA_ORIGIN: "sensitiveDataOrigin",
    Attribute.RESTRICTED: "restricted",
    Attribute.DECRYPT: "decrypt",
    Attribute.SIGN_ENCRYPT: "sign",
}
