"""A TPM's signature over exact bytes, by each scheme; broken one part at a time."""

from dataclasses import replace

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from bartizan.errors import VerifyError
from bartizan.formats.tpm2 import decode_public, decode_signature
from bartizan.model.digest import HashAlg
from bartizan.model.tpm import Alg, Curve, EccKey, RsaKey, Scheme, Signature
from bartizan.verify import signature as module
from bartizan.verify.signature import load_key, verify_signature
from tests.simulator.quotes import (
    ECDSA,
    HASHES,
    RSAPSS,
    RSASSA,
    SHA1,
    SHA256,
    SHA384,
    SIGNERS,
    Signed,
    Signer,
    broken,
    flipped,
)

MESSAGE = b"exactly these bytes"
RSA_SIGNERS = [name for name, signer in SIGNERS.items() if signer.kind == "rsa"]
EC_SIGNERS = [name for name, signer in SIGNERS.items() if signer.kind != "rsa"]


def key(signer: Signer) -> RsaKey | EccKey:
    return decode_public(signer.public()).key


def verify(signer: Signer, signed: Signed, *, message: bytes = MESSAGE, scheme: Scheme | None = None) -> None:
    verify_signature(key(signer), message, decode_signature(signed.encode()), scheme=scheme)


def refused(
    signer: Signer, signed: Signed, why: str, *, message: bytes = MESSAGE, scheme: Scheme | None = None
) -> None:
    with pytest.raises(VerifyError, match=why) as refusal:
        verify(signer, signed, message=message, scheme=scheme)

    assert refusal.value.check == "quote.signature"


@pytest.mark.parametrize("name", SIGNERS)
def test_a_genuine_signature_holds_with_and_without_a_bound_scheme(name: str) -> None:
    signer = SIGNERS[name]

    verify(signer, signer.sign(MESSAGE))
    verify(signer, signer.sign(MESSAGE), scheme=Scheme(alg=signer.alg, hash_alg=signer.hash_alg))


@pytest.mark.parametrize("name", SIGNERS)
def test_one_changed_bit_of_the_message_is_refused(name: str) -> None:
    signer = SIGNERS[name]

    refused(signer, signer.sign(MESSAGE), "does not match", message=flipped(MESSAGE))


@pytest.mark.parametrize("name", SIGNERS)
def test_one_changed_bit_of_any_part_is_refused(name: str) -> None:
    signer = SIGNERS[name]
    signed = signer.sign(MESSAGE)
    for part in range(len(signed.parts)):
        refused(signer, broken(signed, part), "does not match")


@pytest.mark.parametrize("name", SIGNERS)
def test_another_key_of_the_same_kind_is_refused(name: str) -> None:
    signer = SIGNERS[name]

    refused(signer, replace(signer, owner="another TPM").sign(MESSAGE), "does not match")


@pytest.mark.parametrize("name", SIGNERS)
def test_another_hash_label_on_the_same_signature_is_refused(name: str) -> None:
    signer = SIGNERS[name]
    other = SHA256 if signer.hash_alg != SHA256 else SHA384

    refused(signer, replace(signer.sign(MESSAGE), hash_alg=other), "does not match")


@pytest.mark.parametrize("name", RSA_SIGNERS)
def test_another_padding_label_on_the_same_signature_is_refused(name: str) -> None:
    signer = SIGNERS[name]

    refused(signer, replace(signer.sign(MESSAGE), alg=RSAPSS if signer.alg == RSASSA else RSASSA), "does not match")


BOUND = {
    "another scheme": (RSASSA, SHA256),
    "another hash": (RSAPSS, SHA384),
    "a weaker hash": (RSAPSS, SHA1),
}


@pytest.mark.parametrize("name", BOUND)
def test_a_signature_in_another_scheme_than_the_keys_is_refused_though_it_holds(name: str) -> None:
    alg, hash_alg = BOUND[name]
    signer = Signer(kind="rsa", alg=alg, hash_alg=hash_alg)

    verify(signer, signer.sign(MESSAGE))
    refused(signer, signer.sign(MESSAGE), "the key signs with", scheme=Scheme(alg=RSAPSS, hash_alg=SHA256))


@pytest.mark.parametrize("name", RSA_SIGNERS)
def test_an_ecdsa_signature_for_an_rsa_key_is_refused(name: str) -> None:
    refused(SIGNERS[name], SIGNERS["ecdsa-p256-sha256"].sign(MESSAGE), "an RSA signature")


@pytest.mark.parametrize("name", EC_SIGNERS)
def test_an_rsa_signature_for_an_elliptic_curve_key_is_refused(name: str) -> None:
    refused(SIGNERS[name], SIGNERS["rsassa-sha256"].sign(MESSAGE), "an ECDSA signature is needed")


@pytest.mark.parametrize(
    "half",
    [Signature(alg=ECDSA, hash_alg=HashAlg.SHA256, r=b"\1"), Signature(alg=ECDSA, hash_alg=HashAlg.SHA256, s=b"\1")],
)
def test_half_an_ecdsa_signature_is_refused(half: Signature) -> None:
    with pytest.raises(VerifyError, match="an ECDSA signature is needed"):
        verify_signature(key(SIGNERS["ecdsa-p256-sha256"]), MESSAGE, half)


