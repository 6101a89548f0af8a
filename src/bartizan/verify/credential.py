"""The activation challenge: a secret that only the TPM with this EK opens, and only for an AK with this Name.

Makes credentials as TPM2_MakeCredential would; it neither judges the EK nor remembers the secret. Its randomness is
handed in, except for the padding of OAEP, which the cryptographic library draws by itself. TPM 2.0 Library Part 1, 24
(credential protection), Annex B.10 (RSA) and C.6 (ECC), revision 1.59.
"""

import hmac
from collections.abc import Mapping

from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives.asymmetric.ec import ECDH, EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash
from cryptography.hazmat.primitives.kdf.kbkdf import KBKDFHMAC, CounterLocation, Mode

from bartizan.errors import VerifyError
from bartizan.model.digest import HashAlg
from bartizan.model.tpm import Alg, Attribute, Credential, PublicArea
from bartizan.verify.signature import load_key

CHECK = "identity.ek-key"
IDENTITY = b"IDENTITY\0"
"""Label of the seed, with the terminating zero that is hashed with it; Part 1, 24.4."""
STORAGE, INTEGRITY = b"STORAGE", b"INTEGRITY"
"""Labels of the keys made from the seed; the KDF adds the zero itself."""
HASHES: Mapping[HashAlg, HashAlgorithm] = {
    HashAlg.SHA256: SHA256(),
    HashAlg.SHA384: SHA384(),
    HashAlg.SHA512: SHA512(),
}
"""Name algorithms of EK templates; EK Credential Profile 2.5, Annex B."""
RSA_BITS = frozenset({2048, 3072, 4096})
"""Sizes of RSA EK templates; the same."""
AES_BITS = frozenset({128, 256})
BLOCK = 16
"""Bytes of an AES block: the initialisation vector is one block of zeros; Part 1, 24.4."""
STORAGE_KEY = Attribute.RESTRICTED | Attribute.DECRYPT

Entropy = bytes | EllipticCurvePrivateKey


def make_credential(ek: PublicArea, *, ak_name: bytes, secret: bytes, entropy: Entropy) -> Credential:
    """A credential that the TPM of this EK opens for the key of this Name; Part 1, 24.4 and 24.5.

    ak_name: the Name of the AK, 2 + digest bytes; secret: at most as long as the EK's nameAlg digest; entropy, never
    used twice: as many random bytes as that digest has for an RSA EK, a new private key on its curve for an ECC EK.

    Raises:
        VerifyError: the EK is no storage key that such a credential can be made for.
        ValueError: the secret or the entropy does not fit the EK.
    """
    hashed, key_size = _ciphers(ek)
    size = hashed.digest_size
    if not 0 < len(secret) <= size:
        raise ValueError(f"a secret of 1 to {size} bytes expected, found {len(secret)}")
    seed, encrypted_seed = _protect_seed(ek, entropy)
    key = _kdf_a(hashed, seed, label=STORAGE, context=ak_name, size=key_size)
    mac_key = _kdf_a(hashed, seed, label=INTEGRITY, context=b"", size=size)
    encrypted = _encrypt_cfb(key, _sized(secret))
    mac = hmac.digest(mac_key, encrypted + ak_name, hashed.name)
    return Credential(id_object=_sized(mac) + encrypted, encrypted_secret=encrypted_seed)


def ek_key(ek: PublicArea) -> RSAPublicKey | EllipticCurvePublicKey:
    """The EK's key; its `curve` is what the ephemeral key must be on.

    Raises:
        VerifyError: it is no usable key.
    """
    try:
        return load_key(ek.key)
    except VerifyError as error:
        raise VerifyError(CHECK, error.why) from error


def _ciphers(ek: PublicArea) -> tuple[HashAlgorithm, int]:
    """The EK's hash and the bytes of its AES keys, once it is known to be a storage key of a default kind."""
    chosen = HASHES.get(ek.name_alg)
    if chosen is None:
        raise VerifyError(CHECK, f"a SHA-2 nameAlg expected, found {ek.name_alg.label}")
    if ek.attributes & STORAGE_KEY != STORAGE_KEY or ek.scheme is not None:
        raise VerifyError(CHECK, "a restricted decryption key without a scheme expected")
    cipher = ek.symmetric
    if cipher is None or (cipher.alg, cipher.mode) != (Alg.AES, Alg.CFB) or cipher.key_bits not in AES_BITS:
        raise VerifyError(CHECK, f"AES-128 or AES-256 in CFB mode expected, found {cipher}")
    return chosen, cipher.key_bits // 8


def _protect_seed(ek: PublicArea, entropy: Entropy) -> tuple[bytes, bytes]:
    """The seed and the contents of the TPM2B_ENCRYPTED_SECRET that carries it."""
    key, hashed = ek_key(ek), HASHES[ek.name_alg]
    if isinstance(key, RSAPublicKey):
        if not isinstance(entropy, bytes) or len(entropy) != hashed.digest_size:
            raise ValueError(f"{hashed.digest_size} random bytes expected for this RSA EK")
        return entropy, _encrypt(key, entropy, hashed=hashed)
    if not isinstance(entropy, EllipticCurvePrivateKey) or entropy.curve.name != key.curve.name:
        raise ValueError(f"a private key on {key.curve.name} expected for this ECC EK")
    return _agree(key, entropy, hashed=hashed)


def _encrypt(key: RSAPublicKey, seed: bytes, *, hashed: HashAlgorithm) -> bytes:
    """RSAES-OAEP with the label IDENTITY; Part 1, B.10.4."""
    if key.key_size not in RSA_BITS:
        raise VerifyError(CHECK, f"an RSA key of {sorted(RSA_BITS)} bits expected, found {key.key_size}")
    return key.encrypt(seed, OAEP(MGF1(hashed), hashed, IDENTITY))


def _agree(
    key: EllipticCurvePublicKey, ephemeral: EllipticCurvePrivateKey, *, hashed: HashAlgorithm
) -> tuple[bytes, bytes]:
    """One-pass ECDH and KDFe; Part 1, C.6.4 and 11.4.10.3. Coordinates fill the field's size (C.8)."""
    own, theirs = ephemeral.public_key().public_numbers(), key.public_numbers()
    width = (key.curve.key_size + 7) // 8
    own_x, own_y, their_x = (number.to_bytes(width, "big") for number in (own.x, own.y, theirs.x))
    # KDFe is the one-step hash KDF of SP 800-56A with this otherInfo.
    kdf_e = ConcatKDFHash(hashed, hashed.digest_size, IDENTITY + own_x + their_x)
    return kdf_e.derive(ephemeral.exchange(ECDH(), key)), _sized(own_x) + _sized(own_y)


def _encrypt_cfb(key: bytes, plain: bytes) -> bytes:
    encryptor = Cipher(AES(key), CFB(bytes(BLOCK))).encryptor()
    return encryptor.update(plain) + encryptor.finalize()


def _kdf_a(hashed: HashAlgorithm, seed: bytes, *, label: bytes, context: bytes, size: int) -> bytes:
    """KDFa, `size` in bytes: the counter-mode KDF of SP 800-108 with HMAC; Part 1, 11.4.10.2."""
    kdf = KBKDFHMAC(
        algorithm=hashed,
        mode=Mode.CounterMode,
        length=size,
        rlen=4,
        llen=4,
        location=CounterLocation.BeforeFixed,
        label=label,
        context=context,
        fixed=None,
    )
    return kdf.derive(seed)


def _sized(content: bytes) -> bytes:
    return len(content).to_bytes(2, "big") + content
