"""The TPM's side of credential activation, written from TPM 2.0 Part 1, 24 and 11.4.10 without the product's code.

Block ciphers, HMAC and key agreement are the libraries'; modes and key derivation are spelled out here.
"""

import hashlib
import hmac
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

HASHES = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512()}


class ActivationError(Exception):
    """The TPM would refuse with TPM_RC_INTEGRITY."""


@dataclass(frozen=True, kw_only=True)
class EkSide:
    """The secret half of an EK with the algorithms of its public area."""

    private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    hash_name: str
    aes_bits: int

    def activate(self, id_object: bytes, encrypted_secret: bytes, ak_name: bytes) -> bytes:
        """The secret inside the contents of TPM2B_ID_OBJECT and TPM2B_ENCRYPTED_SECRET."""
        seed = self._seed(encrypted_secret)
        mac, encrypted = split_sized(id_object)
        mac_key = self._kdf_a(seed, b"INTEGRITY", b"", hashlib.new(self.hash_name).digest_size * 8)
        if hmac.new(mac_key, encrypted + ak_name, self.hash_name).digest() != mac:
            raise ActivationError
        key = self._kdf_a(seed, b"STORAGE", ak_name, self.aes_bits)
        secret, rest = split_sized(decrypt_cfb(key, encrypted))
        assert rest == b""
        return secret

    def _seed(self, encrypted_secret: bytes) -> bytes:
        if isinstance(self.private, rsa.RSAPrivateKey):
            chosen = HASHES[self.hash_name]
            return self.private.decrypt(encrypted_secret, padding.OAEP(padding.MGF1(chosen), chosen, b"IDENTITY\0"))
        x, rest = split_sized(encrypted_secret)
        y, rest = split_sized(rest)
        assert rest == b""
        curve = self.private.curve
        point = ec.EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), curve).public_key()
        shared = self.private.exchange(ec.ECDH(), point)
        own = self.private.public_key().public_numbers().x.to_bytes(len(shared), "big")
        return self._kdf_e(shared, b"IDENTITY", x, own)

    def _kdf_a(self, key: bytes, label: bytes, context: bytes, bits: int) -> bytes:
        blocks = (
            hmac.new(
                key, counter.to_bytes(4, "big") + label + b"\0" + context + bits.to_bytes(4, "big"), self.hash_name
            )
            for counter in (1, 2, 3)
        )
        return b"".join(block.digest() for block in blocks)[: bits // 8]

    def _kdf_e(self, shared: bytes, label: bytes, u: bytes, v: bytes) -> bytes:
        return hashlib.new(self.hash_name, (1).to_bytes(4, "big") + shared + label + b"\0" + u + v).digest()


def split_sized(data: bytes) -> tuple[bytes, bytes]:
    """A TPM2B's contents and what follows."""
    size = int.from_bytes(data[:2], "big")
    assert len(data) >= 2 + size
    return data[2 : 2 + size], data[2 + size :]


def decrypt_cfb(key: bytes, encrypted: bytes) -> bytes:
    """AES-CFB with a zero initialisation vector, block by block."""
    encrypt = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305  the raw block cipher
    feedback, plain = bytes(16), b""
    for start in range(0, len(encrypted), 16):
        block = encrypted[start : start + 16]
        plain += bytes(a ^ b for a, b in zip(block, encrypt.update(feedback), strict=False))
        feedback = block
    return plain
