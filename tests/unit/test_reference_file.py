"""Reference Values as a document: canonical, strict, and fit for any path a kernel can report."""

import dataclasses
import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bartizan.errors import DecodeError
from bartizan.formats import reference_file
from bartizan.formats.reference_file import decode_reference, encode_reference
from bartizan.model.digest import HashAlg
from bartizan.model.reference import ReferenceEvent, ReferenceFile, ReferenceSet, ReferenceState

EVENT = ReferenceEvent(pcr=4, digests={HashAlg.SHA384: b"\2" * 48, HashAlg.SHA256: b"\1" * 32}, label="a loader")
FILE = ReferenceFile(path=b"/usr/bin/cut", alg="sha256", digest=b"\3" * 32)
SET = ReferenceSet(name="good", source="a boot", events=(EVENT,), files=(FILE,), digest="")


def rewritten(change: Callable[[Any], None]) -> bytes:
    """The document with one thing changed, otherwise in the same form."""
    document = json.loads(encode_reference(SET))
    change(document)
    return json.dumps(document, ensure_ascii=True, indent=1).encode() + b"\n"


def test_a_set_comes_back_with_the_digest_of_its_document() -> None:
    raw = encode_reference(SET)
    found = decode_reference(raw)

    assert (found.name, found.source, found.events, found.files) == (SET.name, SET.source, SET.events, SET.files)
    assert found.digest == hashlib.sha256(raw).hexdigest()
    assert encode_reference(found) == raw


def test_the_document_is_ascii_and_does_not_depend_on_the_order_of_files_and_banks() -> None:
    more = (
        ReferenceFile(path=b"/b", alg="sha256", digest=bytes(32)),
        FILE,
        ReferenceFile(path=b"/b", alg="sha1", digest=bytes(20)),
    )
    one = ReferenceSet(name="n", source="s", events=(EVENT,), files=more, digest="")
    turned = ReferenceEvent(pcr=4, digests=dict(reversed(list(EVENT.digests.items()))), label=EVENT.label)
    two = ReferenceSet(name="n", source="s", events=(turned,), files=more[::-1], digest="else")

    assert encode_reference(one) == encode_reference(two)
    assert encode_reference(one).isascii()


def test_the_order_of_events_is_kept_since_it_is_the_boots() -> None:
    first = ReferenceEvent(pcr=9, digests={HashAlg.SHA1: bytes(20)}, label="z")

    assert decode_reference(
        encode_reference(ReferenceSet(name="n", source="s", events=(first, EVENT), files=(), digest=""))
    ).events == (first, EVENT)


HOSTILE = [
    b"/run/a\nb",
    b"/run/\x1b[31mred",
    b"/run/\xff\xfe not utf-8",
    "/run/\u202egnp.exe".encode(),
    b'/run/"quoted\\"',
    b"/" + b"x" * 4096,
    b"relative",
    b"\x7f\x01",
    "/run/\ud7ff\uffff".encode(),
]


@pytest.mark.parametrize("path", HOSTILE, ids=lambda path: ascii(path)[:24])
def test_any_path_comes_back_byte_for_byte(path: bytes) -> None:
    file = ReferenceFile(path=path, alg="sha256", digest=bytes(32))
    raw = encode_reference(ReferenceSet(name="n", source="s", events=(), files=(file,), digest=""))

    assert decode_reference(raw).files == (file,)
    assert raw.isascii()
    assert raw.replace(b"\n", b"").decode().isprintable()


@pytest.mark.parametrize(
    ("alg", "size"),
    [("sha1", 20), ("sha512", 64), ("verity:sha256", 32), ("sha3-256", 32), ("sm3", 32), ("md5", 16), ("rmd160", 20)],
)
def test_a_file_digest_is_kept_under_the_kernels_name_for_it(alg: str, size: int) -> None:
    file = ReferenceFile(path=b"/a", alg=alg, digest=b"\5" * size)

    assert decode_reference(
        encode_reference(ReferenceSet(name="n", source="s", events=(), files=(file,), digest=""))
    ).files == (file,)


def file_of(digest: str) -> Callable[[Any], None]:
    return lambda document: document["files"][0].update(digest=digest)


def event_of(**changes: object) -> Callable[[Any], None]:
    return lambda document: document["events"][0].update(changes)


