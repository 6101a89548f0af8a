"""COSE_Sign1: the examples of the COSE working group, our own messages, and every way in which one fails."""

from collections.abc import Callable
from pathlib import Path

import cbor2
import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

from bartizan.errors import ConfigError, DecodeError, VerifyError
from bartizan.formats.cbor import encode_cbor
from bartizan.formats.cose import decode_cose, sign_cose, signature_input
from bartizan.formats.key_file import PublicKey, decode_key_file
from bartizan.model.cbor import Tagged
from bartizan.verify import cose
from bartizan.verify.cose import verify_cose

VECTORS = Path(__file__).parents[1] / "vectors" / "corim"
HIRS = VECTORS / "nsacyber_HIRS"
CONTENT = b"This is the content."
EXAMPLES_KEY = decode_key_file((VECTORS / "keys" / "cose-examples.jwk").read_bytes())[0].key
KEYS = {
    "P-256": ec.derive_private_key(7, ec.SECP256R1()),
    "P-384": ec.derive_private_key(7, ec.SECP384R1()),
    "P-521": ec.derive_private_key(7, ec.SECP521R1()),
    "Ed25519": ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32))),
    "RSA": rsa.generate_private_key(65537, 2048),
}
P256 = KEYS["P-256"]
Change = Callable[[list[object]], object]


def external(name: str) -> bytes:
    return bytes.fromhex("11aa22bb33cc44dd55006699") if name.endswith("02") else b""


@pytest.mark.parametrize("name", ["sign-pass-01", "sign-pass-02", "sign-pass-03"])
def test_an_example_of_the_working_group_verifies(name: str) -> None:
    message = decode_cose((HIRS / f"cose-{name}.cose").read_bytes())

    verified = verify_cose(message, EXAMPLES_KEY, external=external(name))

    assert verified.payload == CONTENT
    assert message.tagged is (name != "sign-pass-03")


@pytest.mark.parametrize("name", ["sign-pass-01", "sign-pass-02"])
def test_what_is_signed_is_what_the_example_says(name: str) -> None:
    message = decode_cose((HIRS / f"cose-{name}.cose").read_bytes())
    stated = (HIRS / f"cose-cose-{name.removeprefix('sign-')}-toBeSigned.bin").read_bytes()

    assert signature_input(message, CONTENT, external=external(name)) == stated


def test_an_rsa_signature_under_an_ecdsa_name_is_refused() -> None:
    message = decode_cose((HIRS / "cose-sign_pass_rsa_3072_sha384.cose").read_bytes())

    with pytest.raises(VerifyError, match="a signature of 64 bytes expected, found 384"):
        verify_cose(message, EXAMPLES_KEY)
    with pytest.raises(VerifyError, match="found algorithm -7"):
        verify_cose(message, KEYS["RSA"].public_key())


@pytest.mark.parametrize("name", KEYS)
def test_an_own_message_verifies_with_its_key_and_no_other(name: str) -> None:
    raw = sign_cose(b"payload", KEYS[name], {3: "text/plain", 4: b"kid"})
    message = decode_cose(raw)

    verified = verify_cose(message, KEYS[name].public_key())

    assert (verified.payload, verified.headers[3], verified.headers[4]) == (b"payload", "text/plain", b"kid")
    for other in KEYS.keys() - {name}:
        with pytest.raises(VerifyError):
            verify_cose(message, KEYS[other].public_key())


def independent(raw: bytes) -> tuple[bytes, bytes, bytes]:
    """Protected bytes, payload and signature as cbor2 reads them, and the payload's Sig_structure by the book."""
    tag = cbor2.loads(raw)
    protected, unprotected, payload, signature = tag.value
    assert (tag.tag, unprotected) == (18, {})
    return cbor2.dumps(["Signature1", protected, b"", payload]), payload, signature


def test_an_independent_reader_verifies_an_own_message() -> None:
    signed, payload, signature = independent(sign_cose(b"payload", P256, {}))
    pair = utils.encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))

    P256.public_key().verify(pair, signed, ec.ECDSA(hashes.SHA256()))
    assert payload == b"payload"


@pytest.mark.parametrize(
    ("algorithm", "digest"), [(-37, hashes.SHA256()), (-38, hashes.SHA384()), (-39, hashes.SHA512())]
)
def test_every_pss_algorithm_verifies(algorithm: int, digest: hashes.HashAlgorithm) -> None:
    protected = encode_cbor({1: algorithm})
    signed = encode_cbor(["Signature1", protected, b"", b"x"])
    pss = padding.PSS(mgf=padding.MGF1(digest), salt_length=digest.digest_size)
    raw = encode_cbor([protected, {}, b"x", KEYS["RSA"].sign(signed, pss, digest)])

    assert verify_cose(decode_cose(raw), KEYS["RSA"].public_key()).payload == b"x"


