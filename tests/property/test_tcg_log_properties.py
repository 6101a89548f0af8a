"""Any bytes that come as a boot log are decoded or refused; a log that is cut is refused or is a part of the whole."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bartizan.errors import DecodeError
from bartizan.formats.tcg_log import decode_boot_log
from bartizan.formats.tcg_log_writer import encode_agile_log
from bartizan.model.boot_log import NO_PCR, BootLog, Event, EventType, LogFormat
from bartizan.model.digest import SIZES, HashAlg
from bartizan.verify.boot import verify_boot
from bartizan.verify.log_rules import check_log
from tests.simulator.boot_logs import LOGS, encode, recorded, spec_id, tpm_after

EXAMPLES = 200
HEADER = spec_id([(HashAlg.SHA1, 20), (HashAlg.SHA256, 32)])
RECORDED = (
    "google_go-eventlog/testdata__eventlogs__tpm__glinux-alex.bin",
    "google_go-attestation/x__windows_gcp_shielded_vm__eventlog.bin",
    "intel-secl_intel-secl/pkg__tagent__test__eventlog__txt-logs.bin",
    "kgoldman_acs/acs__tpm2bios.log",
    "tpm2-software_tpm2-tools/test__integration__fixtures__event-sd-boot-fedora37.bin",
)
BANK_SETS = st.lists(st.sampled_from(sorted(SIZES)), min_size=1, max_size=4, unique=True).map(tuple)
TYPES = st.sampled_from([int(kind) for kind in EventType]) | st.integers(0, 2**32 - 1)


def decoded_or_none(raw: bytes) -> BootLog | None:
    try:
        return decode_boot_log(raw)
    except DecodeError as error:
        refused = error
    assert 0 <= refused.offset <= len(raw)
    return None


@st.composite
def events(draw: st.DrawFn, banks: tuple[int, ...], *, whole: bool) -> Event:
    """Any event that the format allows; `whole`: with every bank's digest."""
    kind = draw(TYPES)
    pcr = draw(st.integers(0, 23) | st.just(NO_PCR) if kind == EventType.NO_ACTION else st.integers(0, 23))
    held = banks if whole else draw(st.lists(st.sampled_from(banks), unique=True))
    digests = {alg: draw(st.binary(min_size=SIZES[alg], max_size=SIZES[alg])) for alg in banks if alg in held}
    return Event(index=0, offset=0, pcr=pcr, reported_type=kind, digests=digests, data=draw(st.binary(max_size=60)))


@st.composite
def logs(draw: st.DrawFn) -> BootLog:
    """Any log, in its canonical form: offsets and format as the decoder finds them."""
    old = draw(st.booleans())
    banks = (int(HashAlg.SHA1),) if old else draw(BANK_SETS)
    found = draw(st.lists(events(banks, whole=old), min_size=int(old), max_size=8))
    padding = draw(st.integers(0, 40))
    layout = LogFormat.SHA1 if old else LogFormat.CRYPTO_AGILE
    return BootLog(format=layout, algorithms=banks, events=tuple(found), padding=padding)


def content(log: BootLog) -> list[tuple[object, ...]]:
    """The events without their place."""
    return [(event.pcr, event.reported_type, dict(event.digests), event.data) for event in log.events]


# --- total


@given(st.binary(max_size=300) | st.binary(max_size=300).map(lambda rest: HEADER + rest))
@settings(max_examples=EXAMPLES)
def test_any_bytes_are_decoded_or_refused(raw: bytes) -> None:
    decoded_or_none(raw)


@given(st.sampled_from(RECORDED), st.data())
@settings(max_examples=EXAMPLES)
def test_a_recorded_log_with_some_bytes_changed_is_decoded_or_refused(name: str, data: st.DataObject) -> None:
    raw = bytearray((LOGS / name).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, min(len(raw), 4000) - 1))] = data.draw(st.integers(0, 255))

    decoded_or_none(bytes(raw))


@given(logs(), st.sampled_from(sorted(HashAlg)))
@settings(max_examples=EXAMPLES, deadline=None)
def test_any_log_is_judged_and_never_breaks_the_judge(log: BootLog, pinned: HashAlg) -> None:
    check_log(log, pinned)

    boot = verify_boot(log, tpm_after(log), pinned=pinned)

    held = [e for e in log.events if e.reported_type != EventType.NO_ACTION and pinned in e.digests]
    explained = {each.pcr for each in boot.explanations if each.explained and each.bank == pinned}
    assert [event.data for event in boot.events] == [event.data for event in held if event.pcr in explained]
    assert all(pinned in event.digests for event in boot.events)


# --- round trip


@given(logs())
@settings(max_examples=EXAMPLES, deadline=None)
def test_a_log_that_is_written_and_read_is_the_same(log: BootLog) -> None:
    raw = encode(log)

    again = decoded_or_none(raw)

    if again is None:
        assert not raw.strip(b"\0"), "only a log that cannot be told from padding is refused"
        return
    assert content(again) == content(log)[: len(again.events)]
    assert encode(again) == raw
    if log.format is LogFormat.CRYPTO_AGILE:
        assert encode_agile_log(again) + bytes(again.padding) == raw


@pytest.mark.parametrize("name", RECORDED)
def test_a_recorded_log_is_written_back_to_its_own_bytes_behind_the_header(name: str) -> None:
    raw, log = (LOGS / name).read_bytes(), recorded(name)
    start = log.events[0].offset if log.format is not LogFormat.SHA1 else 0

    written = encode(log)

    assert written[len(written) - (len(raw) - start) :] == raw[start:]


# --- cut short


@pytest.mark.parametrize("name", RECORDED)
def test_a_recorded_log_that_is_cut_is_refused_or_is_a_part_of_the_whole(name: str) -> None:
    raw, whole = (LOGS / name).read_bytes(), recorded(name)
    borders = {event.offset for event in whole.events} | {len(raw) - whole.padding}
    lengths = [*range(min(len(raw), 1500)), *range(1500, len(raw), 97), *sorted(borders)]

    for length in lengths:
        part = decoded_or_none(raw[:length])
        if part is None:
            assert length not in borders or length == 0
            continue
        assert part.events == whole.events[: len(part.events)]
        assert length - part.padding in borders


@given(logs(), st.data())
@settings(max_examples=EXAMPLES, deadline=None)
def test_any_log_that_is_cut_is_refused_or_is_a_part_of_the_whole(log: BootLog, data: st.DataObject) -> None:
    raw = encode(replace(log, padding=0))
    length = data.draw(st.integers(0, len(raw)))

    part = decoded_or_none(raw[:length])

    if part is not None:
        assert content(part) == content(log)[: len(part.events)]
