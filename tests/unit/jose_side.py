"""A Relying Party's reading of results, from RFC 7515, 7517, 7518 with plain ECDSA: without what signs. Not a test."""

import base64
import hashlib
import json
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

KeySet = dict[str, Any]


class RefusedError(Exception):
    """A Relying Party does not accept the token."""


def unpadded(part: str) -> bytes:
    """RFC 7515, 2: base64url without padding, and only in its one form."""
    raw = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != part:
        raise RefusedError("not base64url")
    return raw


def public_key(jwk: dict[str, str]) -> ec.EllipticCurvePublicKey:
    """RFC 7518, 6.2.1."""
    x, y = (int.from_bytes(unpadded(jwk[name]), "big") for name in ("x", "y"))
    return ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()


def thumbprint(jwk: dict[str, str]) -> str:
    """RFC 7638."""
    said = json.dumps({name: jwk[name] for name in ("crv", "kty", "x", "y")}, separators=(",", ":"))
    return base64.urlsafe_b64encode(hashlib.sha256(said.encode()).digest()).rstrip(b"=").decode()


def accepted(token: str, keys: KeySet, *, at: int) -> dict[str, Any]:
    """The claims, as a Relying Party reads them at this second."""
    try:
        head, body, signature = token.split(".")
        header, raw = json.loads(unpadded(head)), unpadded(signature)
        if header["alg"] != "ES256" or len(raw) != 64:
            raise RefusedError("another algorithm")
        (jwk,) = [key for key in keys["keys"] if key["kid"] == header["kid"]]
        pair = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
        public_key(jwk).verify(pair, f"{head}.{body}".encode("ascii"), ec.ECDSA(SHA256()))
        claims: dict[str, Any] = json.loads(unpadded(body))
    except (ValueError, KeyError, InvalidSignature, TypeError) as error:
        raise RefusedError(str(error)) from error
    if not claims["iat"] <= at < claims["exp"]:
        raise RefusedError("not its time")
    return claims
