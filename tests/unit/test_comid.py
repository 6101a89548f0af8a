"""CoMID: each part as the draft has it, and each way to get it wrong; draft-ietf-rats-corim-11, 5."""

from typing import Any

import pytest

from bartizan.errors import DecodeError
from bartizan.formats.cbor import encode_cbor
from bartizan.formats.cbor_shape import Place
from bartizan.formats.comid import decode_comid
from bartizan.formats.manifest_types import dotted
from bartizan.model.cbor import Tagged
from bartizan.model.corim import Environment, EnvironmentClass, Measurement, Values, ValueTriple, tag_text
from tests.unit.manifests import COMID, ENVIRONMENT, MEASUREMENT, SHA256, UUID, comid_with, with_changes

OID = Tagged(111, bytes.fromhex("5502c000"))
PEM = Tagged(554, "a key")


def values(measured: dict[int, Any]) -> Values:
    return decode_comid(comid_with(measured)).triples.reference[0].measurements[0].values


def test_a_comid_is_read() -> None:
    raw = encode_cbor(
        {
            **COMID,
            0: "en-GB",
            1: {0: UUID, 1: 3},
            2: [{0: "ACME", 1: Tagged(32, "https://acme.example"), 2: [0, 1], -1: "extension"}],
            3: [{0: "other", 1: 1}],
            -7: "extension",
        }
    )

    found = decode_comid(raw)

    assert (found.language, found.identity.id, found.identity.version) == ("en-GB", UUID, 3)
    assert tag_text(found.identity.id) == "00010203-0405-0607-0809-0a0b0c0d0e0f"
    assert (found.entities[0].name, found.entities[0].uri) == ("ACME", "https://acme.example")
    assert found.entities[0].roles == (0, 1)
    assert found.links == (("other", 1),)
    assert found.extensions == {-7: "extension"}
    assert found.triples.reference == (
        ValueTriple(
            environment=Environment(kind=EnvironmentClass(vendor="ACME", model="RoadRunner")),
            measurements=(Measurement(key=None, values=found.triples.reference[0].measurements[0].values),),
        ),
    )


def test_a_comid_is_read_under_its_tag() -> None:
    assert decode_comid(encode_cbor(Tagged(506, encode_cbor(COMID)))) == decode_comid(encode_cbor(COMID))


def test_a_single_measurement_is_read_where_a_list_stands_now() -> None:
    old = with_changes(COMID, {(4, 0, 0, 1): MEASUREMENT})

    assert decode_comid(encode_cbor(old)).triples == decode_comid(encode_cbor(COMID)).triples


def test_all_values_are_read() -> None:
    found = values(
        {
            0: {0: "1.2.3", 1: 16384},
            1: Tagged(553, 4),
            2: [SHA256, ["my-alg", b"\x01"]],
            3: {0: True, 3: False, -1: "extension"},
            4: Tagged(560, b"raw"),
            5: b"mask",
            6: bytes(6),
            7: bytes(16),
            8: "serial",
            9: bytes(7),
            10: UUID,
            11: "name",
            13: [PEM],
            14: {0: [SHA256], "pcr": [SHA256]},
            15: Tagged(564, [None, 7]),
            -9: 1,
            100: "a number that nobody registered",
        }
    )

    assert (found.version, found.version_scheme, found.svn) == ("1.2.3", 16384, Tagged(553, 4))
    assert [one.alg for one in found.digests] == [1, "my-alg"]
    assert found.flags == {0: True, 3: False, -1: "extension"}
    assert (found.raw, found.raw_mask, found.mac, found.ip) == (Tagged(560, b"raw"), b"mask", bytes(6), bytes(16))
    assert (found.serial, found.ueid, found.uuid, found.name) == ("serial", bytes(7), UUID, "name")
    assert (found.keys, set(found.registers), found.range) == ((PEM,), {0, "pcr"}, Tagged(564, [None, 7]))
    assert found.extensions == {-9: 1, 100: "a number that nobody registered"}


@pytest.mark.parametrize("svn", [7, Tagged(552, 7), Tagged(553, 0)])
def test_a_security_version_is_read(svn: object) -> None:
    assert values({1: svn}).svn == svn


@pytest.mark.parametrize("raw", [Tagged(560, b"x"), Tagged(563, [b"x", b"y"]), Tagged(60000, b"x")])
def test_a_raw_value_is_read(raw: object) -> None:
    assert values({4: raw}).raw == raw


@pytest.mark.parametrize("end", [5, -5, Tagged(564, [1, None]), Tagged(564, [None, None]), Tagged(564, [-1, 1])])
def test_a_range_is_read(end: object) -> None:
    assert values({15: end}).range == end


@pytest.mark.parametrize("key", [0, 700, "cca.rim", OID, Tagged(37, UUID), Tagged(601, {1: "BL"})])
def test_a_measurement_key_is_read(key: object) -> None:
    found = decode_comid(comid_with(key=key)).triples.reference[0].measurements[0]

    assert found.key == key


