"""Attestation Results as tokens: recorded and our own JWTs, CWTs, and every way in which one is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc import jws
from joserfc.jwk import OctKey, OKPKey, RSAKey

from bartizan.errors import DecodeError, VerifyError
from bartizan.formats.cbor import encode_cbor
from bartizan.formats.cose import decode_cose, sign_cose
from bartizan.formats.ear_claims import decode_ear
from bartizan.formats.jws import decode_jws
from bartizan.formats.key_file import NamedKey, decode_key_file
from bartizan.model.ear import Dialect
from bartizan.model.result import Tier
from bartizan.verify.ear import time_fault, verify_ear, verify_ear_cwt
from tests.unit.ear_tokens import CBOR, DRAFT, OTHER, P256, appraised, headed, token, with_claim

VECTORS = Path(__file__).parents[1] / "vectors" / "ear"
VERAISON = decode_key_file((VECTORS / "veraison.jwk").read_bytes())
KEYS = (NamedKey(key=P256.public_key(), kid="ours"),)


@pytest.mark.parametrize(
    ("name", "dialect", "claims"),
    [
        ("veraison-2022-first", Dialect.FLAT, 8),
        ("veraison-2022", Dialect.FLAT, 8),
        ("veraison-2023", Dialect.DOTTED, 0),
    ],
)
def test_a_recorded_token_verifies(name: str, dialect: Dialect, claims: int) -> None:
    verified = verify_ear(decode_jws((VECTORS / f"{name}.jwt").read_bytes()), VERAISON)

    assert (verified.ear.dialect, len(verified.ear.appraisals[0].vector)) == (dialect, claims)
    assert verified.ear.appraisals[0].status is Tier.AFFIRMING
    assert verified.ear.issued_at == 1666091373


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("bad-trailing", "three parts of base64url"),
        ("bad-form", "three parts of base64url"),
        ("bad-hs256", "no key is given for algorithm 'HS256'"),
        ("bad-none", "no key is given for algorithm 'none'"),
        ("bad-empty", "no profile of an EAR that is known here"),
    ],
)
def test_a_recorded_bad_token_is_refused(name: str, why: str) -> None:
    with pytest.raises((DecodeError, VerifyError), match=why):
        verify_ear(decode_jws((VECTORS / f"{name}.jwt").read_bytes()), VERAISON)


@pytest.mark.parametrize("name", ["veraison-2022-first", "veraison-2022", "veraison-2023"])
def test_every_changed_character_of_a_recorded_token_is_noticed(name: str) -> None:
    raw = (VECTORS / f"{name}.jwt").read_bytes().strip()

    for place in range(0, len(raw), 5):
        changed = raw[:place] + (b"A" if raw[place : place + 1] != b"A" else b"B") + raw[place + 1 :]
        with pytest.raises((DecodeError, VerifyError)):
            verify_ear(decode_jws(changed), VERAISON)


def test_an_own_token_verifies_and_names_its_key() -> None:
    verified = verify_ear(decode_jws(token(json.dumps(DRAFT).encode(), kid="ours")), KEYS)

    assert (verified.kid, verified.ear.appraisals[0].name) == ("ours", "PSA")


@pytest.mark.parametrize(
    ("raw", "keys", "why"),
    [
        (token(with_claim(DRAFT), kid="theirs"), KEYS, "no key is given for algorithm 'ES256' and key name 'theirs'"),
        (token(with_claim(DRAFT)), (), "no key is given"),
        (token(with_claim(DRAFT), OTHER), KEYS, "signed by none of the keys given"),
        (token(with_claim(DRAFT)), (NamedKey(key=P256.public_key(), alg="ES384"),), "no key is given"),
        (token(with_claim(DRAFT)), (NamedKey(key=ec.derive_private_key(1, ec.SECP384R1()).public_key()),), "no key"),
    ],
)
def test_a_token_by_another_key_is_refused(raw: bytes, keys: tuple[NamedKey, ...], why: str) -> None:
    with pytest.raises(VerifyError) as refused:
        verify_ear(decode_jws(raw), keys)

    assert why in refused.value.why


def test_a_public_key_used_as_a_secret_is_no_signature() -> None:
    secret = OctKey.import_key(b"any secret that is long enough to sign with, as a public key in PEM is")
    raw = jws.serialize_compact({"alg": "HS256"}, with_claim(DRAFT), secret, algorithms=["HS256"])

    with pytest.raises(VerifyError, match="no key is given for algorithm 'HS256'"):
        verify_ear(decode_jws(raw.encode()), KEYS)


def test_rsa_and_ed25519_keys_verify() -> None:
    private = rsa.generate_private_key(65537, 2048)
    small = rsa.generate_private_key(65537, 1024)  # noqa: S505  # refused for just this
    curve = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))
    own: list[tuple[Any, Any, str]] = [
        (private, RSAKey, "PS256"),
        (private, RSAKey, "RS256"),
        (curve, OKPKey, "Ed25519"),
    ]
    for key, kind, algorithm in own:
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        raw = jws.serialize_compact({"alg": algorithm}, with_claim(DRAFT), kind.import_key(pem), algorithms=[algorithm])
        given = NamedKey(key=key.public_key())
        assert verify_ear(decode_jws(raw.encode()), [given]).kid is None
        with pytest.raises(VerifyError, match="no key is given"):
            verify_ear(decode_jws(raw.encode()), [NamedKey(key=small.public_key())])


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "three parts"),
        (b"e30.e30", "three parts"),
        (b"e3 0.e30.AA", "three parts"),
        (b"\xff.e30.AA", "three parts"),
        (b"e30=.e30.AA", "three parts"),
        (b"e30.e30.AA", "an object with `alg` expected"),
        (b"W10.e30.AA", "an object with `alg` expected"),
        (b"e31.e30.AA", "base64url without padding expected"),
        (b"eyJhbGciOiJFUzI1NiJ9.e30.A", "base64url without padding expected"),
        (headed({"alg": "ES256", "crit": ["exp"]}), "an extension is marked as critical"),
        (headed({"alg": "ES256", "b64": False}), "an extension is marked as critical"),
    ],
)
def test_what_is_no_token_is_refused(raw: bytes, why: str) -> None:
    with pytest.raises(DecodeError) as refused:
        decode_jws(raw)

    assert why in refused.value.why


def test_a_long_token_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bartizan.formats.jws.MAX_TOKEN", 10)

    with pytest.raises(DecodeError, match="over the limit of 10"):
        decode_jws(b"e30.e30.AAAA")


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        (
            appraised(DRAFT, ear_status="affirming"),
            "status of 'PSA' is affirming, though contraindicated stands under it",
        ),
        (appraised(DRAFT, ear_status="warning"), "status of 'PSA' is warning, though contraindicated"),
        (with_claim(DRAFT, ear_status="affirming"), "overall status is affirming, though contraindicated"),
    ],
)
def test_a_result_that_contradicts_itself_is_refused(claims: bytes, why: str) -> None:
    with pytest.raises(VerifyError) as refused:
        verify_ear(decode_jws(token(claims)), KEYS)

    assert (refused.value.check, why in refused.value.why) == ("ear.status", True)


@pytest.mark.parametrize(
    "claims",
    [
        with_claim(DRAFT, ear_status="contraindicated"),
        with_claim(DRAFT, ear_status="none"),
        appraised(DRAFT, ear_status="none"),
        appraised(DRAFT, ear_status="warning", ear_trustworthiness_vector={"hardware": 2, "executables": 0}),
        appraised(DRAFT, ear_status="affirming", ear_trustworthiness_vector=...),
    ],
)
def test_a_result_no_better_than_its_parts_is_accepted(claims: bytes) -> None:
    verify_ear(decode_jws(token(claims)), KEYS)


def test_a_cwt_verifies_with_its_key() -> None:
    message = decode_cose(sign_cose(encode_cbor(CBOR), P256, {}))

    assert verify_ear_cwt(message, (NamedKey(key=OTHER.public_key()), *KEYS)).kid == "ours"
    with pytest.raises(VerifyError, match="does not match"):
        verify_ear_cwt(message, [NamedKey(key=OTHER.public_key())])
    with pytest.raises(VerifyError, match="no key is given"):
        verify_ear_cwt(message, ())


@pytest.mark.parametrize(
    ("now", "fault"),
    [
        (999, ""),
        (900, "it is from the future"),
        (2000, ""),
        (2999, ""),
        (3000, "it expired 0 s ago"),
        (3005, "it expired 5 s ago"),
    ],
)
def test_time_says_whether_a_result_counts(now: int, fault: str) -> None:
    ear = decode_ear(with_claim(DRAFT, iat=1000, exp=3000))

    assert time_fault(ear, now=now) == fault


def test_a_result_counts_from_its_first_instant_on() -> None:
    ear = decode_ear(with_claim(DRAFT, iat=1000, nbf=2000))

    assert (time_fault(ear, now=1500), time_fault(ear, now=1950), time_fault(ear, now=10**9)) == (
        "it is from the future",
        "",
        "",
    )
