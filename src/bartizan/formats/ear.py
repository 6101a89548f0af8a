"""An Attestation Result as EAR: a signed JWT (draft-ietf-rats-ear-03). Times and keys come in as arguments."""

from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from joserfc import jwt
from joserfc.jwk import ECKey

from bartizan.errors import DecodeError
from bartizan.model.result import AttestationResult, Finding, Tier, worst

PROFILE = "tag:ietf.org,2026:rats/ear#03"
VERIFIER = {"build": "bartizan 0.1.0", "developer": "https://bartizan.invalid"}
ALGORITHM = "ES256"


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


def _signing_key(key_pem: bytes) -> ECKey:
    try:
        loaded = load_pem_private_key(key_pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise DecodeError("signing key", 0, f"no unencrypted private key in PEM: {error}") from error
    if not isinstance(loaded, EllipticCurvePrivateKey) or not isinstance(loaded.curve, SECP256R1):
        raise DecodeError("signing key", 0, "a key on the curve P-256 expected")
    return ECKey.import_key(key_pem)


def sign_ear(claims: dict[str, Any], key_pem: bytes) -> str:
    """The claims as a JWT signed with an EC P-256 private key.

    Raises:
        DecodeError: the key is none of that kind, unencrypted and in PEM.
    """
    key = _signing_key(key_pem)
    return jwt.encode({"alg": ALGORITHM, "typ": "JWT", "kid": key.thumbprint()}, claims, key)


def public_jwks(key_pem: bytes) -> dict[str, Any]:
    """The key set that a Relying Party verifies with.

    Raises:
        DecodeError: as for `sign_ear`.
    """
    key = _signing_key(key_pem)
    public = dict(key.as_dict(private=False))
    return {"keys": [public | {"kid": key.thumbprint(), "alg": ALGORITHM, "use": "sig"}]}
