"""The container of a boot log: every limit, and every refusal at the byte that is wrong."""

from dataclasses import FrozenInstanceError
from struct import pack

import pytest

from bartizan.errors import DecodeError
from bartizan.formats import tcg_log
from bartizan.formats.tcg_log import decode_boot_log
from bartizan.model.boot_log import NO_PCR, Event, EventType, LogFormat, make_event
from bartizan.model.digest import HashAlg
from tests.simulator.boot_logs import (
    LOGS,
    SPEC_ID,
    agile_event,
    digests,
    encode,
    hash_of,
    log_of,
    measured,
    separator,
    sha1_event,
    spec_id,
    started_from,
)

SHA1, SHA256, SHA384 = HashAlg.SHA1, HashAlg.SHA256, HashAlg.SHA384
UNKNOWN = 0x7001
HEADER = spec_id([(SHA256, 32)])
TWO_BANKS = spec_id([(SHA1, 20), (SHA256, 32)])
EVENT = agile_event(7, EventType.SEPARATOR, [(SHA256, bytes(32))], bytes(4))
ONE_DIGEST = 12 + 2 + 32
"""Bytes of an event before eventSize, with one SHA-256 digest."""


def refused(raw: bytes, *, what: str, offset: int, why: str = "") -> None:
    with pytest.raises(DecodeError) as refusal:
        decode_boot_log(raw)
    assert (refusal.value.what, refusal.value.offset) == (what, offset)
    assert why in refusal.value.why


# --- what is accepted


def test_events_keep_their_order_offset_pcr_type_digests_and_data() -> None:
    second = agile_event(4, 0x80000003, [(SHA256, b"\xaa" * 32)], b"loader")

    log = decode_boot_log(HEADER + EVENT + second)

    assert log.format is LogFormat.CRYPTO_AGILE
    assert log.algorithms == (SHA256,)
    assert [event.index for event in log.events] == [0, 1]
    assert [event.offset for event in log.events] == [len(HEADER), len(HEADER) + len(EVENT)]
    assert (log.events[1].pcr, log.events[1].reported_type) == (4, 0x80000003)
    assert log.events[1].digests == {SHA256: b"\xaa" * 32}
    assert log.events[1].data == b"loader"


def test_a_log_that_opens_without_a_spec_id_is_in_sha1_format() -> None:
    raw = sha1_event(0, EventType.NO_ACTION, bytes(20), b"short") + sha1_event(
        4, EventType.SEPARATOR, hash_of(SHA1, bytes(4)), bytes(4)
    )

    log = decode_boot_log(raw)

    assert log.format is LogFormat.SHA1
    assert log.algorithms == (SHA1,)
    assert log.events[1].digests == {SHA1: hash_of(SHA1, bytes(4))}


def test_a_spec_id_under_another_event_type_makes_no_crypto_agile_log() -> None:
    raw = bytearray(HEADER)
    raw[4] = EventType.ACTION

    assert decode_boot_log(bytes(raw)).format is LogFormat.SHA1


def test_a_crypto_agile_log_may_be_without_events() -> None:
    assert decode_boot_log(HEADER).events == ()


def test_digests_may_come_in_another_order_than_in_the_header() -> None:
    raw = TWO_BANKS + agile_event(0, 1, [(SHA256, b"b" * 32), (SHA1, b"a" * 20)], b"")

    assert decode_boot_log(raw).events[0].digests == {SHA1: b"a" * 20, SHA256: b"b" * 32}


@pytest.mark.parametrize("held", [{}, {SHA1: b"a" * 20}, {SHA256: b"b" * 32}])
def test_an_event_may_lack_a_banks_digest(held: dict[int, bytes]) -> None:
    raw = (
        TWO_BANKS
        + agile_event(11, 6, held.items(), b"x")
        + agile_event(12, 6, digests(b"", (SHA1, SHA256)).items(), b"")
    )

    log = decode_boot_log(raw)

    assert log.events[0].digests == held
    assert set(log.events[1].digests) == {SHA1, SHA256}


def test_an_algorithm_that_is_not_known_is_kept_with_the_size_that_the_header_gives() -> None:
    header = spec_id([(UNKNOWN, 7), (SHA256, 32)])

    log = decode_boot_log(header + agile_event(0, 1, [(UNKNOWN, b"seven b"), (SHA256, bytes(32))], b""))

    assert log.algorithms == (UNKNOWN, SHA256)
    assert log.events[0].digests[UNKNOWN] == b"seven b"


