"""Attestation Results to read and break, and tokens around them. Not a test."""

import base64
import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc import jws
from joserfc.jwk import ECKey

from bartizan.formats.ear import PROFILE

P256, OTHER = (ec.derive_private_key(number, ec.SECP256R1()) for number in (21, 22))
VERIFIER = {"developer": "https://veraison-project.org", "build": "vts 0.0.1"}
DRAFT: dict[str, Any] = {  # draft-ietf-rats-ear-03, figure 3
    "eat_profile": PROFILE,
    "iat": 1666529184,
    "ear_verifier_id": VERIFIER,
    "ear_raw_evidence": "NzQ3MjY5NzM2NTYzNzQK",
    "submods": {
        "PSA": {
            "ear_status": "contraindicated",
            "ear_trustworthiness_vector": {"instance-identity": 2, "executables": 96, "hardware": 2},
            "ear_appraisal_policy_ids": ["https://veraison.example/policy/1/60a0068d"],
        }
    },
}
DOTTED: dict[str, Any] = {
    "eat_profile": "tag:github.com,2024:confidential-containers/Trustee",
    "iat": 1761119308,
    "exp": 1761119608,
    "ear.verifier-id": {"developer": "https://confidentialcontainers.org", "build": "attestation-service 0.1.0"},
    "submods": {
        "cpu0": {
            "ear.status": "contraindicated",
            "ear.trustworthiness-vector": {"configuration": 36, "executables": 33, "file-system": 35, "hardware": 97},
            "ear.appraisal-policy-id": "default",
        }
    },
}
FLAT: dict[str, Any] = {"eat_profile": "tag:github.com,2022:veraison/ear", "iat": 1666091373, "ear.status": 2}
CBOR: dict[int, Any] = {  # draft-ietf-rats-ear-03, figure 5
    265: PROFILE,
    6: 1666529184,
    1004: {0: VERIFIER["developer"], 1: VERIFIER["build"]},
    1002: bytes.fromhex("6C696665626F61746D616E"),
    266: {"PSA": {1000: 96, 1001: {0: 2, 2: 96, 4: 2}, 1003: ["https://veraison.example/policy/1/60a0068d"]}},
}


def with_claim(base: dict[str, Any], **claims: object) -> bytes:
    found = {key: value for key, value in {**base, **claims}.items() if value is not ...}
    return json.dumps(found).encode()


def appraised(base: dict[str, Any], **claims: object) -> bytes:
    """The same with claims of its one attester changed."""
    name, inner = next(iter(base["submods"].items()))
    changed = {key: value for key, value in {**inner, **claims}.items() if value is not ...}
    return with_claim(base, submods={name: changed})


def token(claims: bytes, key: ec.EllipticCurvePrivateKey = P256, **header: object) -> bytes:
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return jws.serialize_compact({"alg": "ES256", **header}, claims, ECKey.import_key(pem)).encode()


def headed(header: dict[str, Any]) -> bytes:
    """A token with any header, and nothing that would verify."""
    return base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=") + b".e30.AA"
