"""Profiles: a good manifest of each, and one for each of its rules that breaks it."""

from typing import Any

import pytest

from bartizan.errors import VerifyError
from bartizan.formats.corim import decode_corim
from bartizan.model.cbor import Tagged
from bartizan.verify.corim_profile import BOOT_EVENTS, PROFILES, check_profile
from tests.unit.manifests import SHA256, UUID, comid_tag, corim_of, coswid_tag, with_changes

PSA = "tag:arm.com,2025:psa#1.0.0"
PLATFORM = "tag:arm.com,2025:cca_platform#1.0.0"
REALM = "tag:arm.com,2025:cca_realm#1.0.0"
PARSEC_TPM = "tag:github.com/parallaxsecond,2023-03-03:tpm"
PARSEC_CCA = "tag:github.com/parallaxsecond,2023-03-03:cca"
SNP = "tag:amd.com,2024:snp-corim-profile"
ENACT = "https://enacttrust.com/veraison/1.0.0"
RIOT = "tag:veraison-project.com,2026:riot"

PEM, CERTIFICATE = Tagged(554, "key"), Tagged(555, "certificate")
SIGNER = Tagged(560, bytes(32))
IMPLEMENTATION = {0: Tagged(560, bytes(32))}
RANDOM = Tagged(550, b"\x01" + bytes(32))
SHA512 = [8, bytes(64)]


def element(key: object, values: dict[int, Any]) -> dict[int, Any]:
    return {0: key, 1: values}


COMPONENT = element("psa.software-component", {2: [SHA256], 13: [SIGNER]})
CCA_COMPONENT = element("cca.software-component", {2: [SHA256], 13: [SIGNER], 0: {0: "1"}})
CCA_CONFIG = element("cca.platform-config", {4: Tagged(560, b"x")})
KEYS = [{0: IMPLEMENTATION, 1: RANDOM}, [PEM]]
CCA = {0: [[{0: IMPLEMENTATION}, [CCA_COMPONENT, CCA_CONFIG]]], 3: [KEYS]}
GOOD: dict[str, dict[int, Any]] = {
    BOOT_EVENTS: {0: [[{0: {1: "Bartizan"}}, [element(4, {2: [SHA256]})]]]},
    PSA: {0: [[{0: IMPLEMENTATION}, [COMPONENT]]], 3: [KEYS]},
    PLATFORM: CCA,
    PARSEC_CCA: CCA,
    REALM: {
        0: [
            [
                {0: {0: Tagged(560, bytes(64))}},
                [
                    element("cca.rim", {2: [SHA512]}),
                    element("cca.rem0", {2: [SHA512]}),
                    element("cca.rpv", {4: SIGNER}),
                ],
            ]
        ]
    },
    PARSEC_TPM: {
        0: [[{0: {0: Tagged(37, UUID)}}, [element(0, {2: [SHA256]})]]],
        3: [[{0: {0: Tagged(37, UUID)}, 1: Tagged(560, b"id")}, [PEM]]],
    },
    SNP: {
        0: [[{1: Tagged(560, bytes(48))}, [element(641, {2: [SHA256]})]]],
        3: [[{0: {1: "AMD", 2: "ARK"}}, [CERTIFICATE, CERTIFICATE]]],
    },
    ENACT: {0: [[{1: Tagged(37, UUID)}, [{1: {2: [SHA256]}}]]], 3: [[{1: Tagged(37, UUID)}, [PEM]]]},
    RIOT: {3: [[{0: {1: "Veraison Project", 2: "RIOT"}}, [CERTIFICATE]]]},
}
REFERENCE, ELEMENTS, FIRST = (0, 0, 0), (0, 0, 1), (0, 0, 1, 0)
KEY_ENVIRONMENT, KEY_LIST = (3, 0, 0), (3, 0, 1)


def check(profile: str, triples: dict[int, Any]) -> None:
    check_profile(decode_corim(corim_of(comid_tag({1: {0: "a"}, 4: triples}), profile=Tagged(32, profile))))


