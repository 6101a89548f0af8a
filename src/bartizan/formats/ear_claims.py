"""The claims of an EAR, in draft-ietf-rats-ear-03 and the two dialects before it, normalised. It verifies nothing.

The dialects differ in names and in one level: tokens of 2023 (Veraison, Trustee) have `ear.status` within `submods`,
those of 2022 have it at the top. Unknown claims are passed over, as the draft demands.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bartizan.errors import DecodeError
from bartizan.formats.cbor import decode_cbor
from bartizan.formats.ear import PROFILE
from bartizan.formats.strict import json_value
from bartizan.model.cbor import Array, Map, Tagged
from bartizan.model.ear import Dialect, Ear, EarAppraisal, TrustClaim
from bartizan.model.result import Claim, Tier

TIERS: Mapping[str | int, Tier] = {**{tier.value: tier for tier in Tier}, **{tier.ear_value: tier for tier in Tier}}
"""By name and by number; draft-ietf-rats-ar4si, 3.2."""
CLAIM_NAMES: Mapping[str, Claim] = {claim.value: claim for claim in Claim}
MAX_SUBMODULES = 256
NONCE_SIZES = range(8, 129)
"""Characters: 8 to 88 in JSON, 8 to 64 bytes in CBOR, which are shown as twice as many; RFC 9711, 4.1."""
LOWEST, HIGHEST = -128, 127


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spelling:
    """How a dialect names its members. numbered: a tier may be a number; whole: times are integers only."""

    dialect: Dialect
    status: str
    vector: str
    policies: str
    verifier: str | None
    numbered: bool
    whole: bool


DRAFT = _Spelling(
    dialect=Dialect.DRAFT_03,
    status="ear_status",
    vector="ear_trustworthiness_vector",
    policies="ear_appraisal_policy_ids",
    verifier="ear_verifier_id",
    numbered=False,
    whole=True,
)
DOTTED = _Spelling(
    dialect=Dialect.DOTTED,
    status="ear.status",
    vector="ear.trustworthiness-vector",
    policies="ear.appraisal-policy-id",
    verifier="ear.verifier-id",
    numbered=True,
    whole=False,
)
FLAT = _Spelling(
    dialect=Dialect.FLAT,
    status="ear.status",
    vector="ear.trustworthiness-vector",
    policies="ear.appraisal-policy-id",
    verifier=None,
    numbered=True,
    whole=False,
)
PROFILES: Mapping[str, _Spelling] = {
    PROFILE: DRAFT,
    "tag:github.com,2023:veraison/ear": DOTTED,
    "tag:github.com,2024:confidential-containers/Trustee": DOTTED,
    "tag:github.com,2022:veraison/ear": FLAT,
    "tag:github.com/veraison/ar4si,2022-10-17": FLAT,
}
"""Those of draft-ietf-rats-ear-03, draft-fv-rats-ear, the CoCo Trustee, and Veraison before it had submodules."""


def decode_ear(payload: bytes) -> Ear:
    """The claims of an EAR in JSON, the payload of a JWT.

    Raises:
        DecodeError: not JSON, a profile that is no EAR's, or a claim that is missing or wrong.
    """
    return _ear(json_value(payload, "EAR"), PROFILES)


def decode_ear_cbor(payload: bytes) -> Ear:
    """The claims of an EAR in CBOR, the payload of a CWT; draft-ietf-rats-ear-03, 3.3.

    Raises:
        DecodeError: as for `decode_ear`.
    """
    value = decode_cbor(payload)
    claims = _renamed(value.value if isinstance(value, Tagged) and value.tag == CWT else value, LABELS)
    return _ear(claims, {profile: _in_cbor(spelling) for profile, spelling in PROFILES.items()})


CWT = 61
LABELS: Mapping[object, str] = {
    265: "eat_profile",
    6: "iat",
    4: "exp",
    5: "nbf",
    10: "eat_nonce",
    266: "submods",
    1000: "ear_status",
    1001: "ear_trustworthiness_vector",
    1003: "ear_appraisal_policy_ids",
    1004: "ear_verifier_id",
}
"""CWT claim keys; draft-ietf-rats-ear-03, 3, RFC 9711, 10.2, RFC 8392, 4."""
INNER_LABELS: Mapping[str, Mapping[object, str]] = {
    "ear_verifier_id": {0: "developer", 1: "build"},
    "ear_trustworthiness_vector": {number: claim.value for number, claim in enumerate(Claim)},
}


def _in_cbor(spelling: _Spelling) -> _Spelling:
    """In CBOR all dialects have the draft's labels, and tiers are numbers."""
    return _Spelling(
        dialect=spelling.dialect,
        status=DRAFT.status,
        vector=DRAFT.vector,
        policies=DRAFT.policies,
        verifier=DRAFT.verifier,
        numbered=True,
        whole=True,
    )


def _renamed(value: object, labels: Mapping[object, str]) -> Any:
    """A map with names in place of labels; labels that are none here are dropped, as unknown claims are."""
    if not isinstance(value, Map):
        raise DecodeError("EAR", 0, "a map of claims expected")
    found: dict[str, Any] = {}
    for label, item in value.items():
        name = labels.get(label)
        if name == "submods":
            found[name] = {key: _renamed(inner, LABELS) for key, inner in _map(item).items() if isinstance(key, str)}
        elif name is not None:
            found[name] = _renamed(item, INNER_LABELS[name]) if name in INNER_LABELS else _plain(item)
        elif labels is not LABELS:
            raise DecodeError("EAR", value.offset, f"label {label!a:.40} is not known in this map")
    return found