def changed(change: Change, *, headers: dict[int, object] | None = None) -> bytes:
    """An own message with one part changed after signing."""
    parts = cbor2.loads(sign_cose(b"payload", P256, headers or {})).value
    parts = list(parts)
    change(parts)
    return encode_cbor(Tagged(18, parts))


def put(index: int, value: object) -> Change:
    return lambda parts: parts.__setitem__(index, value)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (put(2, b"other"), "does not match"),
        (put(3, bytes(64)), "does not match"),
        (put(3, bytes(63)), "a signature of 64 bytes expected"),
        (put(0, encode_cbor({1: -7, 9: 1})), "does not match"),
        (put(0, encode_cbor({1: -35})), "algorithm -7 expected of a key on secp256r1, found -35"),
        (put(0, encode_cbor({})), "algorithm -7 expected of a key on secp256r1, found None"),
        (put(0, encode_cbor({1: "ES256"})), "found 'ES256'"),
        (put(0, encode_cbor({1: True})), "found True"),
        (put(0, encode_cbor({1: -7, 2: [4]})), "a header is marked as critical"),
        (put(1, {2: [4]}), "a header is marked as critical"),
        (put(2, None), "one payload expected"),
    ],
)
def test_a_changed_message_does_not_verify(change: Change, why: str) -> None:
    with pytest.raises(VerifyError, match=why):
        verify_cose(decode_cose(changed(change)), P256.public_key())


def test_a_payload_may_travel_apart() -> None:
    message = decode_cose(changed(put(2, None)))

    assert verify_cose(message, P256.public_key(), detached=b"payload").payload == b"payload"
    with pytest.raises(VerifyError, match="does not match"):
        verify_cose(message, P256.public_key(), detached=b"other")


def test_two_payloads_are_one_too_many() -> None:
    message = decode_cose(sign_cose(b"payload", P256, {}))

    with pytest.raises(VerifyError, match="one payload expected"):
        verify_cose(message, P256.public_key(), detached=b"payload")


def test_other_external_data_does_not_verify() -> None:
    message = decode_cose(sign_cose(b"payload", P256, {}))

    with pytest.raises(VerifyError, match="does not match"):
        verify_cose(message, P256.public_key(), external=b"else")


def test_a_short_rsa_key_is_refused() -> None:
    key = rsa.generate_private_key(65537, 1024)  # noqa: S505  # refused for just this

    with pytest.raises(VerifyError, match="2048 bits and more expected"):
        verify_cose(decode_cose(sign_cose(b"payload", key, {})), key.public_key())


def test_a_key_on_another_curve_is_refused() -> None:
    key = ec.derive_private_key(7, ec.SECP256K1())
    message = decode_cose(sign_cose(b"payload", P256, {}))

    with pytest.raises(VerifyError, match="secp256k1 is not accepted"):
        verify_cose(message, key.public_key())
    with pytest.raises(ConfigError, match="secp256k1 signs nothing"):
        sign_cose(b"payload", key, {})


def test_a_key_that_the_library_cannot_use_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(*_arguments: object) -> None:
        raise UnsupportedAlgorithm("not here")

    monkeypatch.setattr(cose, "_verify_ecdsa", unsupported)
    key: PublicKey = P256.public_key()

    with pytest.raises(VerifyError, match="the key cannot be used: not here"):
        verify_cose(decode_cose(sign_cose(b"payload", P256, {})), key)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({}, "an array expected"),
        ([b"", {}, b""], "an array of 4 expected, found 3"),
        ([b"", {}, b"", b"", b""], "an array of 4 expected, found 5"),
        (["", {}, b"", b""], "bytes expected, found text"),
        ([b"", [], b"", b""], "a map expected"),
        ([b"\x80", {}, b"", b""], "a map expected"),
        ([b"\xa1", {}, b"", b""], "announced"),
        ([b"", {}, "", b""], "bytes expected, found text"),
        ([b"", {}, b"", None], "bytes expected, found null"),
        ([encode_cbor({1: -7}), {1: -7}, b"", b""], "stands in both header maps"),
        (Tagged(98, [b"", {}, b"", b""]), "an array expected, found tag 98"),
    ],
)
def test_what_is_no_message_is_refused(value: object, why: str) -> None:
    with pytest.raises(DecodeError, match=why):
        decode_cose(encode_cbor(value))
