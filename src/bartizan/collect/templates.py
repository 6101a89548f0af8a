"""Public areas that Bartizan asks TPMs to fill: the default Endorsement Keys and the Attestation Keys.

The EK templates are L-1 and L-2 of the TCG EK Credential Profile 2.5, B.3.3 and B.3.4. High-range templates, which
need PolicyOR, are not here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from bartizan.collect.marshal import AES, CFB, ECC, ECDSA, NULL, RSA, RSASSA, SHA256, sized, u16, u32

FIXED_TPM, FIXED_PARENT, SENSITIVE_DATA_ORIGIN, USER_WITH_AUTH = 1 << 1, 1 << 4, 1 << 5, 1 << 6
ADMIN_WITH_POLICY, NO_DA, RESTRICTED, DECRYPT, SIGN = 1 << 7, 1 << 10, 1 << 16, 1 << 17, 1 << 18
"""TPMA_OBJECT; TPM 2.0 Part 2, 8.3."""

NIST_P256 = 0x0003
"""TPM_ECC_CURVE; TCG Algorithm Registry 1.34, table 4."""

EK_ATTRIBUTES = FIXED_TPM | FIXED_PARENT | SENSITIVE_DATA_ORIGIN | ADMIN_WITH_POLICY | RESTRICTED | DECRYPT
EK_POLICY = bytes.fromhex("837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa")
"""PolicyA: TPM2_PolicySecret(TPM_RH_ENDORSEMENT); EK Credential Profile 2.5, Annex B."""
EK_SYMMETRIC = u16(AES) + u16(128) + u16(CFB)

AK_ATTRIBUTES = FIXED_TPM | FIXED_PARENT | SENSITIVE_DATA_ORIGIN | USER_WITH_AUTH | NO_DA | RESTRICTED | SIGN
"""Restricted signing: such a key signs nothing but what the TPM itself made. noDA: a lockout must not stop quotes."""


class EkTemplate(NamedTuple):
    """One kind of Endorsement Key: where its parts are kept, and how it is made where they are not.

    handle: where it is made persistent by convention; certificate, nonce, template: NV indices (profile, 2.2.1);
    shared: the public area up to the unique field; unique: the zeros that the default template has there.
    """

    handle: int
    certificate: int
    nonce: int
    template: int
    shared: bytes
    unique: bytes


def _ek_head(kind: int) -> bytes:
    return u16(kind) + u16(SHA256) + u32(EK_ATTRIBUTES) + sized(EK_POLICY) + EK_SYMMETRIC + u16(NULL)


EK_RSA2048 = EkTemplate(
    handle=0x81010001,
    certificate=0x01C00002,
    nonce=0x01C00003,
    template=0x01C00004,
    shared=_ek_head(RSA) + u16(2048) + u32(0),
    unique=sized(bytes(256)),
)
EK_ECC256 = EkTemplate(
    handle=0x81010002,
    certificate=0x01C0000A,
    nonce=0x01C0000B,
    template=0x01C0000C,
    shared=_ek_head(ECC) + u16(NIST_P256) + u16(NULL),
    unique=sized(bytes(32)) + sized(bytes(32)),
)
EK_TEMPLATES: Mapping[str, EkTemplate] = {"rsa2048": EK_RSA2048, "ecc256": EK_ECC256}


def _ak_head(kind: int) -> bytes:
    return u16(kind) + u16(SHA256) + u32(AK_ATTRIBUTES) + sized(b"") + u16(NULL)


AK_TEMPLATES: Mapping[str, bytes] = {
    "ecc256": _ak_head(ECC) + u16(ECDSA) + u16(SHA256) + u16(NIST_P256) + u16(NULL) + sized(b"") + sized(b""),
    "rsa2048": _ak_head(RSA) + u16(RSASSA) + u16(SHA256) + u16(2048) + u32(0) + sized(b""),
}
"""TPMT_PUBLIC of Attestation Keys by name."""


def nonce_in_unique(template: EkTemplate, nonce: bytes) -> bytes:
    """The unique field that a manufacturer's EK nonce asks for: the nonce, filled up with zeros.

    EK Credential Profile 2.5, Annex B: for RSA it fills the modulus, for ECC the x coordinate.
    """
    width = int.from_bytes(template.unique[:2], "big")
    filled = nonce[:width].ljust(width, b"\0")
    return sized(filled) + template.unique[2 + width :]
