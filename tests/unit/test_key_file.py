"""Public keys in the files that operators have: PEM, certificates, JWK and JWK sets."""

import base64
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from joserfc.jwk import ECKey, OKPKey, RSAKey

from bartizan.errors import DecodeError
from bartizan.formats import key_file
from bartizan.formats.key_file import PublicKey, certificate_key, decode_key_file
from bartizan.model.certificate import CertificateKey, KeyKind

SIGNER = Path(__file__).parents[1] / "vectors" / "rim" / "nsacyber_HIRS" / "signer.pem"
EC = ec.derive_private_key(3, ec.SECP256R1()).public_key()
RSA = rsa.generate_private_key(65537, 2048).public_key()
ED = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key()
KEYS: list[PublicKey] = [EC, ec.derive_private_key(3, ec.SECP384R1()).public_key(), RSA, ED]


def pem(key: object) -> bytes:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined,no-any-return]


def jwk(key: PublicKey, **members: str) -> dict[str, str]:
    kind = (
        ECKey if isinstance(key, ec.EllipticCurvePublicKey) else RSAKey if isinstance(key, rsa.RSAPublicKey) else OKPKey
    )
    made: dict[str, str] = {**kind.import_key(pem(key)).as_dict(private=False), **members}
    return made


@pytest.mark.parametrize("key", KEYS, ids=["P-256", "P-384", "RSA", "Ed25519"])
def test_a_key_is_the_same_in_every_form(key: PublicKey) -> None:
    alone = decode_key_file(pem(key))
    single = decode_key_file(json.dumps(jwk(key, kid="a", alg="X")).encode())
    several = decode_key_file(json.dumps({"keys": [jwk(key), jwk(EC)]}).encode())

    assert [pem(one[0].key) for one in (alone, single, several)] == [pem(key)] * 3
    assert (single[0].kid, single[0].alg, alone[0].kid) == ("a", "X", None)
    assert len(several) == 2


def test_a_certificate_gives_its_key() -> None:
    (found,) = decode_key_file(SIGNER.read_bytes())

    assert isinstance(found.key, rsa.RSAPublicKey)
    assert found.key.key_size == 2048


def test_several_blocks_give_several_keys() -> None:
    assert len(decode_key_file(pem(EC) + SIGNER.read_bytes() + pem(ED))) == 3


def test_a_point_of_a_certificate_is_a_key() -> None:
    numbers = EC.public_numbers()
    found = certificate_key(CertificateKey(kind=KeyKind.EC, curve="secp256r1", x=numbers.x, y=numbers.y))

    assert pem(found) == pem(EC)


def spki(octets: bytes, label: str = "PUBLIC KEY") -> bytes:
    return f"-----BEGIN {label}-----\n{base64.b64encode(octets).decode()}\n-----END {label}-----\n".encode()


PRIVATE = ec.derive_private_key(3, ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
ED448 = ed448.Ed448PrivateKey.generate().public_key()


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "1 to 100 keys expected, found 0"),
        (PRIVATE, "1 to 100 keys expected, found 0"),
        (b"{}", "an EC, RSA or Ed25519 key expected"),
        (b'{"keys": []}', "1 to 100 keys expected, found 0"),
        (b'{"keys": {}}', "`keys` is no list"),
        (b'{"keys": [1]}', "an object expected"),
        (b'{"kty": "oct", "k": "AA"}', "an EC, RSA or Ed25519 key expected"),
        (b'{"kty": "OKP", "crv": "X25519", "x": "AA"}', "an EC, RSA or Ed25519 key expected"),
        (b'{"kty": "OKP", "crv": "Ed25519", "x": "AA"}', "An Ed25519 public key is 32 bytes long"),
        (b'{"kty": "EC", "crv": "P-256", "x": "AA"}', "text expected"),
        (b'{"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA"}', "P-256, P-384 or P-521 expected"),
        (b'{"kty": "EC", "crv": "P-256", "x": "AQ", "y": "AQ"}', "a point off its curve"),
        (b'{"kty": "EC", "crv": "P-256", "x": "A", "y": "AQ"}', "base64url without padding expected"),
        (b'{"kty": "RSA", "n": "AQ", "e": "AQ"}', ""),
        (b"{", "not JSON"),
        (spki(b"\x30\x00"), "not a SubjectPublicKeyInfo"),
        (spki(b"\x30\x00", "CERTIFICATE"), ""),
        (pem(ED448), "an RSA key, an Ed25519 key, or one on P-256"),
        (pem(ec.derive_private_key(3, ec.SECP256K1()).public_key()), "an RSA key, an Ed25519 key, or one on P-256"),
    ],
)
def test_what_is_no_key_is_refused(raw: bytes, why: str) -> None:
    with pytest.raises(DecodeError) as refused:
        decode_key_file(raw)

    assert why in refused.value.why


def test_a_key_that_would_take_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_file, "MAX_RSA_BITS", 2047)

    with pytest.raises(DecodeError, match="an RSA key, an Ed25519 key"):
        decode_key_file(pem(RSA))


def test_a_large_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_file, "MAX_KEY_FILE", 10)

    with pytest.raises(DecodeError, match="over the limit of 10"):
        decode_key_file(pem(EC))