def test_keys_and_their_conditions_are_read() -> None:
    keys = [
        *[PEM, Tagged(555, "c"), Tagged(556, "p"), Tagged(557, SHA256), Tagged(558, {1: 2}), Tagged(559, SHA256)],
        *[Tagged(560, b"id"), Tagged(561, SHA256), Tagged(562, b"der")],
    ]
    raw = encode_cbor({**COMID, 4: {2: [[ENVIRONMENT, keys]], 3: [[ENVIRONMENT, [PEM], {0: "element", 1: [PEM]}]]}})

    found = decode_comid(raw).triples

    assert found.identity[0].keys == tuple(keys)
    assert (found.attest_keys[0].key, found.attest_keys[0].authorized_by) == ("element", (PEM,))


def test_the_other_triples_are_read() -> None:
    triple = [ENVIRONMENT, [MEASUREMENT]]
    raw = encode_cbor(
        {
            **COMID,
            4: {
                1: [triple],
                4: [[ENVIRONMENT, [ENVIRONMENT]]],
                5: [[ENVIRONMENT, [{1: Tagged(550, bytes(7))}, {2: Tagged(37, UUID)}]]],
                6: [[ENVIRONMENT, ["a-tag", UUID]]],
                8: [
                    [[ENVIRONMENT, [], [PEM]], [[[MEASUREMENT], [MEASUREMENT]]]],
                    [triple, [[[MEASUREMENT], [MEASUREMENT]]]],
                ],
                10: [[[triple], [triple]]],
                -1: ["extension"],
            },
        }
    )

    found = decode_comid(raw).triples

    assert len(found.endorsed) == len(found.dependencies) == len(found.conditional) == 1
    assert found.members[0].others[1].group == Tagged(37, UUID)
    assert found.software[0].tags == ("a-tag", UUID)
    assert [one.authorized_by for one in found.series] == [(PEM,), ()]
    assert [len(one.condition.measurements) for one in found.series] == [0, 1]
    assert found.extensions == {-1: ["extension"]}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({(1,): ...}, "tag-identity (1) is missing"),
        ({(4,): ...}, "triples (4) is missing"),
        ({(1, 0): ...}, "tag-id (0) is missing"),
        ({(1, 0): b"short"}, "16 bytes expected, found 5"),
        ({(1, 0): 5}, "bytes expected, found an integer"),
        ({(1, 1): -1}, "0 or more expected"),
        ({(1, 9): 1}, "unknown members ['9']"),
        ({(0,): 5}, "text expected, found an integer"),
        ({(2,): []}, "at least 1 expected, found 0"),
        ({(2,): [{0: "ACME"}]}, "role (2) is missing"),
        ({(3,): [{0: "other"}]}, "tag-rel (1) is missing"),
        ({(3,): [{0: "other", 1: 0, 2: 0}]}, "unknown members"),
        ({(4,): {}}, "no triple at all"),
        ({(4, 0): []}, "at least 1 expected"),
        ({(4, 0, 0): [ENVIRONMENT]}, "an array of 2 expected, found 1"),
        ({(4, 0, 0, 1): []}, "at least 1 expected"),
        ({(4, 0, 0, 1): 5}, "an array expected, found an integer"),
        ({(4, 0, 0, 0): {}}, "a class, an instance or a group expected"),
        ({(4, 0, 0, 0): {3: 1}}, "unknown members"),
        ({(4, 0, 0, 0): {0: {}}}, "an empty class"),
        ({(4, 0, 0, 0): {0: {2: "model"}}}, "a model without its vendor"),
        ({(4, 0, 0, 0): {0: {5: 1}}}, "unknown members"),
        ({(4, 0, 0, 0): {0: {3: True}}}, "an integer expected, found a boolean"),
        ({(4, 0, 0, 0): {0: {0: b"x"}}}, "a tagged value expected, found bytes"),
        ({(4, 0, 0, 0): {1: Tagged(550, bytes(6))}}, "bytes expected, found 6"),
        ({(4, 0, 0, 0): {1: Tagged(37, bytes(15))}}, "16 bytes expected, found 15"),
        ({(4, 0, 0, 1, 0, 1): ...}, "mval (1) is missing"),
        ({(4, 0, 0, 1, 0, 1): {}}, "no value at all"),
        ({(4, 0, 0, 1, 0, 9): 1}, "unknown members"),
        ({(4, 0, 0, 1, 0, 0): -1}, "0 or more expected"),
        ({(4, 0, 0, 1, 0, 2): PEM}, "an array expected, found tag 554"),
        ({(4, 2): [[ENVIRONMENT, []]]}, "at least 1 expected"),
        ({(4, 2): [[ENVIRONMENT, [PEM], {2: 1}]]}, "unknown members"),
        ({(4, 2): [[ENVIRONMENT, ["key"]]]}, "a tagged value expected, found text"),
        ({(4, 2): [[ENVIRONMENT, [Tagged(558, {})]]]}, "a COSE_Key or COSE_KeySet expected"),
        ({(4, 2): [[ENVIRONMENT, [Tagged(557, [1])]]]}, "an array of 2 expected"),
        ({(4, 4): [[ENVIRONMENT, []]]}, "at least 1 expected"),
        ({(4, 6): [[ENVIRONMENT, [7]]]}, "bytes expected"),
        ({(4, 8): [[[ENVIRONMENT], []]]}, "an array of 2 to 3 expected, found 1"),
        ({(4, 10): [[[], []]]}, "at least 1 expected"),
    ],
)
def test_a_part_that_is_missing_or_wrong_is_refused(changes: dict[tuple[int, ...], Any], why: str) -> None:
    with pytest.raises(DecodeError) as refused:
        decode_comid(encode_cbor(with_changes(COMID, changes)))

    assert why in refused.value.why


