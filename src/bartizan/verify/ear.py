"""Whether an EAR was signed by a key that the operator gave, and does not contradict itself."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from bartizan.errors import VerifyError
from bartizan.formats.ear_claims import decode_ear, decode_ear_cbor
from bartizan.formats.key_file import NamedKey, PublicKey
from bartizan.model.cose import CoseSign1
from bartizan.model.ear import Ear, EarAppraisal
from bartizan.model.jws import Jws
from bartizan.model.result import Tier, worst
from bartizan.verify.cose import verify_cose

CHECK = "ear.signature"
MIN_RSA_BITS = 2048
"""RFC 7518, 3.3."""
EC_ALGORITHMS: Mapping[str, str] = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
RSA_ALGORITHMS = frozenset({"PS256", "PS384", "PS512", "RS256", "RS384", "RS512"})
LEEWAY = 60
"""Seconds by which clocks may differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedEar:
    """A result that a known key signed; `kid` is that key's name in its file."""

    ear: Ear
    kid: str | None


def verify_ear(token: Jws, keys: Iterable[NamedKey]) -> VerifiedEar:
    """Verify an EAR as a JWT; draft-ietf-rats-ear-03, 3, and RFC 7515, 5.2.

    Steps: (1) a key that is given fits the token's key name and algorithm; (2) its signature holds; (3) the claims are
    an EAR; (4) no status is better than the worst claim under it. Time is not looked at: see `time_fault`.

    Raises:
        VerifyError: (1), (2) or (4) fails. DecodeError: (3) does.
    """
    signer = verify_signer(token, keys)  # (1), (2)
    ear = decode_ear(token.payload)  # (3)
    _check_consistent(ear)  # (4)
    return VerifiedEar(ear=ear, kid=signer.kid)


def verify_signer(token: Jws, keys: Iterable[NamedKey]) -> NamedKey:
    """The key that signed a token, whatever it says; RFC 7515, 5.2.

    Steps: (1) a key that is given fits the token's key name and algorithm; (2) its signature holds.

    Raises:
        VerifyError: (1) or (2) fails.
    """
    candidates = [named for named in keys if _fits(named, token)]  # (1)
    if not candidates:
        raise VerifyError(CHECK, f"no key is given for algorithm {token.alg[:20]!a} and key name {token.kid!a:.60}")
    signer = next((named for named in candidates if _holds(named.key, token)), None)  # (2)
    if signer is None:
        raise VerifyError(CHECK, "the signature does not match: signed by none of the keys given, or changed since")
    return signer


def verify_ear_cwt(message: CoseSign1, keys: Iterable[NamedKey]) -> VerifiedEar:
    """Verify an EAR as a CWT: the same for a COSE_Sign1 message; RFC 8392, 7.2.

    Raises:
        VerifyError, DecodeError: as for `verify_ear`.
    """
    failed = VerifyError(CHECK, "no key is given")
    for named in keys:
        try:
            payload = verify_cose(message, named.key).payload
        except VerifyError as error:
            failed = VerifyError(CHECK, error.why)
            continue
        ear = decode_ear_cbor(payload)
        _check_consistent(ear)
        return VerifiedEar(ear=ear, kid=named.kid)
    raise failed


def time_fault(ear: Ear, *, now: int) -> str:
    """Why a result does not count at this time, in words; empty when it does. now: seconds since 1970 UTC."""
    if ear.expires is not None and now >= ear.expires:
        return f"it expired {now - ear.expires} s ago"
    if max(ear.issued_at, ear.not_before or 0) > now + LEEWAY:
        return "it is from the future"
    return ""


def _fits(named: NamedKey, token: Jws) -> bool:
    if None not in (named.kid, token.kid) and named.kid != token.kid:
        return False
    return token.alg in _algorithms(named.key) and named.alg in (None, token.alg)


def _algorithms(key: PublicKey) -> frozenset[str]:
    """What a key may sign with: `none` and symmetric algorithms are for no public key."""
    if isinstance(key, ec.EllipticCurvePublicKey):
        return frozenset({EC_ALGORITHMS[key.curve.name]})
    if isinstance(key, ed25519.Ed25519PublicKey):
        return frozenset({"EdDSA", "Ed25519"})
    return RSA_ALGORITHMS if key.key_size >= MIN_RSA_BITS else frozenset()


def _holds(key: PublicKey, token: Jws) -> bool:
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    kind = (
        ECKey if isinstance(key, ec.EllipticCurvePublicKey) else RSAKey if isinstance(key, rsa.RSAPublicKey) else OKPKey
    )
    try:
        jws.deserialize_compact(token.token, kind.import_key(pem), algorithms=[token.alg])
    except (JoseError, ValueError):
        return False
    return True


def _check_consistent(ear: Ear) -> None:
    for appraisal in ear.appraisals:
        _check_status(f"status of {appraisal.name[:60]!a}", appraisal.status, _made(appraisal))
    if ear.status is not None:
        _check_status("overall status", ear.status, [appraisal.status for appraisal in ear.appraisals])


def _made(appraisal: EarAppraisal) -> list[Tier]:
    """Tiers of the claims that are made: `none` is no claim; draft-ietf-rats-ar4si, 2.3.3."""
    return [claim.tier for claim in appraisal.vector.values() if claim.tier is not Tier.NONE]


def _check_status(what: str, status: Tier, below: list[Tier]) -> None:
    """draft-ietf-rats-ear-03, 3 and 3.1: of no higher trust than the worst below it."""
    lowest = worst(below)
    if status.order > lowest.order and status is not Tier.NONE:
        raise VerifyError("ear.status", f"{what} is {status.value}, though {lowest.value} stands under it")