@pytest.mark.parametrize("parts", [(b"", b""), (bytes(32), bytes(32)), (b"\xff" * 66, b"\xff" * 66), (b"\1", b"")])
def test_numbers_that_no_signature_has_are_refused(parts: tuple[bytes, bytes]) -> None:
    refused(SIGNERS["ecdsa-p256-sha256"], Signed(alg=ECDSA, hash_alg=SHA256, parts=parts), "does not match")


@pytest.mark.parametrize("size", [0, 1, 255, 257, 512])
def test_an_rsa_signature_of_another_size_is_refused(size: int) -> None:
    for alg in (RSASSA, RSAPSS):
        refused(SIGNERS["rsassa-sha256"], Signed(alg=alg, hash_alg=SHA256, parts=(b"\1" * size,)), "does not match")


def test_a_pss_signature_with_another_salt_length_holds_as_tpms_differ() -> None:
    """TPMs before revision 1.59 took the longest salt that fits; Part 1, B.7."""
    signer = SIGNERS["rsapss-sha256"]
    assert isinstance(signer.private, rsa.RSAPrivateKey)
    longest = padding.PSS(padding.MGF1(HASHES[SHA256]), padding.PSS.MAX_LENGTH)
    signed = Signed(alg=RSAPSS, hash_alg=SHA256, parts=(signer.private.sign(MESSAGE, longest, HASHES[SHA256]),))

    verify(signer, signed)


def test_a_short_rsa_key_is_refused_though_its_signature_holds() -> None:
    private = rsa.generate_private_key(65537, 1024)  # noqa: S505  a key that must be refused
    modulus = private.public_key().public_numbers().n.to_bytes(128, "big")
    signature = private.sign(MESSAGE, padding.PKCS1v15(), HASHES[SHA256])
    signed = Signature(alg=Alg.RSASSA, hash_alg=HashAlg.SHA256, rsa=signature)

    with pytest.raises(VerifyError, match="at least 2048 bits"):
        verify_signature(RsaKey(bits=1024, exponent=0, modulus=modulus), MESSAGE, signed)


GOOD = key(SIGNERS["ecdsa-p256-sha256"])
MODULUS = key(SIGNERS["rsassa-sha256"])


def test_exponent_zero_stands_for_65537() -> None:
    assert isinstance(MODULUS, RsaKey)
    loaded = load_key(replace(MODULUS, exponent=0))

    assert isinstance(loaded, rsa.RSAPublicKey)
    assert loaded.public_numbers().e == 65537


def unusable() -> dict[str, RsaKey | EccKey]:
    assert isinstance(GOOD, EccKey)
    assert isinstance(MODULUS, RsaKey)
    return {
        "a point off its curve": replace(GOOD, y=flipped(GOOD.y)),
        "a point of another curve": replace(GOOD, curve=Curve.NIST_P384),
        "a curve that is not supported": replace(GOOD, curve=Curve.SM2_P256),
        "a curve that does not exist": replace(GOOD, curve=0x9999),
        "the point at infinity": replace(GOOD, x=b"", y=b""),
        "no modulus": replace(MODULUS, modulus=b""),
        "a modulus of zeros": replace(MODULUS, modulus=bytes(256)),
        "an even exponent": replace(MODULUS, exponent=4),
        "an exponent of one": replace(MODULUS, exponent=1),
        "an even modulus": replace(MODULUS, modulus=flipped(MODULUS.modulus)),
        "an exponent over the modulus": replace(MODULUS, modulus=b"\x81", exponent=2**32 - 1),
    }


@pytest.mark.parametrize("name", unusable())
def test_a_key_that_cannot_be_one_is_refused(name: str) -> None:
    bad = unusable()[name]
    signer = SIGNERS["rsassa-sha256" if isinstance(bad, RsaKey) else "ecdsa-p256-sha256"]

    with pytest.raises(VerifyError) as refusal:
        verify_signature(bad, MESSAGE, decode_signature(signer.sign(MESSAGE).encode()))

    assert refusal.value.check == "quote.signature"


def test_a_p521_key_verifies() -> None:
    private = ec.generate_private_key(ec.SECP521R1())
    numbers = private.public_key().public_numbers()
    area = EccKey(curve=Curve.NIST_P521, kdf=None, x=numbers.x.to_bytes(66, "big"), y=numbers.y.to_bytes(66, "big"))
    loaded = load_key(area)

    assert isinstance(loaded, ec.EllipticCurvePublicKey)
    assert loaded.public_numbers() == numbers


@pytest.mark.parametrize("alg", list(HashAlg))
@pytest.mark.parametrize("name", ["rsassa-sha256", "rsapss-sha256", "ecdsa-p256-sha256"])
def test_every_hash_is_verified_or_refused(alg: HashAlg, name: str) -> None:
    signer = SIGNERS[name]

    with pytest.raises(VerifyError):
        verify(signer, replace(signer.sign(MESSAGE), hash_alg=alg), message=b"another")


def test_a_hash_that_the_library_lacks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def lacks(*_: object) -> None:
        raise UnsupportedAlgorithm("no such hash")

    monkeypatch.setattr(module, "encode_dss_signature", lacks)

    refused(
        SIGNERS["ecdsa-p256-sha256"], SIGNERS["ecdsa-p256-sha256"].sign(MESSAGE), "sha256 signatures are not supported"
    )
