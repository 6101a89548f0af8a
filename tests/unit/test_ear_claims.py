"""The claims of Attestation Results: the dialects, in JSON and CBOR, and every way in which they are refused."""

import json
from typing import Any

import pytest

from bartizan.errors import DecodeError
from bartizan.formats.cbor import encode_cbor
from bartizan.formats.ear import PROFILE
from bartizan.formats.ear_claims import decode_ear, decode_ear_cbor
from bartizan.model.cbor import Tagged
from bartizan.model.ear import Dialect, Ear, EarAppraisal, TrustClaim
from bartizan.model.result import Claim, Tier
from tests.unit.ear_tokens import CBOR, DOTTED, DRAFT, FLAT, VERIFIER, appraised, with_claim


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
