"""Reference Values to and from manifests: the mapping, the round trip, and what an independent reader sees."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bartizan.errors import DecodeError, PolicyError, VerifyError
from bartizan.formats.cbor import encode_cbor
from bartizan.formats.corim import decode_corim
from bartizan.formats.coswid import decode_coswid
from bartizan.formats.swid import decode_swid
from bartizan.model.cbor import Tagged
from bartizan.model.digest import HashAlg
from bartizan.model.reference import ReferenceEvent, ReferenceFile, ReferenceSet
from bartizan.reference.corim_export import encode_corim
from bartizan.reference.corim_import import from_corim, from_software
from bartizan.reference.propose import canonical
from bartizan.reference.rim_import import from_support_logs
from bartizan.verify.corim import accept_corim
from bartizan.verify.corim_profile import BOOT_EVENTS
from tests.unit.manifests import COMID, COSWID, SHA256, TAG_LIST, comid_tag, corim_of, coswid_tag, with_changes

HIRS = Path(__file__).parents[1] / "vectors" / "rim" / "nsacyber_HIRS"
STRONG = [HashAlg.SHA256, HashAlg.SHA384, HashAlg.SHA512, HashAlg.SHA3_256, HashAlg.SHA3_384, HashAlg.SHA3_512]
EVENT = ReferenceEvent(pcr=4, digests={HashAlg.SHA256: b"\x01" * 32, HashAlg.SHA384: b"\x02" * 48}, label="a loader")
FILE = ReferenceFile(path=b"/usr/bin/cat", alg="sha256", digest=b"\x03" * 32)


def a_set(*, events: tuple[ReferenceEvent, ...] = (EVENT,), files: tuple[ReferenceFile, ...] = (FILE,)) -> ReferenceSet:
    return canonical(ReferenceSet(name="web", source="a boot", events=events, files=files, digest=""))


def again(raw: bytes) -> ReferenceSet:
    """What an import makes of an unsigned CoRIM."""
    corim = accept_corim(decode_corim(raw), now=0).corim
    return from_corim(corim, name="web", source="a boot").reference


def test_a_set_comes_back_as_it_was() -> None:
    assert again(encode_corim(a_set())) == a_set()


def test_a_set_is_always_written_the_same() -> None:
    assert encode_corim(a_set()) == encode_corim(a_set())


def test_times_come_back() -> None:
    limited = canonical(
        replace(a_set(), valid_from=datetime(2026, 1, 1, tzinfo=UTC), valid_until=datetime(2027, 1, 1, tzinfo=UTC))
    )
    found = from_corim(decode_corim(encode_corim(limited)), name="web", source="a boot").reference

    assert (found.valid_from, found.valid_until) == (limited.valid_from, limited.valid_until)


def test_an_end_alone_comes_back() -> None:
    ended = canonical(replace(a_set(), valid_until=datetime(2027, 1, 1, tzinfo=UTC)))

    assert again(encode_corim(ended)) == ended


def test_a_beginning_without_an_end_has_no_place_in_a_corim() -> None:
    begun = canonical(replace(a_set(), valid_from=datetime(2026, 1, 1, tzinfo=UTC)))

    assert decode_corim(encode_corim(begun)).validity is None


def read_independently(raw: bytes) -> tuple[dict[str, Any], list[Any], list[Any]]:
    """The manifest, its boot events and its files as cbor2 reads them, by the numbers of the drafts alone."""
    outer = cbor2.loads(raw)
    assert outer.tag == 501
    tags = {tag.tag: cbor2.loads(tag.value) for tag in outer.value[1]}
    events = [
        (measurement[0], {alg: digest.hex() for alg, digest in measurement[1][2]}, measurement[1].get(11))
        for _environment, measurements in (tags[506][4][0] if 506 in tags else ())
        for measurement in measurements
    ]
    files = [(file[23], file[24], file[7][0], file[7][1].hex()) for file in (tags[505][6][17] if 505 in tags else ())]
    named = {"id": outer.value[0], "profile": outer.value[3].value, "roles": list(outer.value[5][0][2])}
    return named, events, files


def test_an_independent_reader_finds_every_event_and_file() -> None:
    reference = a_set()

    named, events, files = read_independently(encode_corim(reference))

    assert named == {"id": f"web@sha256:{reference.digest}", "profile": BOOT_EVENTS, "roles": [1]}
    assert events == [(4, {1: "01" * 32, 7: "02" * 48}, "a loader")]
    assert files == [("/usr/bin", "cat", 1, "03" * 32)]


names = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
digests = st.dictionaries(st.sampled_from(STRONG), st.binary(min_size=64, max_size=64), min_size=1, max_size=3)
events = st.builds(
    lambda pcr, some, label: ReferenceEvent(pcr=pcr, digests={a: d[: a.size] for a, d in some.items()}, label=label),
    st.integers(0, 23),
    digests,
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20),
)
paths = st.builds(
    lambda folder, name: f"{folder}/{name}",
    st.sampled_from(["", "/etc", "/usr/lib/ü"]),
    names.filter(lambda n: "/" not in n and n),
)
files = st.builds(
    lambda path, alg, digest: ReferenceFile(path=path.encode(), alg=alg.label, digest=digest[: alg.size]),
    paths,
    st.sampled_from(STRONG),
    st.binary(min_size=64, max_size=64),
)


@given(st.lists(events, max_size=4), st.lists(files, max_size=4, unique_by=lambda file: (file.path, file.alg)))
@settings(max_examples=60)
def test_any_set_comes_back_as_it_was(some: list[ReferenceEvent], more: list[ReferenceFile]) -> None:
    if not some and not more:
        return
    reference = a_set(events=tuple(some), files=tuple(more))

    assert again(encode_corim(reference)) == reference


def test_sha1_is_left_out_beside_something_stronger() -> None:
    both = replace(EVENT, digests={HashAlg.SHA1: bytes(20), HashAlg.SHA256: b"\x01" * 32})

    assert read_independently(encode_corim(a_set(events=(both,))))[1] == [(4, {1: "01" * 32}, "a loader")]


@pytest.mark.parametrize(
    ("reference", "why"),
    [
        (a_set(events=(), files=()), "the set is empty"),
        (a_set(events=(replace(EVENT, digests={HashAlg.SHA1: bytes(20)}),)), "no CoRIM has a number for sha1"),
        (a_set(files=(replace(FILE, alg="sm3_256"),)), "no CoSWID can hold this path or digest"),
        (a_set(files=(replace(FILE, alg="whirlpool"),)), "no CoSWID can hold this path or digest"),
        (a_set(files=(replace(FILE, path=b"/bin/\xff"),)), r"/bin/\\xff, sha256: no CoSWID can hold"),
    ],
)
def test_what_a_corim_cannot_hold_is_not_written(reference: ReferenceSet, why: str) -> None:
    with pytest.raises(PolicyError, match=why):
        encode_corim(reference)


def test_a_file_at_the_root_comes_back() -> None:
    at_root = replace(FILE, path=b"/init")

    assert again(encode_corim(a_set(files=(at_root,)))).files == (at_root,)


def test_an_event_without_a_label_comes_back() -> None:
    assert again(encode_corim(a_set(events=(replace(EVENT, label=""),)))).events[0].label == ""


def test_what_else_a_corim_holds_is_left_aside_and_said() -> None:
    environment = {0: {1: "ACME"}}
    comid = {
        1: {0: "keys"},
        4: {
            0: [[environment, [{1: {14: {0: [SHA256]}}}]]],
            1: [[environment, [{1: {8: "1234"}}]]],
            3: [[environment, [Tagged(554, "key")]]],
            6: [[environment, ["a-coswid"]]],
        },
    }
    software = with_changes(COSWID, {(6,): {17: [{24: "relative", 7: SHA256}, {24: "no-hash", 23: "/"}]}})
    evidence = with_changes(COSWID, {(6,): ..., (3,): {17: {24: "cat", 23: "/bin"}}})

    raw = corim_of(comid_tag(comid), coswid_tag(software), coswid_tag(evidence), Tagged(508, encode_cbor(TAG_LIST)))

    found = from_corim(decode_corim(raw), name="x", source="y")

    assert (found.reference.events, found.reference.files) == ((), ())
    assert found.left == (
        "CoMID keys: 1 reference values (no profile says which PCR or file they are about)",
        "CoMID keys: 1 endorsements",
        "CoMID keys: 1 keys",
        "CoMID keys: 1 relations between modules",
        "software software: 2 files without an absolute path or a digest that is computed here",
        "software software: 1 files found on a machine, which nobody declared good",
        "tag list a-list: all tags of this manifest count, listed or not",
    )


def test_reference_values_of_another_profile_are_no_events() -> None:
    raw = corim_of(comid_tag(COMID), profile=Tagged(32, "tag:arm.com,2025:psa#1.0.0"))

    found = from_corim(decode_corim(raw), name="x", source="y")

    assert found.left == (
        "CoMID a-comid: 1 reference values (of profile tag:arm.com,2025:psa#1.0.0, which does not list boot events)",
    )


def test_an_event_whose_digests_are_unknown_is_left_aside() -> None:
    comid = {1: {0: "own"}, 4: {0: [[{0: {1: "Bartizan"}}, [{0: 4, 1: {2: [["mine", bytes(32)]]}}]]]}}

    found = from_corim(decode_corim(corim_of(comid_tag(comid), profile=BOOT_EVENTS)), name="x", source="y")

    assert found.left == ("CoMID own: 1 events without a digest that is computed here",)


def test_a_time_out_of_the_calendar_is_no_limit() -> None:
    raw = corim_of(coswid_tag(COSWID), validity={1: Tagged(1, 2**50)})

    assert from_corim(decode_corim(raw), name="x", source="y").reference.valid_until is None


def test_files_of_a_software_tag_are_taken_once_per_digest() -> None:
    twice = with_changes(COSWID, {(6,): {17: [COSWID[6][17], COSWID[6][17]]}})

    found = from_software(decode_coswid(encode_cbor(twice)), name="x", source="y")

    assert [(file.path, file.alg) for file in found.reference.files] == [(b"/usr/bin/cat", "sha256")]
    assert found.left == ()


def test_the_events_of_a_rims_log_are_taken() -> None:
    tag = decode_swid((HIRS / "generated_user_cert.swidtag").read_bytes())
    log = (HIRS / "TpmLog.bin").read_bytes()

    found = from_support_logs(tag, (log,), name="x", source="y")

    assert (len(found.reference.events), found.left) == (47, ())
    assert {event.provenance for event in found.reference.events} == {"support RIM Example.com.BIOS.01.rimel"}
    assert all(set(event.digests) == {HashAlg.SHA256} for event in found.reference.events)


def test_a_log_that_the_rim_does_not_name_is_refused() -> None:
    tag = decode_swid((HIRS / "generated_user_cert.swidtag").read_bytes())
    log = (HIRS / "TpmLog.bin").read_bytes()

    with pytest.raises(VerifyError, match=r"rim\.support: sha256 .* is none of the RIM's support RIMs"):
        from_support_logs(tag, (log + b"\0",), name="x", source="y")


def test_a_log_that_is_named_and_is_none_is_refused() -> None:
    raw = (HIRS / "generated_user_cert.swidtag").read_text()
    named = "4479ca722623f8c47b703996ced3cbd981b06b1ae8a897db70137e0b7c546848"
    tag = decode_swid(raw.replace(named, HashAlg.SHA256.digest(b"no log").hex()).encode())

    with pytest.raises(DecodeError):
        from_support_logs(tag, (b"no log",), name="x", source="y")


def test_a_missing_log_is_said() -> None:
    tag = decode_swid((HIRS / "generated_user_cert.swidtag").read_bytes())

    assert from_support_logs(tag, (), name="x", source="y").left == (
        "support RIM Example.com.BIOS.01.rimel: not given",
    )


def test_a_sha1_log_gives_sha1_events() -> None:
    event = (4).to_bytes(4, "little") + (0xD).to_bytes(4, "little") + bytes(20) + (4).to_bytes(4, "little") + b"text"
    raw = (HIRS / "generated_user_cert.swidtag").read_text()
    named = "4479ca722623f8c47b703996ced3cbd981b06b1ae8a897db70137e0b7c546848"
    tag = decode_swid(raw.replace(named, HashAlg.SHA256.digest(event).hex()).encode())

    (found,) = from_support_logs(tag, (event,), name="x", source="y").reference.events

    assert (found.pcr, set(found.digests)) == (4, {HashAlg.SHA1})
