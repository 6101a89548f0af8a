"""Making credentials, against an independent TPM side and recorded blobs."""

import dataclasses
import os
from functools import cache
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from bartizan.errors import VerifyError
from bartizan.formats.tpm2 import decode_credential, decode_public, encode_credential, encode_public
from bartizan.model.digest import HashAlg
from bartizan.model.tpm import (
    Alg,
    Attribute,
    Credential,
    Curve,
    EccKey,
    PublicArea,
    RsaKey,
    Scheme,
    Symmetric,
)
from bartizan.verify.credential import Entropy, ek_key, make_credential
from tests.simulator.tpm_side import ActivationError, EkSide

VECTORS = Path(__file__).parents[1] / "vectors" / "credential"
AK_NAME = HashAlg.SHA256.to_bytes(2, "big") + bytes(range(32))
SECRET = bytes(range(100, 132))
CURVES = {Curve.NIST_P256: ec.SECP256R1(), Curve.NIST_P384: ec.SECP384R1(), Curve.NIST_P521: ec.SECP521R1()}

Private = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def area_of(private: Private, *, name_alg: HashAlg, aes_bits: int) -> PublicArea:
    """An EK's public area, by way of the wire so that `raw` is right."""
    public = private.public_key().public_numbers()
    key: RsaKey | EccKey
    if isinstance(public, rsa.RSAPublicNumbers):
        bits = private.key_size
        key = RsaKey(bits=bits, exponent=0, modulus=public.n.to_bytes(bits // 8, "big"))
    else:
        width = (private.key_size + 7) // 8
        curve = next(number for number, known in CURVES.items() if known.name == public.curve.name)
        x, y = (number.to_bytes(width, "big") for number in (public.x, public.y))
        key = EccKey(curve=curve, kdf=None, x=x, y=y)
    blank = PublicArea(
        raw=b"",
        name_alg=name_alg,
        attributes=Attribute.RESTRICTED | Attribute.DECRYPT | Attribute.FIXED_TPM,
        policy=bytes(name_alg.size),
        symmetric=Symmetric(alg=Alg.AES, key_bits=aes_bits, mode=Alg.CFB),
        scheme=None,
        key=key,
    )
    return decode_public(encode_public(blank))


@cache
def rsa_private(bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


@cache
def ecc_private(curve: Curve) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(0x1234567, CURVES[curve])


def rsa_ek(bits: int = 2048, name_alg: HashAlg = HashAlg.SHA256, aes_bits: int = 128) -> PublicArea:
    return area_of(rsa_private(bits), name_alg=name_alg, aes_bits=aes_bits)


def ecc_ek(curve: Curve = Curve.NIST_P256, name_alg: HashAlg = HashAlg.SHA256, aes_bits: int = 128) -> PublicArea:
    return area_of(ecc_private(curve), name_alg=name_alg, aes_bits=aes_bits)


def made_for(ek: PublicArea, *, secret: bytes = SECRET, entropy: Entropy | None = None) -> Credential:
    return make_credential(ek, ak_name=AK_NAME, secret=secret, entropy=entropy or fitting_entropy(ek))


def fitting_entropy(ek: PublicArea) -> Entropy:
    if isinstance(ek.key, RsaKey):
        return os.urandom(ek.name_alg.size)
    return ec.generate_private_key(CURVES[Curve(ek.key.curve)])


KINDS = {
    "rsa2048": (rsa_ek, 2048, HashAlg.SHA256, 128),
    "rsa3072": (rsa_ek, 3072, HashAlg.SHA384, 256),
    "p256": (ecc_ek, Curve.NIST_P256, HashAlg.SHA256, 128),
    "p384": (ecc_ek, Curve.NIST_P384, HashAlg.SHA384, 256),
    "p521": (ecc_ek, Curve.NIST_P521, HashAlg.SHA512, 256),
}


def kind_of(name: str) -> tuple[PublicArea, EkSide]:
    make, size, name_alg, aes_bits = KINDS[name]
    private: Private = rsa_private(size) if make is rsa_ek else ecc_private(Curve(size))
    side = EkSide(private=private, hash_name=name_alg.label, aes_bits=aes_bits)
    return area_of(private, name_alg=name_alg, aes_bits=aes_bits), side


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("size", [1, 16, 32])
def test_the_tpm_of_the_ek_finds_the_secret(name: str, size: int) -> None:
    ek, side = kind_of(name)
    credential = made_for(ek, secret=SECRET[:size])

    assert side.activate(credential.id_object, credential.encrypted_secret, AK_NAME) == SECRET[:size]


@pytest.mark.parametrize("name", KINDS)
def test_another_ak_does_not_get_the_secret(name: str) -> None:
    ek, side = kind_of(name)
    credential = made_for(ek)

    with pytest.raises(ActivationError):
        side.activate(credential.id_object, credential.encrypted_secret, AK_NAME[:-1] + b"\0")


@pytest.mark.parametrize("name", KINDS)
def test_a_changed_credential_is_noticed(name: str) -> None:
    ek, side = kind_of(name)
    credential = made_for(ek)
    changed = credential.id_object[:-1] + bytes([credential.id_object[-1] ^ 1])

    with pytest.raises(ActivationError):
        side.activate(changed, credential.encrypted_secret, AK_NAME)


@pytest.mark.parametrize("coordinate", ["x of the EK", "x of the ephemeral key"])
def test_a_coordinate_with_a_leading_zero_keeps_its_width(coordinate: str) -> None:
    short = next(
        key
        for key in (ec.derive_private_key(number, ec.SECP256R1()) for number in range(1, 5000))
        if key.public_key().public_numbers().x >> 248 == 0
    )
    private, ephemeral = (
        (short, ecc_private(Curve.NIST_P256))
        if coordinate == "x of the EK"
        else (
            ecc_private(Curve.NIST_P256),
            short,
        )
    )
    ek = area_of(private, name_alg=HashAlg.SHA256, aes_bits=128)
    credential = made_for(ek, entropy=ephemeral)

    side = EkSide(private=private, hash_name="sha256", aes_bits=128)
    assert len(credential.encrypted_secret) == 2 * (2 + 32)
    assert side.activate(credential.id_object, credential.encrypted_secret, AK_NAME) == SECRET


def test_the_same_entropy_gives_the_same_credential_for_an_ecc_ek() -> None:
    ek, ephemeral = ecc_ek(), ec.derive_private_key(77, ec.SECP256R1())

    assert made_for(ek, entropy=ephemeral) == made_for(ek, entropy=ephemeral)


@pytest.mark.parametrize(("ek", "blob"), [("ek_rsa2048", "ak_ecc256.ekrsa"), ("ek_secp384r1", "ak_ecc256.ekecc")])
def test_a_credential_has_the_shape_of_a_recorded_one(ek: str, blob: str) -> None:
    area = decode_public((VECTORS / f"{ek}.tpm2b_public").read_bytes())
    recorded = [(VECTORS / f"{blob}.{part}").read_bytes() for part in ("cred_blob", "enc_secret")]
    name = (VECTORS / "ak_ecc256.name").read_bytes()

    credential = make_credential(area, ak_name=name, secret=SECRET, entropy=fitting_entropy(area))

    encoded = encode_credential(credential)
    assert [len(part) for part in encoded] == [len(part) for part in recorded]
    assert encoded[0][:4] == recorded[0][:4]
    assert decode_credential(*encoded) == credential


# What is refused, because the EK is not fit for it.


def changed(ek: PublicArea, **fields: object) -> PublicArea:
    return dataclasses.replace(ek, **fields)  # type: ignore[arg-type]  # the tests name the fields


AES = Symmetric(alg=Alg.AES, key_bits=128, mode=Alg.CFB)


@pytest.mark.parametrize(
    ("ek", "why"),
    [
        (changed(ecc_ek(), name_alg=HashAlg.SHA1), "a SHA-2 nameAlg"),
        (changed(ecc_ek(), name_alg=HashAlg.SM3_256), "a SHA-2 nameAlg"),
        (changed(ecc_ek(), attributes=Attribute.RESTRICTED | Attribute.SIGN_ENCRYPT), "restricted decryption key"),
        (changed(ecc_ek(), attributes=Attribute.DECRYPT), "restricted decryption key"),
        (changed(ecc_ek(), scheme=Scheme(alg=Alg.ECDH, hash_alg=HashAlg.SHA256)), "without a scheme"),
        (changed(ecc_ek(), symmetric=None), "AES-128 or AES-256"),
        (changed(ecc_ek(), symmetric=dataclasses.replace(AES, alg=Alg.CAMELLIA)), "AES-128 or AES-256"),
        (changed(ecc_ek(), symmetric=dataclasses.replace(AES, mode=Alg.NULL)), "AES-128 or AES-256"),
        (changed(ecc_ek(), symmetric=dataclasses.replace(AES, key_bits=192)), "AES-128 or AES-256"),
        (changed(ecc_ek(), key=EccKey(curve=Curve.SM2_P256, kdf=None, x=b"\1", y=b"\2")), "curve 0x0020"),
        (changed(ecc_ek(), key=EccKey(curve=Curve.NIST_P256, kdf=None, x=b"\1", y=b"\2")), "cannot be used"),
        (changed(rsa_ek(), key=RsaKey(bits=2048, exponent=2, modulus=b"\xff" * 256)), "cannot be used"),
        (changed(rsa_ek(), key=RsaKey(bits=1024, exponent=0, modulus=b"\xff" * 128)), "RSA key of"),
    ],
)
def test_an_ek_that_is_no_default_storage_key_is_refused(ek: PublicArea, why: str) -> None:
    with pytest.raises(VerifyError, match=why) as refused:
        make_credential(ek, ak_name=AK_NAME, secret=SECRET, entropy=os.urandom(32))
    assert refused.value.check == "identity.ek-key"


# What is refused, because the caller is wrong.


@pytest.mark.parametrize("secret", [b"", bytes(33)])
def test_a_secret_that_does_not_fit_is_a_bug_of_the_caller(secret: bytes) -> None:
    with pytest.raises(ValueError, match="a secret of 1 to 32 bytes"):
        made_for(ecc_ek(), secret=secret)


@pytest.mark.parametrize(
    ("ek", "entropy"),
    [
        (rsa_ek(), bytes(31)),
        (rsa_ek(), ec.derive_private_key(1, ec.SECP256R1())),
        (ecc_ek(), bytes(32)),
        (ecc_ek(), ec.derive_private_key(1, ec.SECP384R1())),
    ],
)
def test_entropy_of_the_wrong_kind_is_a_bug_of_the_caller(ek: PublicArea, entropy: Entropy) -> None:
    with pytest.raises(ValueError, match="expected for this"):
        made_for(ek, entropy=entropy)


def test_the_curve_for_the_ephemeral_key_comes_from_the_ek() -> None:
    key = ek_key(ecc_ek(Curve.NIST_P384, HashAlg.SHA384, 256))

    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp384r1"
