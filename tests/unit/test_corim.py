"""CoRIM and CoTL: the manifest around the tags, its signature's headers, its time; draft-ietf-rats-corim-11, 4, 6."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from bartizan.errors import DecodeError, VerifyError
from bartizan.formats.cbor import encode_cbor
from bartizan.formats.corim import decode_corim, decode_signed_corim, is_signed
from bartizan.formats.cose import sign_cose
from bartizan.formats.key_file import NamedKey
from bartizan.model.cbor import Tagged
from bartizan.model.corim import Comid, Locator, Signer, Software, TagList, Validity
from bartizan.verify.corim import accept_corim, verify_corim
from tests.unit.manifests import (
    COMID,
    CORIM,
    COSWID,
    SHA256,
    TAG_LIST,
    UUID,
    VALIDITY,
    comid_tag,
    corim_of,
    coswid_tag,
    with_changes,
)

KEY = ec.derive_private_key(11, ec.SECP256R1())
OTHER = ec.derive_private_key(12, ec.SECP256R1())
KEYS = (NamedKey(key=KEY.public_key()),)
CONTENT = "application/rim+cbor"
META = encode_cbor({0: {0: "ACME"}})
UNSIGNED = corim_of(comid_tag(COMID))


def signed(headers: dict[int | str, Any], payload: bytes = UNSIGNED) -> bytes:
    return sign_cose(payload, KEY, headers)  # type: ignore[arg-type]  # numbers and names are both keys


GOOD = signed({3: CONTENT, 8: META})


def test_a_corim_is_read() -> None:
    raw = corim_of(
        comid_tag(COMID),
        coswid_tag(COSWID),
        Tagged(508, encode_cbor(TAG_LIST)),
        dependents=[{0: Tagged(32, "https://a.example"), 1: SHA256}, {0: ["https://b.example"], 1: [SHA256]}],
        profile=Tagged(32, "https://p.example"),
        validity=VALIDITY,
        entities=[{0: "ACME", 2: [1, 2]}],
    )

    found = decode_corim(raw)

    assert [type(tag) for tag in found.tags] == [Comid, Software, TagList]
    assert found.dependents[0] == Locator(uris=("https://a.example",), thumbprints=found.dependents[1].thumbprints)
    assert (found.profile, found.validity) == ("https://p.example", Validity(1000, 2000))
    assert found.entities[0].roles == (1, 2)
    assert isinstance(found.tags[2], TagList)
    assert found.tags[2].tags[0].id == "a-comid"


@pytest.mark.parametrize(
    ("profile", "text"),
    [
        (Tagged(32, "https://p.example"), "https://p.example"),
        ("https://p.example", "https://p.example"),
        ([Tagged(32, "https://p.example")], "https://p.example"),
        (Tagged(111, bytes.fromhex("551d0e")), "2.5.29.14"),
    ],
)
def test_a_profile_is_read_in_every_layout(profile: object, text: str) -> None:
    assert decode_corim(corim_of(comid_tag(COMID), profile=profile)).profile == text


@pytest.mark.parametrize("tags", [(500,), (500, 502), (502,)])
def test_tags_of_older_drafts_are_passed(tags: tuple[int, ...]) -> None:
    value: object = Tagged(501, CORIM)
    for tag in reversed(tags):
        value = Tagged(tag, value)

    assert decode_corim(encode_cbor(value)) == decode_corim(encode_cbor(Tagged(501, CORIM)))


def test_extensions_are_kept() -> None:
    assert decode_corim(encode_cbor(Tagged(501, {**CORIM, -1: "foo"}))).extensions == {-1: "foo"}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({(0,): ...}, "id (0) is missing"),
        ({(0,): b"short"}, "16 bytes expected"),
        ({(1,): ...}, "tags (1) is missing"),
        ({(1,): []}, "at least 1 expected"),
        ({(1,): [5]}, "tag 505, 506 or 508 expected, found an integer"),
        ({(1,): [Tagged(507, b"")]}, "found tag 507"),
        ({(1,): [Tagged(506, COMID)]}, "bytes expected, found a map"),
        ({(1,): [Tagged(506, b"\x00")]}, "a map expected"),
        ({(1,): [Tagged(508, encode_cbor({0: {0: "l"}, 1: []}))]}, "at least 1 expected"),
        ({(1,): [Tagged(508, encode_cbor({0: {0: "l"}, 1: [{0: "t"}]}))]}, "tl-validity (2) is missing"),
        ({(1,): [Tagged(508, encode_cbor({**TAG_LIST, 3: 1}))]}, "unknown members"),
        ({(2,): [{1: SHA256}]}, "href (0) is missing"),
        ({(2,): [{0: []}]}, "at least 1 expected"),
        ({(2,): [{0: "x", 2: 1}]}, "unknown members"),
        ({(2,): [{0: "x", 1: []}]}, "an array of 2 expected"),
        ({(3,): [Tagged(32, "a"), Tagged(32, "b")]}, "one profile expected"),
        ({(3,): Tagged(37, UUID)}, "a URI or an OID expected, found tag 37"),
        ({(3,): 7}, "text expected"),
        ({(3,): Tagged(111, b"")}, "no object identifier"),
        ({(4,): {0: Tagged(1, 5)}}, "not-after (1) is missing"),
        ({(4,): {1: 5}}, "a time (tag 1) expected, found an integer"),
        ({(4,): {1: Tagged(1, "5")}}, "seconds since 1970 expected"),
        ({(4,): {1: Tagged(1, True)}}, "seconds since 1970 expected"),
        ({(4,): {1: Tagged(1, 2**60)}}, "seconds since 1970 expected"),
        ({(4,): {0: Tagged(1, 9), 1: Tagged(1, 5)}}, "it ends before it begins"),
        ({(4,): {**VALIDITY, 2: 0}}, "unknown members"),
        ({(5,): [{0: "A", 2: [2]}, {0: "B", 2: [2]}]}, "two entities with the role of the manifest's signer"),
    ],
)
def test_a_part_that_is_missing_or_wrong_is_refused(changes: dict[tuple[int, ...], Any], why: str) -> None:
    with pytest.raises(DecodeError) as refused:
        decode_corim(encode_cbor(Tagged(501, with_changes(CORIM, changes))))

    assert why in refused.value.why


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (encode_cbor(CORIM), "tag 501 expected, found a map"),
        (encode_cbor(Tagged(571, CORIM)), "tag 501 expected, found tag 571"),
        (GOOD, "tag 501 expected, found tag 18"),
        (b'{"corim-id": "x"}', "JSON text"),
        (b"", "1 bytes expected"),
    ],
)
def test_what_is_no_unsigned_corim_is_refused(raw: bytes, why: str) -> None:
    with pytest.raises(DecodeError) as refused:
        decode_corim(raw)

    assert why in refused.value.why


def test_a_time_with_a_fraction_is_read() -> None:
    half = encode_cbor(Tagged(501, {**CORIM, 4: {1: Tagged(1, 0)}})).replace(b"\xc1\x00", b"\xc1\xf9\x3e\x00")

    assert decode_corim(half).validity == Validity(None, 1.5)


def test_a_time_that_is_no_number_is_refused() -> None:
    nan = encode_cbor(Tagged(501, {**CORIM, 4: {1: Tagged(1, 0)}})).replace(b"\xc1\x00", b"\xc1\xf9\x7e\x00")

    with pytest.raises(DecodeError, match="seconds since 1970 expected"):
        decode_corim(nan)


@pytest.mark.parametrize(
    ("headers", "signer"),
    [
        ({3: CONTENT, 8: META}, Signer(name="ACME")),
        ({3: "application/corim-unsigned+cbor", 8: META}, Signer(name="ACME")),
        ({3: CONTENT, 15: {1: "ACME", 2: "a-corim"}}, Signer(name="ACME")),
        ({3: CONTENT, 15: {1: "ACME", 4: 2000, 5: 1000}}, Signer(name="ACME", validity=Validity(1000, 2000))),
        (
            {3: CONTENT, 8: encode_cbor({0: {0: "ACME", 1: Tagged(32, "https://a.example")}, 1: VALIDITY})},
            Signer(name="ACME", uri="https://a.example", validity=Validity(1000, 2000)),
        ),
        ({3: CONTENT, 8: META, 15: {1: "ACME"}}, Signer(name="ACME")),
    ],
)
def test_a_signer_is_read_from_either_header(headers: dict[int | str, Any], signer: Signer) -> None:
    found = decode_signed_corim(signed(headers))

    assert found.signer == signer
    assert found.payload == UNSIGNED


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ({8: META}, "content-type (3) is missing"),
        ({3: "application/json", 8: META}, "content type application/rim+cbor expected"),
        ({3: 60, 8: META}, "text expected"),
        ({3: CONTENT}, "neither CWT Claims (15) nor corim-meta (8)"),
        ({3: CONTENT, 8: META, 15: {1: "Other"}}, "name different signers or times"),
        ({3: CONTENT, 8: META, 15: {1: "ACME", 4: 9}}, "name different signers or times"),
        ({3: CONTENT, 8: {0: {0: "ACME"}}}, "bytes expected, found a map"),
        ({3: CONTENT, 8: encode_cbor({})}, "signer (0) is missing"),
        ({3: CONTENT, 8: encode_cbor({0: {1: "https://a"}})}, "signer-name (0) is missing"),
        ({3: CONTENT, 15: {2: "x"}}, "iss (1) is missing"),
        ({3: CONTENT, 8: META, 258: -16}, "only its hash is signed"),
    ],
)
def test_a_signed_corim_without_its_headers_is_refused(headers: dict[int | str, Any], why: str) -> None:
    with pytest.raises(DecodeError) as refused:
        decode_signed_corim(signed(headers))

    assert why in refused.value.why


def test_an_algorithm_outside_the_signed_headers_is_refused() -> None:
    raw = encode_cbor(Tagged(18, [encode_cbor({3: CONTENT, 8: META}), {1: -7}, UNSIGNED, bytes(64)]))

    with pytest.raises(DecodeError, match=r"alg \(1\) is missing"):
        decode_signed_corim(raw)


def test_a_detached_corim_is_refused() -> None:
    raw = encode_cbor(Tagged(18, [encode_cbor({1: -7, 3: CONTENT, 8: META}), {}, None, bytes(64)]))

    with pytest.raises(DecodeError, match="the CoRIM itself is not in it"):
        decode_signed_corim(raw)


def test_signed_and_unsigned_are_told_apart() -> None:
    assert is_signed(GOOD)
    assert not is_signed(UNSIGNED)
    with pytest.raises(DecodeError, match="tag 18 expected, found tag 501"):
        decode_signed_corim(UNSIGNED)


def test_a_signed_corim_verifies() -> None:
    verified = verify_corim(decode_signed_corim(GOOD), (NamedKey(key=OTHER.public_key()), *KEYS), now=5000)

    assert verified.corim == decode_corim(UNSIGNED)
    assert verified.signer == Signer(name="ACME")


@pytest.mark.parametrize("keys", [(), (NamedKey(key=OTHER.public_key()),)])
def test_another_key_or_none_is_refused(keys: tuple[NamedKey, ...]) -> None:
    with pytest.raises(VerifyError, match=r"corim\.signature"):
        verify_corim(decode_signed_corim(GOOD), keys, now=5000)


def test_every_changed_byte_of_a_signed_corim_is_noticed() -> None:
    for place in range(0, len(GOOD), 3):
        changed = bytearray(GOOD)
        changed[place] ^= 1
        with pytest.raises((DecodeError, VerifyError)):
            verify_corim(decode_signed_corim(bytes(changed)), KEYS, now=5000)


def test_a_signed_thing_that_is_no_corim_is_refused() -> None:
    raw = signed({3: CONTENT, 8: META}, payload=encode_cbor("hello"))

    with pytest.raises(DecodeError, match="tag 501 expected"):
        verify_corim(decode_signed_corim(raw), KEYS, now=5000)


@pytest.mark.parametrize("now", [999, 2001])
def test_a_corim_outside_its_time_is_refused(now: int) -> None:
    corim = decode_corim(corim_of(comid_tag(COMID), validity=VALIDITY))

    with pytest.raises(VerifyError, match=r"corim\.validity: the CoRIM is valid from 1000 to 2000 only"):
        accept_corim(corim, now=now)


@pytest.mark.parametrize("now", [1000, 1500, 2000])
def test_a_corim_within_its_time_is_used(now: int) -> None:
    assert accept_corim(decode_corim(corim_of(comid_tag(COMID), validity=VALIDITY)), now=now).signer is None


def test_a_signature_outside_its_time_is_refused() -> None:
    raw = signed({3: CONTENT, 15: {1: "ACME", 4: 2000}})

    verify_corim(decode_signed_corim(raw), KEYS, now=0)
    with pytest.raises(VerifyError, match="the signature is valid from None to 2000 only"):
        verify_corim(decode_signed_corim(raw), KEYS, now=2001)
