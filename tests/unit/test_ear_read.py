"""Attestation Results of any Verifier: the dialects, their JWTs and CWTs, and every way in which one is refused."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc import jws
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from bartizan.errors import DecodeError, VerifyError
from bartizan.formats.cbor import encode_cbor
from bartizan.formats.cose import decode_cose, sign_cose
from bartizan.formats.ear import PROFILE
from bartizan.formats.ear_claims import decode_ear, decode_ear_cbor
from bartizan.formats.jws import decode_jws
from bartizan.formats.key_file import NamedKey, decode_key_file
from bartizan.model.cbor import Tagged
from bartizan.model.ear import Dialect, Ear, EarAppraisal, TrustClaim
from bartizan.model.result import Claim, Tier
from bartizan.verify.ear import time_fault, verify_ear, verify_ear_cwt

VECTORS = Path(__file__).parents[1] / "vectors" / "ear"
VERAISON = decode_key_file((VECTORS / "veraison.jwk").read_bytes())
P256, OTHER = (ec.derive_private_key(number, ec.SECP256R1()) for number in (21, 22))
KEYS = (NamedKey(key=P256.public_key(), kid="ours"),)
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


def test_the_drafts_example_is_read() -> None:
    found = decode_ear(json.dumps(DRAFT).encode())

    assert found == Ear(
        dialect=Dialect.DRAFT_03,
        profile=PROFILE,
        issued_at=1666529184,
        developer=VERIFIER["developer"],
        build=VERIFIER["build"],
        appraisals=(
            EarAppraisal(
                name="PSA",
                status=Tier.CONTRAINDICATED,
                vector={
                    Claim.INSTANCE_IDENTITY: TrustClaim(2, Tier.AFFIRMING),
                    Claim.EXECUTABLES: TrustClaim(96, Tier.CONTRAINDICATED),
                    Claim.HARDWARE: TrustClaim(2, Tier.AFFIRMING),
                },
                policies=("https://veraison.example/policy/1/60a0068d",),
            ),
        ),
    )


def test_the_drafts_example_says_the_same_in_cbor() -> None:
    assert decode_ear_cbor(encode_cbor(CBOR)) == decode_ear(json.dumps(DRAFT).encode())
    assert decode_ear_cbor(encode_cbor(Tagged(61, CBOR))) == decode_ear_cbor(encode_cbor(CBOR))


def test_trustees_dialect_is_read() -> None:
    found = decode_ear(json.dumps(DOTTED).encode())

    assert (found.dialect, found.expires, found.appraisals[0].policies) == (Dialect.DOTTED, 1761119608, ("default",))
    assert found.appraisals[0].vector == {
        Claim.CONFIGURATION: TrustClaim(36, Tier.WARNING),
        Claim.EXECUTABLES: TrustClaim(33, Tier.WARNING),
        Claim.FILE_SYSTEM: TrustClaim(35, Tier.WARNING),
        Claim.HARDWARE: TrustClaim(97, Tier.CONTRAINDICATED),
    }


def test_the_first_dialect_has_one_attester_without_a_name() -> None:
    found = decode_ear(json.dumps(FLAT).encode())

    assert (found.dialect, found.developer) == (Dialect.FLAT, "")
    assert found.appraisals == (EarAppraisal(name="", status=Tier.AFFIRMING),)


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


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"[]", "an object of claims expected"),
        (b"{", "not JSON"),
        (b'{"iat": 1, "iat": 2}', "names a key twice"),
        (with_claim(DRAFT, eat_profile=...), "no profile of an EAR"),
        (with_claim(DRAFT, eat_profile="tag:ietf.org,2026:rats/ear#04"), "no profile of an EAR"),
        (with_claim(DRAFT, eat_profile=5), "no profile of an EAR"),
        (with_claim(DRAFT, iat=...), "whole seconds since 1970 expected, found None"),
        (with_claim(DRAFT, iat=1.0), "whole seconds since 1970 expected, found 1.0"),
        (with_claim(DRAFT, iat=True), "whole seconds"),
        (with_claim(DRAFT, iat=-1), "whole seconds"),
        (with_claim(DRAFT, exp="1"), "whole seconds"),
        (with_claim(DOTTED, iat=1.5), "whole seconds since 1970 expected, found 1.5"),
        (with_claim(DRAFT, ear_verifier_id=...), "ear_verifier_id with developer and build expected"),
        (with_claim(DRAFT, ear_verifier_id={"build": "x"}), "with developer and build expected"),
        (
            with_claim(DOTTED, **{"ear.verifier-id": {"developer": "x", "build": 1}}),
            "with developer and build expected",
        ),
        (with_claim(DRAFT, submods=...), "an object of 1 to 256 appraisals"),
        (with_claim(DRAFT, submods={}), "an object of 1 to 256 appraisals"),
        (with_claim(DRAFT, submods=[1]), "an object of 1 to 256 appraisals"),
        (with_claim(DRAFT, submods={"a": 1}), "an object with ear_status expected"),
        (with_claim(DRAFT, submods={"a": {"ear.status": "none"}}), "an object with ear_status expected"),
        (with_claim(DRAFT, ear_status="good"), "a trust tier expected"),
        (with_claim(FLAT, **{"ear.status": ...}), "an object with ear.status expected"),
        (appraised(DRAFT, ear_status="good"), "a trust tier expected, found 'good'"),
        (appraised(DRAFT, ear_status=96), "a trust tier expected, found 96"),
        (with_claim(FLAT, **{"ear.status": 3}), "a trust tier expected, found 3"),
        (with_claim(FLAT, **{"ear.status": True}), "a trust tier expected, found True"),
        (with_claim(FLAT, **{"ear.status": [2]}), "a trust tier expected"),
        (appraised(DRAFT, ear_trustworthiness_vector=[2]), "an object expected"),
        (appraised(DRAFT, ear_trustworthiness_vector={"luck": 2}), "'luck' is none of the eight claims"),
        (appraised(DRAFT, ear_trustworthiness_vector={"hardware": 128}), "-128 to 127 expected, found 128"),
        (appraised(DRAFT, ear_trustworthiness_vector={"hardware": "2"}), "-128 to 127 expected"),
        (appraised(DRAFT, ear_trustworthiness_vector={"hardware": True}), "-128 to 127 expected"),
        (appraised(DRAFT, ear_appraisal_policy_ids=[]), "text, or a list of it, expected"),
        (appraised(DRAFT, ear_appraisal_policy_ids=[1]), "text, or a list of it, expected"),
        (appraised(DRAFT, ear_appraisal_policy_ids=1), "text, or a list of it, expected"),
        (with_claim(DRAFT, eat_nonce="short"), "8 to 128 characters expected"),
        (with_claim(DRAFT, eat_nonce=["0123456789", 5]), "8 to 128 characters expected"),
    ],
)
def test_claims_that_are_missing_or_wrong_are_refused(raw: bytes, why: str) -> None:
    with pytest.raises(DecodeError) as refused:
        decode_ear(raw)

    assert why in refused.value.why


@pytest.mark.parametrize(
    ("nonce", "found"), [("0123456789ab", ("0123456789ab",)), (["0123456789ab"] * 2, ("0123456789ab",) * 2)]
)
def test_nonces_are_read(nonce: object, found: tuple[str, ...]) -> None:
    assert decode_ear(with_claim(DRAFT, eat_nonce=nonce)).nonces == found


def test_a_float_time_of_an_older_dialect_is_read() -> None:
    assert decode_ear(b'{"eat_profile": "tag:github.com,2022:veraison/ear", "iat": 1.7e9, "ear.status": 0}').issued_at


def test_unknown_claims_are_passed_over() -> None:
    assert decode_ear(with_claim(DRAFT, **{"x": 1, "ear.status": "nonsense"})) == decode_ear(with_claim(DRAFT))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({265: ...}, "no profile"),
        ({6: ...}, "whole seconds"),
        ({266: []}, "a map expected"),
        ({266: {"a": []}}, "a map of claims expected"),
        ({266: {5: {1000: 2}}}, "an object of 1 to 256 appraisals"),
        ({1004: {0: "a", 1: "b", 2: "c"}}, "label 2 is not known in this map"),
        ({266: {"a": {1000: "affirming", 1001: {9: 2}}}}, "label 9 is not known in this map"),
    ],
)
def test_cbor_claims_that_are_missing_or_wrong_are_refused(changes: dict[int, Any], why: str) -> None:
    claims = {key: value for key, value in {**CBOR, **changes}.items() if value is not ...}

    with pytest.raises(DecodeError) as refused:
        decode_ear_cbor(encode_cbor(claims))

    assert why in refused.value.why


def test_cbor_nonces_are_shown_in_hexadecimal() -> None:
    assert decode_ear_cbor(encode_cbor({**CBOR, 10: bytes(8)})).nonces == ("00" * 8,)
    assert decode_ear_cbor(encode_cbor({**CBOR, 10: [bytes(64), bytes(8)]})).nonces == ("00" * 64, "00" * 8)


@pytest.mark.parametrize(
    ("value", "tier"),
    [
        *[(0, Tier.NONE), (1, Tier.NONE), (-1, Tier.NONE), (2, Tier.AFFIRMING), (31, Tier.AFFIRMING)],
        *[(-2, Tier.AFFIRMING), (-32, Tier.AFFIRMING), (32, Tier.WARNING), (95, Tier.WARNING), (-33, Tier.WARNING)],
        *[(-96, Tier.WARNING), (96, Tier.CONTRAINDICATED), (127, Tier.CONTRAINDICATED), (-97, Tier.CONTRAINDICATED)],
        (-128, Tier.CONTRAINDICATED),
    ],
)
def test_a_claims_number_falls_in_its_tier(value: int, tier: Tier) -> None:
    assert Tier.of_claim(value) is tier


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
