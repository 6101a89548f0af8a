"""Logs of a dynamic launch: in TPM 1.2's container, inside dumps of the TXT heap, and what is no log at all."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bartizan.app.evidence_folder import read_recording
from bartizan.errors import DecodeError
from bartizan.formats.log_file import decode_log_file
from bartizan.formats.tcg_log import MAX_LOG, decode_boot_log, decode_embedded_log
from bartizan.formats.txt_heap import decode_txt_container, decode_txt_heap, find_embedded_log, is_txt_heap
from bartizan.model.boot_log import LogFormat
from bartizan.model.digest import HashAlg
from bartizan.verify.replay import replay
from tests.simulator.boot_logs import LOGS

TBOOT = (LOGS / "intel-secl_intel-secl/pkg__tagent__test__eventlog__txt-logs.bin").read_bytes()
EVENTS = decode_boot_log(TBOOT).events
END = 1634
"""Where the events of that log end and its padding begins."""
AT = 69_964
"""Where it was seen in a dump of 1 MiB."""
MEMORY = 0x7F000000
MEBIBYTE = 1 << 20


def element(kind: int, data: bytes) -> bytes:
    return pack("<II", kind, 8 + len(data)) + data


LAST = element(0, b"")


def pointer(address: int) -> bytes:
    """HEAP_EVENT_LOG_POINTER_ELEMENT2_1."""
    return element(8, pack("<QIII", address, 8192, 0, END))


def table(content: bytes) -> bytes:
    return pack("<Q", 8 + len(content)) + content


def os_sinit(elements: bytes, version: int = 7) -> bytes:
    return pack("<II9QIQ", version, 0, *range(9), 0, 0) + elements


def heap(
    *logs: tuple[int, bytes], elements: bytes = pointer(MEMORY + AT) + LAST, version: int = 7, size: int = 1 << 17
) -> bytes:
    """A dump of the heap with logs at these offsets in OsMleData."""
    bios = table(pack("<IIQQIQ", 6, 0x28000, 0, 0, 8, 0) + LAST)
    raw = bytearray(bios + table(bytes(size - len(bios) - 8)) + table(os_sinit(elements, version)))
    raw += table(pack("<I", 9) + bytes(140) + LAST)
    for at, log in logs:
        raw[at : at + len(log)] = log
    return bytes(raw) + bytes(4096)


def event_12(pcr: int, kind: int, digest: bytes, data: bytes = b"") -> bytes:
    return pack("<II20sI", pcr, kind, digest, len(data)) + data


FIRST, SECOND = event_12(17, 0x402, b"\x11" * 20, bytes(8)), event_12(18, 0x501, b"\x22" * 20)


def container(
    events: bytes = FIRST + SECOND, *, size: int = 4096, first: int = 48, end: int | None = None, version: int = 1
) -> bytes:
    end = first + len(events) if end is None else end
    head = pack("<20s12s4BIII", b"TXT Event Container\0", bytes(12), version, 0, 1, 0, size, first, end)
    return (head + bytes(first - 48) + events).ljust(size, b"\0")


def why(raw: bytes) -> str:
    with pytest.raises(DecodeError) as refused:
        decode_log_file(raw)
    return refused.value.why


def test_a_log_is_found_inside_a_dump_of_the_heap() -> None:
    log = decode_log_file(heap((AT, TBOOT), size=MEBIBYTE))

    assert (log.format, log.start, log.events) == (LogFormat.TXT, AT, EVENTS)
    assert replay(log, HashAlg.SHA256)[17].hex().startswith("ff8a57bf4a600950")


def test_other_data_may_follow_the_log_in_memory() -> None:
    full = TBOOT[:END] + bytes(16) + b"\xcc" * 4096

    assert decode_log_file(heap((AT, full))).events == EVENTS


@pytest.mark.parametrize("version", [5, 6, 7])
def test_the_heap_needs_no_pointer_where_it_holds_one_log(version: int) -> None:
    assert decode_log_file(heap((5000, TBOOT), elements=LAST, version=version)).start == 5000


def test_of_two_logs_the_one_that_the_heap_points_to_counts() -> None:
    other = TBOOT.replace(b"\x71\xbe\x58", b"\x17\xbe\x58")
    both = [(AT, TBOOT), (20_000, other)]

    assert decode_log_file(heap(*both)).start == AT
    assert decode_log_file(heap(*both, elements=element(5, pack("<Q", MEMORY + 20_000)) + LAST)).start == 20_000
    assert decode_log_file(heap((AT, TBOOT), (20_000, TBOOT), elements=LAST)).events == EVENTS


@pytest.mark.parametrize(
    ("elements", "reason"),
    [
        (LAST, "no event log in it, or none where its pointers say"),
        (pointer(MEMORY + 1) + LAST, "no event log in it, or none where its pointers say"),
        (pointer(MEMORY + AT) + pointer(MEMORY + 20_000) + LAST, "2 event logs that differ"),
        (pack("<II", 8, 7), "8 bytes or more expected, found 7"),
        (pack("<II", 8, 999), "991 bytes expected"),
        (element(8, b"\0" * 4), "20 bytes expected, 4 left"),
        (b"", "8 bytes expected, 0 left"),
    ],
)
def test_two_logs_that_no_pointer_tells_apart_are_refused(elements: bytes, reason: str) -> None:
    other = TBOOT.replace(b"\x71\xbe\x58", b"\x17\xbe\x58")

    assert reason in why(heap((AT, TBOOT), (20_000, other), elements=elements))


def test_the_elements_of_the_heap_have_no_end_without_bound() -> None:
    other = TBOOT.replace(b"\x71\xbe\x58", b"\x17\xbe\x58")

    assert "no event log" in why(heap((AT, TBOOT), (20_000, other), elements=element(4, b"") * 100))


def test_a_heap_without_a_log_says_so() -> None:
    assert "no event log in it" in why(heap())
    assert "no event log in it" in why(heap((AT, TBOOT[: END - 40].ljust(8192, b"\xee"))))


def test_a_dump_that_begins_elsewhere_is_searched_for_one_log() -> None:
    dump = b"\xee" * 5000 + TBOOT

    assert decode_log_file(dump).start == 5000
    assert "0 to 23 expected" in why(b"\xee" * 5000)
    assert "0 to 23 expected" in why(dump + TBOOT.replace(b"\x71\xbe\x58", b"\x17\xbe\x58"))


def test_a_broken_log_is_not_mended_by_what_lies_inside_it() -> None:
    broken = TBOOT[:80] + b"\xff" * 4 + TBOOT[84:]

    assert find_embedded_log(broken) is None
    assert why(broken) == why(broken[:END])


def test_a_heap_over_the_limit_is_refused() -> None:
    with pytest.raises(DecodeError, match="over the limit"):
        decode_txt_heap(heap((AT, TBOOT)) + bytes(MAX_LOG))


def test_a_boot_log_is_never_taken_for_a_heap() -> None:
    assert not any(is_txt_heap(path.read_bytes()) for path in LOGS.rglob("*") if path.is_file())
    assert is_txt_heap(heap())
    assert not is_txt_heap(heap()[:52] + bytes(8) + heap()[60:])


def test_a_log_in_memory_ends_at_the_first_event_of_zeros() -> None:
    log, size = decode_embedded_log(TBOOT[:END] + bytes(16) + b"more")

    assert (log.events, size) == (EVENTS, END)
    assert decode_embedded_log(TBOOT[:END])[0] == log
    with pytest.raises(DecodeError, match="a Spec ID event expected"):
        decode_embedded_log(FIRST)


@pytest.mark.parametrize("first", [48, 64])
def test_the_container_of_tpm_1_2_holds_events_with_sha1(first: int) -> None:
    log = decode_log_file(container(first=first) + bytes(100))

    assert (log.format, log.algorithms) == (LogFormat.TXT, (HashAlg.SHA1,))
    assert [(event.pcr, event.reported_type, event.data) for event in log.events] == [
        (17, 0x402, bytes(8)),
        (18, 0x501, b""),
    ]


def test_the_container_is_found_inside_the_heap_too() -> None:
    log = decode_log_file(heap((AT, container() + b"\xee" * 9)))

    assert (log.start, len(log.events), log.format) == (AT, 2, LogFormat.TXT)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (container(version=2), "version 1 of both parts expected"),
        (container(end=5000), "events from 48 to 5000 of 4096 bytes do not fit"),
        (container(first=60, end=50), "events from 60 to 50"),
        (container()[:4000], "do not fit into 4000"),
        (container(b""), "the log is empty"),
        (container(FIRST + SECOND[:-1]), "32 bytes expected, 31 left"),
        (container() + b"\x01", "1 bytes left over that are no padding"),
        (container(TBOOT[:END]), "events of TPM 1.2 expected"),
        (b"TXT Event Container\0", "48 bytes expected"),
    ],
)
def test_a_container_that_breaks_its_rules_is_refused(raw: bytes, reason: str) -> None:
    assert reason in why(raw)


def test_a_fault_in_a_container_is_found_where_it_stands() -> None:
    with pytest.raises(DecodeError) as refused:
        decode_txt_container(container(FIRST + event_12(99, 0x501, bytes(20))))

    assert refused.value.offset == 48 + len(FIRST)


def test_a_console_capture_is_refused_as_text() -> None:
    capture = (LOGS / "fobnail_docs" / "dev-notes__meta-fobnail-log.cap").read_bytes()

    assert why(capture).startswith("text, such as a listing or a hex dump")


@pytest.mark.parametrize("raw", [b"{}", b"00000000: 0000 0000\n", b"\xef\xbb\xbfevents:\n", b"-" * 5000])
def test_any_text_is_refused_as_text(raw: bytes) -> None:
    assert why(raw).startswith("text")


def test_the_table_that_points_to_a_log_is_not_the_log() -> None:
    table = Path(LOGS).parent / "confidential" / "cos-113.table.bin"

    assert why(table.read_bytes()) == "the ACPI table CCEL, which only says where the log is: at 0xbedbf000"
    assert "add up to 0" in why(table.read_bytes()[:-1] + b"\x01")


def test_the_log_of_a_launch_may_be_given_as_a_dump_of_the_heap(tmp_path: Path) -> None:
    boot = Path(LOGS).parent / "boots" / "good"
    for name in ("quote.attest", "quote.sig", "ak.pub", "pcrs_at_quote.json"):
        (tmp_path / name).write_bytes((boot / name).read_bytes())
    (tmp_path / "txt_eventlog.bin").write_bytes(heap((AT, TBOOT)))

    launch_log = read_recording(tmp_path).evidence.launch_log

    assert launch_log is not None
    assert launch_log.events == EVENTS


@pytest.mark.parametrize("raw", [heap((5000, TBOOT[:END]), size=8192)[: 8192 + 400], container(size=200)])
def test_every_truncation_decodes_or_is_refused(raw: bytes) -> None:
    for size in [*range(0, len(raw), 97), *range(max(0, len(raw) - 300), len(raw))]:
        with suppress(DecodeError):
            decode_log_file(raw[:size])


def spliced(raw: bytes) -> st.SearchStrategy[bytes]:
    """The bytes with a few of them replaced."""

    def put(places: Sequence[tuple[int, int]]) -> bytes:
        changed = bytearray(raw)
        for place, value in places:
            changed[place % len(changed)] = value
        return bytes(changed)

    return st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), min_size=1, max_size=6).map(put)


@given(st.binary(max_size=300) | spliced(container(size=300)) | spliced(heap((600, TBOOT[:600]), size=2000)))
def test_any_bytes_are_a_log_or_refused(raw: bytes) -> None:
    for decode in (decode_log_file, decode_txt_container, decode_txt_heap, decode_embedded_log, find_embedded_log):
        with suppress(DecodeError):
            decode(raw)