def test_pcr_minus_one_is_legal_on_an_event_that_extends_nothing() -> None:
    raw = HEADER + agile_event(NO_PCR, EventType.NO_ACTION, [(SHA256, b"\xee" * 32)], b"WBCL")

    assert decode_boot_log(raw).events[0].pcr == NO_PCR


def test_vendor_info_in_the_header_is_passed_over() -> None:
    assert len(decode_boot_log(spec_id([(SHA256, 32)], vendor_info=b"\xde\xad") + EVENT).events) == 1


@pytest.mark.parametrize(
    "name",
    [
        "tpm2-software_tpm2-tools/test__integration__fixtures__specid-vendordata.bin",
        "tpm2-software_tpm2-tss/decoded__specid-vendordata.bin",
    ],
)
def test_vendor_info_is_found_behind_a_header_whose_size_leaves_it_out(name: str) -> None:
    raw = (LOGS / name).read_bytes()

    assert decode_boot_log(raw).algorithms == (SHA1, SHA256)
    assert len(decode_boot_log(raw + agile_event(0, 1, digests(b"", (SHA1, SHA256)).items(), b"")).events) == 1


@pytest.mark.parametrize("byte", [b"\x00", b"\xff"])
@pytest.mark.parametrize("length", [1, 7, 8, 12, 32, 100])
def test_padding_of_one_repeated_byte_is_counted(byte: bytes, length: int) -> None:
    agile, old = HEADER + EVENT, sha1_event(0, EventType.ACTION, b"\x11" * 20, b"x")

    for raw in (agile, old):
        log = decode_boot_log(raw + byte * length)
        assert (len(log.events), log.padding) == (1, length)


def test_many_small_events_before_much_padding_take_no_long_time() -> None:
    """Looking through the padding once for each event would take minutes."""
    events = agile_event(0, 0, [(SHA256, bytes(32))], b"") * 20_000

    log = decode_boot_log(HEADER + events + EVENT + bytes(8 * 1024 * 1024))

    assert len(log.events) == 20_001


@pytest.mark.parametrize(
    ("banks", "pcrs", "kind"),
    [
        ((SHA384,), (1, 2, 3), LogFormat.CCEL),
        ((SHA384,), (4,), LogFormat.CCEL),
        ((SHA384,), (0, 4), LogFormat.CRYPTO_AGILE),
        ((SHA384,), (1, 5), LogFormat.CRYPTO_AGILE),
        ((SHA256, SHA384), (1, 2), LogFormat.CRYPTO_AGILE),
        ((SHA256,), (17, 18, 22), LogFormat.TXT),
        ((SHA256,), (17, 7), LogFormat.CRYPTO_AGILE),
        ((SHA256,), (), LogFormat.CRYPTO_AGILE),
    ],
)
def test_the_kind_of_log_follows_from_its_banks_and_registers(
    banks: tuple[int, ...], pcrs: tuple[int, ...], kind: LogFormat
) -> None:
    log = log_of(*(separator(pcr, banks=banks) for pcr in pcrs), banks=banks)

    assert decode_boot_log(encode(log)).format is kind


def test_an_event_of_pcr_0_that_extends_nothing_leaves_a_ccel_one() -> None:
    log = log_of(started_from(0, banks=(SHA384,)), separator(1, banks=(SHA384,)), banks=(SHA384,))

    assert decode_boot_log(encode(log)).format is LogFormat.CCEL


# --- what is refused, and where


def test_an_empty_log_is_refused() -> None:
    refused(b"", what="boot log", offset=0, why="empty")


@pytest.mark.parametrize("raw", [bytes(64), b"\xff" * 64, b"\0"])
def test_padding_without_an_event_is_no_log(raw: bytes) -> None:
    refused(raw, what="boot log", offset=0, why="no event")


def test_a_log_over_the_limit_is_refused_unread() -> None:
    refused(bytes(tcg_log.MAX_LOG + 1), what="boot log", offset=0, why=f"limit of {tcg_log.MAX_LOG}")