def test_every_profile_has_a_good_manifest_here() -> None:
    assert set(GOOD) == set(PROFILES) - {"https://amd.com/ark"}


@pytest.mark.parametrize("profile", GOOD)
def test_a_good_manifest_keeps_its_profile(profile: str) -> None:
    check(profile, GOOD[profile])


@pytest.mark.parametrize(
    ("profile", "changes", "why"),
    [
        (BOOT_EVENTS, {(*FIRST, 0): 24}, "a PCR from 0 to 23 expected, found 24"),
        (BOOT_EVENTS, {(*FIRST, 0): ...}, "measurement key a number expected, found none"),
        (BOOT_EVENTS, {(*FIRST, 0): "4"}, "measurement key a number expected, found '4'"),
        (BOOT_EVENTS, {(*FIRST, 1): {11: "x"}}, "1 to 100 digests expected, found 0"),
        (BOOT_EVENTS, {(*FIRST, 1): {2: [["mine", b"xx"]]}}, "a digest is shortened"),
        (BOOT_EVENTS, {ELEMENTS: [element(4, {2: [SHA256]})] * 2}, "one measurement expected, found 2"),
        (BOOT_EVENTS, {(*REFERENCE, 1): SIGNER}, "an instance is named"),
        (BOOT_EVENTS, {(*REFERENCE, 2): SIGNER}, "a group is named"),
        (BOOT_EVENTS, {(3,): [KEYS]}, "no attestation keys belong here"),
        (PSA, {REFERENCE: {0: {1: "ACME"}}}, "class-id under tag 560 expected, found none"),
        (PSA, {REFERENCE: {1: SIGNER}}, "class-id under tag 560 expected, found none"),
        (PSA, {REFERENCE: {0: {0: Tagged(37, UUID)}}}, "class-id under tag 560 expected, found tag 37"),
        (PSA, {REFERENCE: {0: {0: Tagged(560, bytes(31))}}}, "class-id of 32 bytes expected, found 31"),
        (PSA, {(*REFERENCE, 1): RANDOM}, "an instance is named"),
        (PSA, {(*FIRST, 0): "other"}, "measurement key psa.software-component expected, found 'other'"),
        (PSA, {(*FIRST, 0): Tagged(601, 1)}, "expected, found tag 601"),
        (PSA, {(*FIRST, 1, 2): ...}, "1 to 100 digests expected, found 0"),
        (PSA, {(*FIRST, 1, 13): ...}, "one signer (cryptokeys) expected, found 0"),
        (PSA, {(*FIRST, 1, 13): [SIGNER, SIGNER]}, "one signer (cryptokeys) expected, found 2"),
        (PSA, {(*FIRST, 1, 13): [PEM]}, "signer under tag 560 expected"),
        (PSA, {(*FIRST, 1, 13): [Tagged(560, b"x")]}, "signer of 32 or 48 or 64 bytes expected, found 1"),
        (PSA, {(*KEY_ENVIRONMENT, 1): ...}, "instance under tag 550 expected, found none"),
        (PSA, {(*KEY_ENVIRONMENT, 1): Tagged(550, bytes(33))}, "an instance UEID of type 1 expected"),
        (PSA, {(*KEY_ENVIRONMENT, 1): Tagged(550, b"\x01" * 17)}, "instance of 33 bytes expected, found 17"),
        (PSA, {KEY_LIST: [PEM, PEM]}, "at most 1 key expected, found 2"),
        (PSA, {KEY_LIST: [CERTIFICATE]}, "keys under tag 554 expected, found [555]"),
        (PLATFORM, {ELEMENTS: [CCA_CONFIG]}, "no measurement of cca.software-component"),
        (PLATFORM, {(*FIRST, 1, 0): {0: "1", 1: 1}}, "a version scheme is given"),
        (PLATFORM, {(*ELEMENTS, 1, 1): {2: [SHA256]}}, "a raw value expected"),
        (PLATFORM, {(*FIRST, 0): "cca.rim"}, "no measurement of cca.software-component"),
        (REALM, {ELEMENTS: [element("cca.rem0", {2: [SHA512]})]}, "no measurement of cca.rim"),
        (REALM, {(*FIRST, 1): {2: [SHA512, SHA256]}}, "1 to 1 digests expected, found 2"),
        (REALM, {(*ELEMENTS, 2, 1): {2: [SHA256]}}, "a raw value expected"),
        (REALM, {REFERENCE: {0: {0: Tagged(560, bytes(20))}}}, "class-id of 32 or 48 or 64 bytes expected"),
        (PARSEC_TPM, {(*KEY_ENVIRONMENT, 1): RANDOM}, "instance under tag 560 expected, found tag 550"),
        (PARSEC_TPM, {(*REFERENCE, 2): SIGNER}, "a group is named"),
        (PARSEC_TPM, {(*FIRST, 0): Tagged(37, UUID)}, "measurement key a number expected, found tag 37"),
        (SNP, {REFERENCE: {0: {1: "AMD"}}}, "instance under tag 560 expected, found none"),
        (SNP, {(*FIRST, 0): ...}, "measurement key a number expected, found none"),
        (SNP, {KEY_ENVIRONMENT: {0: {1: "AMD"}}}, "a class with vendor and model expected"),
        (SNP, {KEY_ENVIRONMENT: {1: SIGNER}}, "a class with vendor and model expected"),
        (SNP, {KEY_LIST: [PEM]}, "keys under tag 555 or 556 expected"),
        (ENACT, {(*REFERENCE, 0): {1: "ACME"}}, "a class is named"),
        (ENACT, {REFERENCE: {1: SIGNER}}, "instance under tag 37 expected, found tag 560"),
        (ENACT, {ELEMENTS: [{1: {2: [SHA256]}}] * 2}, "one measurement expected, found 2"),
        (
            RIOT,
            {(0,): [[{0: {1: "Veraison Project"}}, [element(1, {2: [SHA256]})]]]},
            "no reference values belong here",
        ),
        (RIOT, {KEY_ENVIRONMENT: {0: {1: "ACME", 2: "RIOT"}}}, "vendor and model Veraison Project RIOT expected"),
    ],
)
def test_a_broken_rule_is_refused(profile: str, changes: dict[tuple[int, ...], Any], why: str) -> None:
    with pytest.raises(VerifyError) as refused:
        check(profile, with_changes(GOOD[profile], changes))

    assert refused.value.check == "corim.profile"
    assert why in refused.value.why


def test_an_unknown_profile_refuses_the_whole_corim() -> None:
    with pytest.raises(VerifyError, match="is not known here, and so the whole CoRIM is refused"):
        check("https://example.com/profile", GOOD[PSA])


def test_without_a_profile_there_is_nothing_to_keep() -> None:
    check_profile(decode_corim(corim_of(comid_tag({1: {0: "a"}, 4: GOOD[PSA]}))))


def test_tags_other_than_comids_are_no_matter_of_these_profiles() -> None:
    software = {0: "s", 1: "software", 2: {31: "A", 33: 1}}

    check_profile(decode_corim(corim_of(coswid_tag(software), profile=Tagged(32, PSA))))


def test_what_a_foreign_key_is_is_shown_without_its_bytes() -> None:
    triples = with_changes(GOOD[SNP], {(*FIRST, 0): Tagged(111, b"\x2b\x06")})

    with pytest.raises(VerifyError, match=r"found tag 111$"):
        check(SNP, triples)


def test_the_profile_is_compared_as_it_is_written() -> None:
    raw = corim_of(comid_tag({1: {0: "a"}, 4: GOOD[PSA]}), profile=PSA.upper())

    with pytest.raises(VerifyError, match="is not known here"):
        check_profile(decode_corim(raw))