REFUSED: dict[str, tuple[Callable[[Any], None], str]] = {
    "another format": (
        lambda document: document.update(format="bartizan-reference-2"),
        "format bartizan-reference-1 expected",
    ),
    "an unknown field": (lambda document: document.update(trusted=True), "unknown field"),
    "a missing field": (lambda document: document.pop("files"), "missing required field"),
    "a number for a name": (lambda document: document.update(name=7), "Expected `str`"),
    "a PCR over 23": (event_of(pcr=24), "PCR 0 to 23"),
    "a PCR below 0": (event_of(pcr=-1), "PCR 0 to 23"),
    "a PCR that is true": (event_of(pcr=True), "Expected `int`"),
    "an event without digests": (event_of(digests={}), "PCR 0 to 23 with digests"),
    "an unknown bank": (event_of(digests={"sha257": "00"}), "not a hash algorithm"),
    "a short event digest": (event_of(digests={"sha256": "00" * 31}), "wrong length of 31 bytes"),
    "an upper-case event digest": (event_of(digests={"sha256": "AA" * 32}), "lower-case hexadecimal"),
    "a file digest without algorithm": (file_of("00" * 32), "algorithm:digest expected"),
    "a file digest that is empty": (file_of("sha256:"), "algorithm:digest expected"),
    "a short file digest": (file_of("sha256:" + "00" * 31), "wrong length of 31 bytes"),
    "a short fs-verity digest": (file_of("verity:sha256:" + "00" * 20), "wrong length of 20 bytes"),
    "an upper-case file digest": (file_of("sha256:" + "AA" * 32), "algorithm:digest expected"),
    "a label with an escape": (file_of("sha\x1b256:" + "00" * 32), "algorithm:digest expected"),
    "a path that no file can have": (
        lambda document: document["files"][0].update(path="/\ud800"),
        "cannot be a file's",
    ),
    "files out of order": (
        lambda document: document["files"].insert(0, {"path": "/z", "digest": "sha1:" + "00" * 20}),
        "not in canonical form",
    ),
    "banks out of order": (
        lambda document: document["events"][0].update(digests=dict(reversed(document["events"][0]["digests"].items()))),
        "not in canonical form",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_another_document_is_refused(name: str) -> None:
    change, why = REFUSED[name]

    with pytest.raises(DecodeError, match=why) as refusal:
        decode_reference(rewritten(change))

    assert refusal.value.why.isprintable()


@pytest.mark.parametrize(
    "raw",
    [encode_reference(SET)[:-1], encode_reference(SET) + b"\n", json.dumps(json.loads(encode_reference(SET))).encode()],
)
def test_the_same_set_in_another_form_is_refused(raw: bytes) -> None:
    """One set has one document, so that its digest names it."""
    with pytest.raises(DecodeError, match="not in canonical form"):
        decode_reference(raw)


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"null", b"\xff", encode_reference(SET)[:-10], encode_reference(SET) + b"{}"]
)
def test_what_is_no_such_document_is_refused(raw: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_reference(raw)


def test_a_document_over_the_limit_is_refused_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = encode_reference(SET)
    monkeypatch.setattr(reference_file, "MAX_FILE", len(raw))
    decode_reference(raw)

    with pytest.raises(DecodeError, match="over the limit"):
        decode_reference(raw + b" ")


WINDOW = {"valid_from": "2026-01-01T00:00:00Z", "valid_until": "2026-02-01T12:30:59Z", "state": "retired"}


def test_state_and_window_come_back_and_are_part_of_the_digest() -> None:
    bounded = dataclasses.replace(
        SET,
        state=ReferenceState.RETIRED,
        valid_from=datetime(2026, 1, 1, tzinfo=UTC),
        valid_until=datetime(2026, 2, 1, 12, 30, 59, tzinfo=UTC),
    )
    raw = encode_reference(bounded)

    assert {key: json.loads(raw)[key] for key in WINDOW} == WINDOW
    found = decode_reference(raw)
    assert (found.state, found.valid_from, found.valid_until) == (
        bounded.state,
        bounded.valid_from,
        bounded.valid_until,
    )
    assert found.digest != decode_reference(encode_reference(SET)).digest


def test_a_document_without_them_is_approved_and_unbounded() -> None:
    raw = encode_reference(SET)

    assert not set(WINDOW) & set(json.loads(raw))
    assert decode_reference(raw).in_force(datetime(1970, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    "time", ["2026-01-01", "2026-01-01T00:00:00+00:00", "2026-13-01T00:00:00Z", "2026-1-1T00:00:00Z", "", 5]
)
@pytest.mark.parametrize("field", ["valid_from", "valid_until"])
def test_a_time_in_another_form_is_refused(field: str, time: object) -> None:
    raw = rewritten(lambda document: document.update({field: time}))

    with pytest.raises(DecodeError):
        decode_reference(raw)


def test_an_unknown_state_is_refused() -> None:
    with pytest.raises(DecodeError):
        decode_reference(rewritten(lambda document: document.update(state="golden")))


def test_provenance_comes_back() -> None:
    told = dataclasses.replace(EVENT, provenance="predicted from a package 1.0")

    assert decode_reference(encode_reference(dataclasses.replace(SET, events=(told,)))).events == (told,)


def test_a_set_counts_from_its_first_instant_to_before_its_last() -> None:
    begin, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
    bounded = dataclasses.replace(SET, valid_from=begin, valid_until=end)
    second = timedelta(seconds=1)

    assert [bounded.in_force(now) for now in (begin - second, begin, end - second, end)] == [False, True, True, False]