def test_too_many_events_are_refused_at_the_first_one_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcg_log, "MAX_EVENTS", 3)
    old = sha1_event(0, EventType.ACTION, b"\x11" * 20, b"x")

    assert len(decode_boot_log(HEADER + EVENT * 3).events) == 3
    refused(HEADER + EVENT * 4, what="events", offset=len(HEADER) + 3 * len(EVENT), why="more than 3")
    assert len(decode_boot_log(old * 3).events) == 3
    refused(old * 4, what="events", offset=3 * len(old), why="more than 3")


@pytest.mark.parametrize("padding", [b"\x00\xff", b"\xff" * 9 + b"\x01", b"\x20" * 8])
def test_other_bytes_behind_the_last_event_are_not_padding(padding: bytes) -> None:
    with pytest.raises(DecodeError) as refusal:
        decode_boot_log(HEADER + EVENT + padding)

    assert refusal.value.offset >= len(HEADER) + len(EVENT)


@pytest.mark.parametrize("pcr", [24, 0x100, NO_PCR - 1, NO_PCR])
def test_a_pcr_that_no_tpm_has_is_refused(pcr: int) -> None:
    raw = HEADER + EVENT + agile_event(pcr, EventType.ACTION, [(SHA256, bytes(32))], b"")
    odd = HEADER + agile_event(pcr, EventType.ACTION, [], b"")
    old = sha1_event(pcr, EventType.ACTION, b"\x11" * 20, b"x")

    refused(raw, what="pcrIndex", offset=len(HEADER) + len(EVENT), why=f"found {pcr}")
    refused(odd, what="pcrIndex", offset=len(HEADER), why=f"found {pcr}")
    refused(old, what="pcrIndex", offset=0, why=f"found {pcr}")


def test_another_pcr_than_minus_one_is_refused_even_where_nothing_is_extended() -> None:
    raw = HEADER + agile_event(24, EventType.NO_ACTION, [(SHA256, bytes(32))], b"")

    refused(raw, what="pcrIndex", offset=len(HEADER))


@pytest.mark.parametrize("count", [2, 9, 2**32 - 1])
def test_more_digests_than_banks_are_refused(count: int) -> None:
    raw = HEADER + agile_event(0, 1, [(SHA256, bytes(32))] * 2, b"", count=count)

    refused(raw, what="digests.count", offset=len(HEADER) + 8, why=f"{count} digests found")


def test_two_digests_of_one_algorithm_are_refused() -> None:
    raw = TWO_BANKS + agile_event(0, 1, [(SHA1, bytes(20)), (SHA1, bytes(20))], b"")

    refused(raw, what="digest.algId", offset=len(TWO_BANKS) + 12 + 22, why="listed twice")


@pytest.mark.parametrize("alg", [SHA1, UNKNOWN])
def test_a_digest_of_a_bank_that_the_header_does_not_name_is_refused(alg: int) -> None:
    raw = HEADER + agile_event(0, 1, [(alg, bytes(32))], b"")

    refused(raw, what="digest.algId", offset=len(HEADER) + 12, why="not declared")


@pytest.mark.parametrize("size", [tcg_log.MAX_EVENT_DATA + 1, 2**32 - 1])
def test_event_data_over_the_limit_is_refused_at_its_length(size: int) -> None:
    agile = HEADER + agile_event(0, 1, [(SHA256, bytes(32))], b"x", size=size)
    odd = HEADER + agile_event(0, 1, [], b"x", size=size)

    refused(agile, what="eventSize", offset=len(HEADER) + ONE_DIGEST, why=f"{size} is over the limit")
    refused(odd, what="eventSize", offset=len(HEADER) + 12, why=f"{size} is over the limit")
    refused(sha1_event(0, 1, bytes(20), b"x", size=size), what="eventDataSize", offset=28, why=f"{size} is over")


def test_event_data_that_is_cut_short_is_refused_where_it_begins() -> None:
    raw = HEADER + agile_event(0, 1, [(SHA256, bytes(32))], b"abc", size=4)

    refused(raw, what="event", offset=len(HEADER) + ONE_DIGEST + 4, why="4 bytes expected, 3 left")
    refused(sha1_event(0, 1, bytes(20), b"abc", size=4), what="event", offset=32, why="4 bytes expected, 3 left")