def test_a_float_is_no_measurement_key() -> None:
    raw = comid_with(key=Tagged(0, 0)).replace(b"\xc0\x00", b"\xf9\x3e\x00")

    with pytest.raises(DecodeError, match="an integer expected, found a float"):
        decode_comid(raw)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({0: {1: 1}}, "version (0) is missing"),
        ({0: {0: "1", 2: 1}}, "unknown members"),
        ({1: -1}, "0 or more expected"),
        ({1: Tagged(552, -1)}, "0 or more expected"),
        ({1: Tagged(551, 1)}, "tag 552 or 553 expected, found tag 551"),
        ({2: []}, "at least 1 expected"),
        ({2: [[1, bytes(31)]]}, "32 bytes expected of algorithm 1, found 31"),
        ({2: [[7, bytes(32)]]}, "48 bytes expected of algorithm 7"),
        ({2: [["sha-512", bytes(32)]]}, "64 bytes expected of algorithm 'sha-512'"),
        ({2: [["mine", b""]]}, "bytes expected of algorithm"),
        ({2: [[1, bytes(32)], [1, bytes(32)]]}, "two digests under one algorithm"),
        ({2: [[1, bytes(32)], ["sha-256", bytes(32)]]}, "two digests under one algorithm"),
        ({2: [[-16, bytes(32)], [1, b"\x01" * 32]]}, "two digests under one algorithm"),
        ({2: [[None, b"x"]]}, "an integer expected, found null"),
        ({3: {}}, "no flag at all"),
        ({3: {0: 1}}, "a boolean expected, found an integer"),
        ({4: b"raw"}, "a tagged value expected"),
        ({4: Tagged(560, "raw")}, "bytes expected, found text"),
        ({4: Tagged(563, [b"x"])}, "an array of 2 expected"),
        ({4: Tagged(563, [b"x", 1])}, "bytes expected"),
        ({4: Tagged(9999, 1)}, "bytes expected, found an integer"),
        ({5: b"mask"}, "a mask without its raw value"),
        ({6: bytes(7)}, "6 or 8 bytes expected"),
        ({7: bytes(5)}, "4 or 16 bytes expected"),
        ({9: bytes(34)}, "bytes expected, found 34"),
        ({10: bytes(4)}, "16 bytes expected"),
        ({13: []}, "at least 1 expected"),
        ({14: {}}, "no register at all"),
        ({14: {b"x": [SHA256]}}, "an integer expected, found bytes"),
        ({14: {0: []}}, "at least 1 expected"),
        ({15: "x"}, "an integer expected"),
        ({15: Tagged(564, [2, 1])}, "it ends before it begins"),
        ({15: Tagged(564, [1])}, "an array of 2 expected"),
        ({15: Tagged(565, [1, 2])}, "tag 564 expected, found tag 565"),
    ],
)
def test_a_value_that_is_wrong_is_refused(value: dict[int, Any], why: str) -> None:
    with pytest.raises(DecodeError) as refused:
        decode_comid(comid_with(value))

    assert why in refused.value.why
    assert refused.value.what.startswith("CoMID")


def test_what_is_wrong_is_named_with_its_place() -> None:
    with pytest.raises(DecodeError) as refused:
        decode_comid(comid_with({2: [[1, b"short"]]}))

    assert refused.value.what == "CoMID.triples.reference.0.measurements.0.mval.digests.0"
    assert refused.value.offset > 0


@pytest.mark.parametrize("raw", [encode_cbor(Tagged(506, COMID)), encode_cbor(Tagged(506, b"\xff")), b"{}", b" [1]"])
def test_what_is_no_comid_is_refused(raw: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_comid(raw)


@pytest.mark.parametrize(
    ("octets", "text"),
    [("2a864886f70d010101", "1.2.840.113549.1.1.1"), ("551d0e", "2.5.29.14"), ("883703", "2.999.3"), ("00", "0.0")],
)
def test_an_object_identifier_is_shown_dotted(octets: str, text: str) -> None:
    assert dotted(bytes.fromhex(octets), Place("OID")) == text


@pytest.mark.parametrize("octets", ["", "80", "5580", "558001"])
def test_what_is_no_object_identifier_is_refused(octets: str) -> None:
    with pytest.raises(DecodeError):
        dotted(bytes.fromhex(octets), Place("OID"))
