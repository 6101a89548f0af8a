"""COSE_Sign1 (RFC 9052, 4.2) read and written. It verifies nothing: that is `verify.cose`."""

from collections.abc import Mapping

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from bartizan.errors import ConfigError
from bartizan.formats.cbor import decode_cbor, encode_cbor
from bartizan.formats.cbor_shape import Place, kind, octets, record
from bartizan.model.cbor import Key, Map, Tagged
from bartizan.model.cose import CoseSign1

SIGN1 = 18
ALGORITHM, CRITICAL, CONTENT_TYPE, KEY_ID = 1, 2, 3, 4
"""Header parameters; RFC 9052, 3.1."""
ES256, ES384, ES512, EDDSA, PS256, PS384, PS512 = -7, -35, -36, -8, -37, -38, -39
"""Algorithms; RFC 9053, 2.1 and 2.2; RFC 8230, 2."""
ES_OF_CURVE = {
    "secp256r1": (ES256, hashes.SHA256()),
    "secp384r1": (ES384, hashes.SHA384()),
    "secp521r1": (ES512, hashes.SHA512()),
}
SigningKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


def decode_cose(raw: bytes) -> CoseSign1:
    """A COSE_Sign1 message, with its tag or without.

    Raises:
        DecodeError: another message, or a header twice.
    """
    value = decode_cbor(raw)
    return read_sign1(value, Place("COSE_Sign1"))


def read_sign1(value: object, place: Place) -> CoseSign1:
    """A COSE_Sign1 message from its CBOR item.

    Raises:
        DecodeError: it is none.
    """
    tagged = isinstance(value, Tagged) and value.tag == SIGN1
    items = record(value.value if isinstance(value, Tagged) and tagged else value, place, least=4, most=4)
    protected = octets(items[0], place.at("protected"))
    payload = items[2]
    message = CoseSign1(
        protected=protected,
        headers=_header(protected, place.at("protected")),
        untrusted=_map(items[1], place.at("unprotected")),
        payload=None if payload is None else octets(payload, place.at("payload")),
        signature=octets(items[3], place.at("signature")),
        tagged=tagged,
    )
    twice = message.headers.keys() & message.untrusted.keys()
    if twice:  # RFC 9052, 3: the same label in both buckets is malformed
        raise place.refuse(f"header {sorted(map(str, twice))} stands in both header maps")
    return message


def _header(protected: bytes, place: Place) -> Map:
    return _map(decode_cbor(protected), place) if protected else Map()


def _map(value: object, place: Place) -> Map:
    if not isinstance(value, Map):
        raise place.refuse(f"a map expected, found {kind(value)}")
    return value


def signature_input(message: CoseSign1, payload: bytes, *, external: bytes = b"") -> bytes:
    """The bytes under the signature: Sig_structure; an empty header map counts as an empty string. RFC 9052, 4.4."""
    protected = message.protected if message.headers else b""
    return encode_cbor(["Signature1", protected, external, payload])


def sign_cose(payload: bytes, key: SigningKey, headers: Mapping[Key, object]) -> bytes:
    """A tagged COSE_Sign1 message over a payload; the algorithm follows from the key.

    Raises:
        ConfigError: a curve without an algorithm here.
    """
    algorithm = _algorithm(key)
    protected = encode_cbor({**headers, ALGORITHM: algorithm})
    to_sign = encode_cbor(["Signature1", protected, b"", payload])
    return encode_cbor(Tagged(SIGN1, [protected, {}, payload, _sign(key, to_sign)]))


def _algorithm(key: SigningKey) -> int:
    if isinstance(key, rsa.RSAPrivateKey):
        return PS256
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return EDDSA
    if key.curve.name not in ES_OF_CURVE:
        raise ConfigError(f"a key on curve {key.curve.name} signs nothing here; P-256, P-384 or P-521 expected")
    return ES_OF_CURVE[key.curve.name][0]


def _sign(key: SigningKey, message: bytes) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        digest = hashes.SHA256()
        return key.sign(message, padding.PSS(mgf=padding.MGF1(digest), salt_length=digest.digest_size), digest)
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(message)
    size = (key.curve.key_size + 7) // 8
    r, s = decode_dss_signature(key.sign(message, ec.ECDSA(ES_OF_CURVE[key.curve.name][1])))
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")
