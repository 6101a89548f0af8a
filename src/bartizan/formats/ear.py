"""An Attestation Result as EAR: a signed JWT (draft-ietf-rats-ear-03). Times and keys come in as arguments."""

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import Any, Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from bartizan.errors import DecodeError
from bartizan.model.result import AttestationResult, Finding, Tier, worst

PROFILE = "tag:ietf.org,2026:rats/ear#03"
VERIFIER = {"build": "bartizan 0.1.0", "developer": "https://bartizan.invalid"}
ALGORITHM = "ES256"
COORDINATE = 32
"""Bytes of a coordinate, and of half a signature, on P-256."""


def ear_claims(
    result: AttestationResult, *, issued_at: int, expires: int, nonce: str | None, submodule: str
) -> dict[str, Any]:
    """The claims of an EAR with one submodule; times in seconds since 1970 UTC.

    A claim that nothing was found out about is left out of the vector, and does not count for the status.
    """
    found = {finding.claim for finding in result.findings}
    vector = {claim.value: tier.ear_value for claim, tier in result.vector.items() if claim in found}
    appraisal: dict[str, Any] = {
        "ear_status": worst([tier for claim, tier in result.vector.items() if claim in found]).value,
        "ear_trustworthiness_vector": vector,
        "ear_appraisal_policy_ids": [f"tag:bartizan,2026:policy/{result.policy}"],
        "ear_verifier_claims": _verifier_claims(result),
    }
    claims: dict[str, Any] = {
        "eat_profile": PROFILE,
        "iat": issued_at,
        "exp": expires,
        "ear_verifier_id": VERIFIER,
        "submods": {submodule: appraisal},
    }
    return claims | ({"eat_nonce": nonce} if nonce else {})


def _verifier_claims(result: AttestationResult) -> dict[str, Any]:
    return {
        "bartizan.level": result.level,
        "bartizan.state": result.state.value,
        "bartizan.contraindicated": result.contraindicated,
        "bartizan.reference": result.reference,
        "bartizan.findings": [_finding(finding) for finding in result.findings if finding.tier is not Tier.AFFIRMING],
    }


def _finding(finding: Finding) -> dict[str, str]:
    """What is not in order; one that a named exception lets pass is told with the exception's reason."""
    said = {"id": finding.id, "tier": finding.tier.value, "why": finding.why, "anchor": finding.anchor.value}
    return said | ({"waiver": finding.waiver} if finding.waiver else {})


class EarKey(Protocol):
    """A P-256 key that signs, wherever it is kept."""

    @property
    def public(self) -> EllipticCurvePublicKey:
        """Its public half."""

    def sign(self, message: bytes) -> bytes:
        """ECDSA with SHA-256 as JOSE writes it: r and s, 32 bytes each (RFC 7518, 3.4)."""


@dataclass(frozen=True, slots=True)
class PemKey:
    """A key that this process holds."""

    private: EllipticCurvePrivateKey

    @property
    def public(self) -> EllipticCurvePublicKey:
        """Its public half."""
        return self.private.public_key()

    def sign(self, message: bytes) -> bytes:
        """As `EarKey` says."""
        r, s = decode_dss_signature(self.private.sign(message, ECDSA(SHA256())))
        return r.to_bytes(COORDINATE, "big") + s.to_bytes(COORDINATE, "big")


def decode_signing_key(pem: bytes) -> PemKey:
    """An unencrypted EC P-256 private key in PEM.

    Raises:
        DecodeError: it is none of that kind.
    """
    try:
        loaded = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise DecodeError("signing key", 0, f"no unencrypted private key in PEM: {error}") from error
    if not isinstance(loaded, EllipticCurvePrivateKey) or not isinstance(loaded.curve, SECP256R1):
        raise DecodeError("signing key", 0, "a key on the curve P-256 expected")
    return PemKey(loaded)


def sign_ear(claims: dict[str, Any], key: EarKey) -> str:
    """The claims as a JWT; what the key raises escapes."""
    return sign_claims(claims, key, typ="JWT")


def sign_claims(claims: dict[str, Any], key: EarKey, *, typ: str) -> str:
    """Claims of a kind as a JWS in compact serialisation (RFC 7515, 7.1); what the key raises escapes."""
    header = {"alg": ALGORITHM, "typ": typ, "kid": thumbprint(key.public)}
    signed = f"{_part(_json(header))}.{_part(_json(claims))}"
    return f"{signed}.{_part(key.sign(signed.encode()))}"


def public_jwk(key: EllipticCurvePublicKey) -> dict[str, Any]:
    """The key as a Relying Party is given it (RFC 7517), named by its thumbprint."""
    return _required(key) | {"kid": thumbprint(key), "alg": ALGORITHM, "use": "sig"}


def thumbprint(key: EllipticCurvePublicKey) -> str:
    """The key's name: the hash of its required members in their one order (RFC 7638, 3)."""
    return _part(hashlib.sha256(_json(_required(key))).digest())


def _required(key: EllipticCurvePublicKey) -> dict[str, str]:
    numbers = key.public_numbers()
    x, y = (_part(number.to_bytes(COORDINATE, "big")) for number in (numbers.x, numbers.y))
    return {"crv": "P-256", "kty": "EC", "x": x, "y": y}


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _part(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
