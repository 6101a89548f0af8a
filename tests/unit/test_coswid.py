"""CoSWID: the software, its files and where they are; RFC 9393."""

from typing import Any

import pytest

from bartizan.errors import DecodeError
from bartizan.formats import coswid
from bartizan.formats.cbor import encode_cbor
from bartizan.formats.coswid import decode_coswid
from bartizan.model.cbor import Tagged
from bartizan.model.corim import ManifestDigest, Organisation, Software
from tests.unit.manifests import COSWID, SHA256, with_changes


def read(changes: dict[tuple[int, ...], Any]) -> Software:
    return decode_coswid(encode_cbor(with_changes(COSWID, changes)))


def test_a_coswid_is_read() -> None:
    found = read(
        {
            (13,): "1.2",
            (4,): [{38: "https://a.example", 40: "requires"}, {38: "https://b.example", 40: 3}],
            (5,): [{46: "a", 50: "product"}, {51: "summary"}],
            (8,): False,
            (9,): True,
            (11,): True,
            (-1,): "extension",
        }
    )

    assert (found.identity.id, found.identity.version, found.name, found.version) == ("a-coswid", 3, "software", "1.2")
    assert found.entities == (Organisation(name="ACME", roles=(1,)),)
    assert found.files[0].path == "/usr/bin/cat"
    assert found.files[0].digests == (ManifestDigest(1, SHA256[1]),)
    assert found.links == (("https://a.example", "requires"), ("https://b.example", "3"))
    assert found.meta == {46: "a", 50: "product", 51: "summary"}
    assert (found.corpus, found.patch, found.supplemental) == (False, True, True)
    assert found.extensions == {-1: "extension"}


@pytest.mark.parametrize("tag", [505, 1398229316])
@pytest.mark.parametrize("wrapped", [True, False])
def test_a_coswid_is_read_under_each_of_its_tags(tag: int, wrapped: bool) -> None:
    inner = encode_cbor(COSWID) if wrapped else COSWID

    assert decode_coswid(encode_cbor(Tagged(tag, inner))) == decode_coswid(encode_cbor(COSWID))


def test_a_tag_without_a_version_is_the_first() -> None:
    assert read({(12,): ...}).identity.version == 0


def test_entities_may_be_several() -> None:
    found = read({(2,): [{31: "A", 32: Tagged(32, "https://a"), 33: [1, 2]}, {31: "B", 33: "own"}]})

    assert [(one.name, one.uri, one.roles) for one in found.entities] == [
        ("A", "https://a", (1, 2)),
        ("B", None, ("own",)),
    ]


def test_files_of_directories_have_their_paths() -> None:
    inner = {17: [{24: "a"}, {24: "b", 20: 5, 21: "1.0", 22: True}], 16: {24: "deep", 26: {17: {24: "c"}}}}
    found = read({(6,): {16: [{24: "lib", 25: "/usr", 26: inner}, {24: "empty"}], 17: {24: "top", 23: "etc", 25: "/"}}})

    assert [file.path for file in found.files] == ["/etc/top", "/usr/lib/a", "/usr/lib/b", "/usr/lib/deep/c"]
    assert (found.files[2].size, found.files[2].version, found.files[2].digests) == (5, "1.0", ())


def test_an_absolute_location_stands_for_itself() -> None:
    found = read({(6,): {16: {24: "/opt", 26: {17: [{24: "a", 23: "/srv"}, {24: "b", 23: "bin"}]}}}})

    assert [file.path for file in found.files] == ["/srv/a", "/opt/bin/b"]


def test_a_file_without_a_folder_keeps_its_name() -> None:
    assert read({(6,): {17: {24: "rim.bin"}}}).files[0].path == "rim.bin"


def test_evidence_is_kept_apart_from_payload() -> None:
    found = read({(6,): ..., (3,): {17: {24: "cat", 23: "/bin"}}})

    assert (found.files, found.found[0].path) == ((), "/bin/cat")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({(0,): ...}, "tag-id (0) is missing"),
        ({(1,): ...}, "software-name (1) is missing"),
        ({(2,): ...}, "entity (2) is missing"),
        ({(2,): []}, "at least 1 expected"),
        ({(2,): {31: "A"}}, "role (33) is missing"),
        ({(2,): {33: 1}}, "entity-name (31) is missing"),
        ({(12,): "x"}, "an integer expected"),
        ({(8,): 1}, "a boolean expected"),
        ({(4,): {40: 1}}, "href (38) is missing"),
        ({(4,): {38: "x"}}, "rel (40) is missing"),
        ({(5,): "x"}, "a map expected"),
        ({(3,): {}}, "payload and evidence in one tag"),
        ({(6,): []}, "a map expected"),
        ({(6,): {17: {}}}, "fs-name (24) is missing"),
        ({(6,): {16: {26: {}}}}, "fs-name (24) is missing"),
        ({(6,): {16: {24: "d", 26: 5}}}, "a map expected"),
        ({(6,): {17: 5}}, "a map expected"),
        ({(6,): {17: {24: "a", 7: [1, bytes(31)]}}}, "32 bytes expected"),
        ({(6,): {17: {24: "a", 7: bytes(32)}}}, "an array expected"),
        ({(6,): {17: {24: "a", 20: -1}}}, "0 or more expected"),
    ],
)
def test_a_part_that_is_missing_or_wrong_is_refused(changes: dict[tuple[int, ...], Any], why: str) -> None:
    with pytest.raises(DecodeError) as refused:
        read(changes)

    assert why in refused.value.why


def test_files_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coswid, "MAX_FILES", 1)

    with pytest.raises(DecodeError, match="more than 1 files"):
        read({(6,): {17: [{24: "a"}, {24: "b"}]}})


def test_directories_nest_to_a_limit() -> None:
    inner: dict[int, Any] = {17: {24: "a"}}
    for _ in range(20):
        inner = {16: {24: "d", 26: inner}}

    with pytest.raises(DecodeError, match="nested deeper"):
        read({(6,): inner})


def test_json_is_refused_as_such() -> None:
    with pytest.raises(DecodeError, match="JSON text"):
        decode_coswid(b'\n{"tag-id": "x"}')
