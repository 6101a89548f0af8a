"""A key in each form that an operator may have it in."""

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from bartizan.errors import DecodeError
from bartizan.formats.public_key import MAX_KEY, decode_public_key
from bartizan.model.tpm import Alg, Curve, EccKey, RsaKey, Scheme
from tests.simulator.quotes import SIGNERS

KINDS = {"rsa": "rsassa-sha256", "p256": "ecdsa-p256-sha256", "p384": "ecdsa-p384-sha384"}
CURVES = {"p256": Curve.NIST_P256, "p384": Curve.NIST_P384}


def spki(kind: str, encoding: Encoding) -> bytes:
    return SIGNERS[KINDS[kind]].private.public_key().public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["PEM", "DER", "PEM after a blank line"])
def test_a_subject_public_key_info_names_the_same_key_as_the_tpms_form(kind: str, form: str) -> None:
    raw = spki(kind, Encoding.DER if form == "DER" else Encoding.PEM)
    found = decode_public_key(b"\n" + raw if form == "PEM after a blank line" else raw).key
    expected = decode_public_key(SIGNERS[KINDS[kind]].public()).key

    if isinstance(found, RsaKey):
        assert isinstance(expected, RsaKey)
        assert (found.bits, found.modulus) == (expected.bits, expected.modulus)
        assert (found.exponent, expected.exponent) == (65537, 0)
    else:
        assert found == expected
        assert found.curve == CURVES[kind]


def test_only_the_tpms_form_binds_a_scheme() -> None:
    bound = decode_public_key(SIGNERS["rsapss-sha384"].public())

    assert bound.scheme == Scheme(alg=Alg.RSAPSS, hash_alg=0x000C)
    assert decode_public_key(spki("rsa", Encoding.PEM)).scheme is None


def test_a_p521_coordinate_keeps_its_66_bytes() -> None:
    raw = ec.generate_private_key(ec.SECP521R1()).public_key()
    key = decode_public_key(raw.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).key

    assert isinstance(key, EccKey)
    assert (len(key.x), len(key.y), key.curve) == (66, 66, Curve.NIST_P521)


def other(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | dsa.DSAPrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize(
    "raw",
    [
        other(ed25519.Ed25519PrivateKey.generate()),
        other(ec.generate_private_key(ec.SECP256K1())),
    ],
    ids=["Ed25519", "secp256k1"],
)
def test_a_key_that_signs_no_quotes_is_refused(raw: bytes) -> None:
    with pytest.raises(DecodeError, match="NIST P-256"):
        decode_public_key(raw)


PRIVATE = rsa.generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize(
    "raw",
    [
        PRIVATE,
        spki("p256", Encoding.DER)[:-1],
        spki("p256", Encoding.DER) + b"\0",
        spki("p256", Encoding.PEM)[:60],
        b"0",
        b"-----BEGIN",
    ],
    ids=["a private key", "cut short", "bytes left over", "half a PEM", "one byte", "an opening"],
)
def test_another_pem_or_der_is_refused(raw: bytes) -> None:
    with pytest.raises(DecodeError, match="not a SubjectPublicKeyInfo"):
        decode_public_key(raw)


@pytest.mark.parametrize("raw", [b"", b"\0", b"hello", bytes(100)])
def test_anything_else_is_read_as_the_tpms_form_and_refused(raw: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_public_key(raw)


def test_a_point_that_is_not_on_its_curve_is_refused() -> None:
    raw = bytearray(spki("p256", Encoding.DER))
    raw[-1] ^= 1

    with pytest.raises(DecodeError, match="not a SubjectPublicKeyInfo"):
        decode_public_key(bytes(raw))


def test_a_file_over_the_limit_is_refused_unread() -> None:
    with pytest.raises(DecodeError, match="over the limit of 16384"):
        decode_public_key(bytes(MAX_KEY + 1))