@pytest.mark.parametrize(
    ("kept", "what", "offset"), [(6, "TCG_PCR_EVENT2", 0), (13, "digest.algId", 12), (20, "digest", 14)]
)
def test_an_event_that_is_cut_short_is_refused_at_the_field_that_is_missing(kept: int, what: str, offset: int) -> None:
    refused(HEADER + EVENT[:kept], what=what, offset=len(HEADER) + offset)


# --- the header


@pytest.mark.parametrize("count", [0, tcg_log.MAX_ALGORITHMS + 1, 2**32 - 1])
def test_a_header_with_no_bank_or_too_many_is_refused(count: int) -> None:
    refused(spec_id([(SHA256, 32)], count=count), what="numberOfAlgorithms", offset=56, why=f"found {count}")


def test_eight_banks_are_accepted() -> None:
    header = spec_id([(UNKNOWN + n, 32) for n in range(tcg_log.MAX_ALGORITHMS)])

    assert len(decode_boot_log(header).algorithms) == tcg_log.MAX_ALGORITHMS


def test_a_bank_listed_twice_is_refused() -> None:
    refused(spec_id([(SHA1, 20), (SHA1, 20)]), what="digestSizes", offset=64, why="listed twice")


@pytest.mark.parametrize("size", [0, 20, 31, 33, 0xFFFF])
def test_a_header_that_lies_about_a_digests_size_is_refused(size: int) -> None:
    refused(spec_id([(SHA256, size)]), what="digestSizes", offset=60, why=f"32 bytes expected, found {size}")


@pytest.mark.parametrize("size", [0, tcg_log.MAX_UNKNOWN_DIGEST + 1])
def test_an_unknown_digest_of_no_size_or_over_the_limit_is_refused(size: int) -> None:
    refused(spec_id([(UNKNOWN, size)]), what="digestSizes", offset=60, why=f"found {size}")


def header(data: bytes) -> bytes:
    return sha1_event(0, EventType.NO_ACTION, bytes(20), data)


LISTED = SPEC_ID + pack("<IBBBBI", 0, 0, 2, 0, 2, 1) + pack("<HH", SHA256, 32)


@pytest.mark.parametrize(
    ("data", "what", "offset"),
    [
        (SPEC_ID + bytes(7), "Spec ID: signature, platform class, version, uintn size", 32),
        (LISTED[:26], "numberOfAlgorithms", 56),
        (LISTED[:30], "digestSizes", 60),
        (LISTED, "vendorInfoSize", 64),
        (LISTED + b"\x02\xaa", "vendorInfo", 65),
        (LISTED + b"\x01\xaa\xbb", "Spec ID event", 66),
        (LISTED + b"\x00\xbb", "Spec ID event", 65),
    ],
)
def test_a_header_that_is_too_short_or_too_long_is_refused_at_its_fault(data: bytes, what: str, offset: int) -> None:
    refused(header(data) + EVENT, what=what, offset=offset)


def test_vendor_info_that_is_nowhere_is_refused_where_it_should_be() -> None:
    refused(header(LISTED + b"\x04") + b"\xaa\xbb", what="vendorInfo", offset=65, why="4 bytes expected, 2 left")


def test_an_event_of_all_banks_is_read_as_one_of_some() -> None:
    """The quick way through events that have every bank in order gives what the careful way gives."""
    whole = log_of(
        measured(4, 0x80000003, b"x", banks=(SHA1, SHA256)), separator(7, banks=(SHA1, SHA256)), banks=(SHA1, SHA256)
    )
    turned = [(alg, digest) for alg, digest in reversed(whole.events[0].digests.items())]

    quick = decode_boot_log(encode(whole)).events[0]
    careful = decode_boot_log(TWO_BANKS + agile_event(4, 0x80000003, turned, b"x")).events[0]

    assert quick == careful


def test_a_quickly_made_event_is_what_the_constructor_makes() -> None:
    made = make_event((1, 2, 3, 4), {11: b"d"}, b"data")
    constructed = Event(index=1, offset=2, pcr=3, reported_type=4, digests={11: b"d"}, data=b"data")

    assert made == constructed
    assert repr(made) == repr(constructed)
    with pytest.raises(FrozenInstanceError):
        made.pcr = 5  # type: ignore[misc]  # that it cannot be changed is the test