def _map(value: object) -> Map:
    if not isinstance(value, Map):
        raise DecodeError("EAR submods", 0, "a map expected")
    return value


def _plain(value: object) -> object:
    """Bytes (a nonce) as hexadecimal text; the rest as it is."""
    if isinstance(value, Array):
        return [_plain(item) for item in value]
    return value.hex() if isinstance(value, bytes) else value


def _ear(claims: Any, profiles: Mapping[str, _Spelling]) -> Ear:
    if not isinstance(claims, dict):
        raise DecodeError("EAR", 0, "an object of claims expected")
    profile = claims.get("eat_profile")
    spelling = profiles.get(profile) if isinstance(profile, str) else None
    if spelling is None or not isinstance(profile, str):
        raise DecodeError("EAR eat_profile", 0, f"no profile of an EAR that is known here: {profile!a:.80}")
    verifier = _verifier(claims, spelling)
    return Ear(
        dialect=spelling.dialect,
        profile=profile,
        issued_at=_time(claims, "iat", spelling, needed=True) or 0,
        expires=_time(claims, "exp", spelling, needed=False),
        not_before=_time(claims, "nbf", spelling, needed=False),
        status=_tier(claims[DRAFT.status], spelling) if DRAFT.status in claims else None,
        developer=verifier[0],
        build=verifier[1],
        nonces=_nonces(claims.get("eat_nonce")),
        appraisals=_appraisals(claims, spelling),
    )


def _appraisals(claims: dict[str, Any], spelling: _Spelling) -> tuple[EarAppraisal, ...]:
    if spelling.dialect is Dialect.FLAT:
        return (_appraisal("", claims, spelling),)
    submodules = claims.get("submods")
    if not isinstance(submodules, dict) or not 0 < len(submodules) <= MAX_SUBMODULES:
        raise DecodeError("EAR submods", 0, f"an object of 1 to {MAX_SUBMODULES} appraisals expected")
    return tuple(_appraisal(name, inner, spelling) for name, inner in submodules.items())


def _appraisal(name: str, claims: Any, spelling: _Spelling) -> EarAppraisal:
    if not isinstance(claims, dict) or spelling.status not in claims:
        raise DecodeError(f"EAR submods {name[:60]!a}", 0, f"an object with {spelling.status} expected")
    return EarAppraisal(
        name=name,
        status=_tier(claims[spelling.status], spelling),
        vector=_vector(claims[spelling.vector]) if spelling.vector in claims else {},
        policies=_policies(claims[spelling.policies]) if spelling.policies in claims else (),
    )


def _tier(value: Any, spelling: _Spelling) -> Tier:
    allowed = isinstance(value, str) or (spelling.numbered and isinstance(value, int) and not isinstance(value, bool))
    if not allowed or value not in TIERS:
        raise DecodeError("EAR status", 0, f"a trust tier expected, found {value!a:.60}")
    return TIERS[value]


def _vector(value: Any) -> Mapping[Claim, TrustClaim]:
    if not isinstance(value, dict):
        raise DecodeError("EAR trustworthiness vector", 0, "an object expected")
    return {_claim(name): _trust(number) for name, number in value.items()}


def _claim(name: str) -> Claim:
    if name not in CLAIM_NAMES:
        raise DecodeError("EAR trustworthiness vector", 0, f"{name[:60]!a} is none of the eight claims")
    return CLAIM_NAMES[name]


def _trust(value: Any) -> TrustClaim:
    if not isinstance(value, int) or isinstance(value, bool) or not LOWEST <= value <= HIGHEST:
        raise DecodeError("EAR trustworthiness vector", 0, f"{LOWEST} to {HIGHEST} expected, found {value!a:.60}")
    return TrustClaim(value=value, tier=Tier.of_claim(value))


def _policies(value: Any) -> tuple[str, ...]:
    """Identifiers of appraisal policies: a list in the draft, one text before it."""
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list) or not found or not all(isinstance(one, str) for one in found):
        raise DecodeError("EAR appraisal policies", 0, "text, or a list of it, expected")
    return tuple(found)


def _verifier(claims: dict[str, Any], spelling: _Spelling) -> tuple[str, str]:
    if spelling.verifier is None:
        return "", ""
    value = claims.get(spelling.verifier)
    parts = (value.get("developer"), value.get("build")) if isinstance(value, dict) else (None, None)
    if not isinstance(parts[0], str) or not isinstance(parts[1], str):
        raise DecodeError("EAR verifier", 0, f"{spelling.verifier} with developer and build expected")
    return parts[0], parts[1]


def _nonces(value: Any) -> tuple[str, ...]:
    found = [] if value is None else value if isinstance(value, list) else [value]
    if not all(isinstance(one, str) and len(one) in NONCE_SIZES for one in found):
        raise DecodeError("EAR eat_nonce", 0, f"{NONCE_SIZES[0]} to {NONCE_SIZES[-1]} characters expected")
    return tuple(found)


def _time(claims: dict[str, Any], name: str, spelling: _Spelling, *, needed: bool) -> int | None:
    """A time; older dialects have it as a float at times, which must be a whole number then."""
    value = claims.get(name)
    if value is None and not needed:
        return None
    if isinstance(value, float) and not spelling.whole and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 53:
        raise DecodeError(f"EAR {name}", 0, f"whole seconds since 1970 expected, found {value!a:.60}")
    return value
