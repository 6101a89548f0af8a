"""A TPM's quotes made without a TPM: structures marshalled by hand (TPM 2.0 Part 2), signed with `cryptography`.

It shares no code with the product, so that both would have to be wrong in the same way.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from hashlib import new as hashed
from struct import pack
from typing import TypeVar

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

SHA1, SHA256, SHA384 = 0x0004, 0x000B, 0x000C
RSASSA, RSAPSS, ECDSA, NULL = 0x0014, 0x0016, 0x0018, 0x0010
RSA, ECC = 0x0001, 0x0023
NAMES = {SHA1: "sha1", SHA256: "sha256", SHA384: "sha384"}
SIZES = {SHA1: 20, SHA256: 32, SHA384: 48}
HASHES = {SHA1: hashes.SHA1(), SHA256: hashes.SHA256(), SHA384: hashes.SHA384()}  # noqa: S303  # old TPMs sign so
CURVES = {"p256": (0x0003, ec.SECP256R1(), 32), "p384": (0x0004, ec.SECP384R1(), 48)}
AK_ATTRIBUTES = 0x00050072
"""fixedTPM, fixedParent, sensitiveDataOrigin, userWithAuth, restricted, sign."""
TPM_GENERATED, QUOTE = 0xFF544347, 0x8018
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
Bank = TypeVar("Bank", bound=int)
"""A bank by its TPM_ALG_ID."""


def sized(data: bytes) -> bytes:
    return pack(">H", len(data)) + data


@cache
def private_key(kind: str, owner: str) -> PrivateKey:
    """The key of this kind (`rsa`, `p256`, `p384`) that one owner has, the same throughout a run."""
    assert owner
    if kind == "rsa":
        return rsa.generate_private_key(65537, 2048)
    return ec.generate_private_key(CURVES[kind][1])


@dataclass(frozen=True, kw_only=True)
class Signed:
    """A TPMT_SIGNATURE: scheme, hash and one part (RSA) or two (ECDSA: r and s)."""

    alg: int
    hash_alg: int
    parts: tuple[bytes, ...]

    def encode(self) -> bytes:
        return pack(">HH", self.alg, self.hash_alg) + b"".join(map(sized, self.parts))


@dataclass(frozen=True, kw_only=True)
class Signer:
    """An attestation key: its kind, and the scheme that it is bound to."""

    kind: str
    alg: int
    hash_alg: int
    owner: str = "this TPM"

    @property
    def private(self) -> PrivateKey:
        return private_key(self.kind, self.owner)

    def public(self, *, scheme: tuple[int, int] | None = None) -> bytes:
        """TPM2B_PUBLIC; Part 2, 12.2.4."""
        alg, hash_alg = scheme or (self.alg, self.hash_alg)
        kind = RSA if self.kind == "rsa" else ECC
        head = pack(">HHI", kind, SHA256, AK_ATTRIBUTES) + sized(b"") + pack(">HHH", NULL, alg, hash_alg)
        return sized(head + self._unique())

    def _unique(self) -> bytes:
        if isinstance(self.private, rsa.RSAPrivateKey):
            modulus = self.private.public_key().public_numbers().n
            return pack(">HI", 2048, 0) + sized(modulus.to_bytes(256, "big"))
        curve, _, size = CURVES[self.kind]
        point = self.private.public_key().public_numbers()
        return pack(">HH", curve, NULL) + sized(point.x.to_bytes(size, "big")) + sized(point.y.to_bytes(size, "big"))

    def sign(self, message: bytes) -> Signed:
        """Part 1, B.4 to B.6 and C.4."""
        chosen = HASHES[self.hash_alg]
        if isinstance(self.private, rsa.RSAPrivateKey):
            salted = padding.PSS(padding.MGF1(chosen), padding.PSS.DIGEST_LENGTH)
            scheme = salted if self.alg == RSAPSS else padding.PKCS1v15()
            parts: tuple[bytes, ...] = (self.private.sign(message, scheme, chosen),)
        else:
            size = CURVES[self.kind][2]
            pair = decode_dss_signature(self.private.sign(message, ec.ECDSA(chosen)))
            parts = tuple(number.to_bytes(size, "big") for number in pair)
        return Signed(alg=self.alg, hash_alg=self.hash_alg, parts=parts)


SIGNERS = {
    "rsassa-sha1": Signer(kind="rsa", alg=RSASSA, hash_alg=SHA1),
    "rsassa-sha256": Signer(kind="rsa", alg=RSASSA, hash_alg=SHA256),
    "rsassa-sha384": Signer(kind="rsa", alg=RSASSA, hash_alg=SHA384),
    "rsapss-sha1": Signer(kind="rsa", alg=RSAPSS, hash_alg=SHA1),
    "rsapss-sha256": Signer(kind="rsa", alg=RSAPSS, hash_alg=SHA256),
    "rsapss-sha384": Signer(kind="rsa", alg=RSAPSS, hash_alg=SHA384),
    "ecdsa-p256-sha1": Signer(kind="p256", alg=ECDSA, hash_alg=SHA1),
    "ecdsa-p256-sha256": Signer(kind="p256", alg=ECDSA, hash_alg=SHA256),
    "ecdsa-p384-sha384": Signer(kind="p384", alg=ECDSA, hash_alg=SHA384),
}


def bitmap(pcrs: Sequence[int], width: int = 3) -> bytes:
    """TPMS_PCR_SELECTION.pcrSelect."""
    return sum(1 << pcr for pcr in pcrs).to_bytes(width, "little")


def pcr_digest(banks: Mapping[Bank, Mapping[int, bytes]], hash_alg: int = SHA256) -> bytes:
    """The digest over the values, in the order of the selection."""
    joined = b"".join(values[pcr] for values in banks.values() for pcr in sorted(values))
    return hashed(NAMES[hash_alg], joined, usedforsecurity=False).digest()


@dataclass(frozen=True, kw_only=True)
class Quote:
    """Every field of a TPMS_ATTEST of a quote (Part 2, 10.12.12), free to be wrong."""

    signer: bytes
    extra: bytes
    selections: tuple[tuple[int, bytes], ...]
    digest: bytes
    magic: int = TPM_GENERATED
    type: int = QUOTE
    clock: int = 60_000
    reset_count: int = 7
    restart_count: int = 0
    safe: int = 1
    firmware: int = 0x0001_0002_0003_0004
    tail: bytes = field(default=b"")

    def encode(self) -> bytes:
        """The exact bytes that are signed."""
        head = pack(">IH", self.magic, self.type) + sized(self.signer) + sized(self.extra)
        clock = pack(">QIIB", self.clock, self.reset_count, self.restart_count, self.safe)
        chosen = b"".join(pack(">HB", alg, len(bits)) + bits for alg, bits in self.selections)
        body = pack(">I", len(self.selections)) + chosen + sized(self.digest)
        return head + clock + pack(">Q", self.firmware) + body + self.tail


def quote_of(
    banks: Mapping[Bank, Mapping[int, bytes]], *, signer: bytes, extra: bytes, hash_alg: int = SHA256
) -> Quote:
    """What a TPM with these PCR values reports, all of them selected."""
    selections = tuple((alg, bitmap(tuple(values))) for alg, values in banks.items())
    return Quote(signer=signer, extra=extra, selections=selections, digest=pcr_digest(banks, hash_alg))


def flipped(data: bytes, at: int = -1) -> bytes:
    """The bytes with one bit changed."""
    changed = bytearray(data)
    changed[at] ^= 1
    return bytes(changed)


def broken(signed: Signed, part: int) -> Signed:
    """A signature of which one part has one bit changed."""
    parts = tuple(flipped(some) if place == part else some for place, some in enumerate(signed.parts))
    return replace(signed, parts=parts)
