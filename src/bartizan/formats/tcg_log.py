"""Boot logs: SHA-1 and crypto-agile, CCEL, TXT. The container only; what is inside an event is decoded elsewhere.

TCG PC Client Platform Firmware Profile 1.06, 10.2; TXT event types from Intel's TXT software development guide, H.
Nothing is believed: a type is a label, a digest is a claim, both wait for replay against a quoted PCR.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from struct import Struct

from bartizan.errors import DecodeError
from bartizan.formats.reader import LittleReader
from bartizan.formats.texts import is_text
from bartizan.model.boot_log import LAUNCH_PCRS, NO_ACTION, NO_PCR, BootLog, Event, LogFormat, make_event
from bartizan.model.digest import PCR_COUNT, SIZES, HashAlg

MAX_LOG = 16 * 1024 * 1024
"""Bytes of a log; the largest real one seen is 1 MiB with padding."""
MAX_EVENTS = 65_536
"""Events of a log; the largest real ones have some hundreds."""
MAX_EVENT_DATA = 4 * 1024 * 1024
"""Bytes of one event's data; a whole dbx (about 25 KB) is the largest seen."""
MAX_ALGORITHMS = 8
"""Banks in a Spec ID header; TPM libraries hold at most 7."""
MAX_UNKNOWN_DIGEST = 128
"""Bytes of a digest in an algorithm that we do not compute: the header's word is taken up to here."""
SPEC_ID = b"Spec ID Event03\0"
SPEC_ID_FIXED = len(SPEC_ID) + 8
"""Bytes of a Spec ID event before its list of banks."""
SHA1_HEADER = Struct("<II20sI")
AGILE_HEADER = Struct("<III")
PAIR = Struct("<HH")
EMPTY_EVENT = AGILE_HEADER.size + 4
"""Bytes of an event without digests and data: no writer has one that is all zero."""
PADDINGS = (b"\x00", b"\xff")


def decode_boot_log(raw: bytes) -> BootLog:
    """A boot log of any kind; crypto-agile when it opens with a Spec ID event, else SHA-1 format.

    Padding of one repeated byte (00 or ff) after the last event is accepted and counted.

    Raises:
        DecodeError: an index, count or length that the format does not allow, or a log that is cut short.
    """
    if not raw:
        raise DecodeError("boot log", 0, "the log is empty")
    if len(raw) > MAX_LOG:
        raise DecodeError("boot log", 0, f"{len(raw)} bytes are over the limit of {MAX_LOG}")
    if is_text(raw):
        raise DecodeError("boot log", 0, "text, such as a listing or a hex dump; the log's own bytes are needed")
    content = _content_end(raw)
    if not content:
        raise DecodeError("boot log", 0, f"{len(raw)} bytes of padding and no event")
    reader = LittleReader(raw)
    first = _sha1_event(reader, 0)
    if first.reported_type == NO_ACTION and first.data.startswith(SPEC_ID):
        return _agile_log(reader, _spec_id(reader, raw), content=content)
    return _sha1_log(reader, first, content=content)


def decode_embedded_log(raw: bytes) -> tuple[BootLog, int]:
    """A crypto-agile log at the start of a piece of memory, and how many bytes it has.

    It ends at the first event that is all zero; what follows is another's.

    Raises:
        DecodeError: no Spec ID event at the start, or an event that the format does not allow.
    """
    reader = LittleReader(raw[:MAX_LOG])
    first = _sha1_event(reader, 0)
    if first.reported_type != NO_ACTION or not first.data.startswith(SPEC_ID):
        raise DecodeError("boot log", 0, "a Spec ID event expected")
    sizes = _spec_id(reader, raw)
    layouts = _layouts(sizes)
    events: list[Event] = []
    while any(reader.peek(EMPTY_EVENT)):
        events.append(_agile_event(reader, _next_index(reader, len(events)), layouts))
    log = BootLog(format=_agile_format(sizes, events), algorithms=tuple(sizes), events=tuple(events))
    return log, reader.offset


def _content_end(raw: bytes) -> int:
    """From where on there is nothing but one repeated padding byte: an event border at or behind it ends the log."""
    return min(len(raw.rstrip(byte)) for byte in PADDINGS)


def _checked_pcr(pcr: int, kind: int, offset: int) -> int:
    if pcr < PCR_COUNT or (pcr == NO_PCR and kind == NO_ACTION):
        return pcr
    why = f"0 to {PCR_COUNT - 1} expected, found {pcr} (0x{pcr:x}) on an event of type 0x{kind:x}"
    raise DecodeError("pcrIndex", offset, why)


def _sha1_event(reader: LittleReader, index: int) -> Event:
    offset = reader.offset
    pcr, kind, digest, size = reader.unpack(SHA1_HEADER, "TCG_PCClientPCREvent")
    _checked_pcr(pcr, kind, offset)
    if size > MAX_EVENT_DATA:
        raise DecodeError("eventDataSize", reader.offset - 4, f"{size} is over the limit of {MAX_EVENT_DATA}")
    data = reader.take(size, "event")
    return Event(index=index, offset=offset, pcr=pcr, reported_type=kind, digests={HashAlg.SHA1: digest}, data=data)


def _sha1_log(reader: LittleReader, first: Event, *, content: int) -> BootLog:
    events = [first]
    while reader.offset < content:
        events.append(_sha1_event(reader, _next_index(reader, len(events))))
    padding = reader.remaining
    return BootLog(format=LogFormat.SHA1, algorithms=(HashAlg.SHA1,), events=tuple(events), padding=padding)


def _next_index(reader: LittleReader, count: int) -> int:
    if count >= MAX_EVENTS:
        raise reader.refuse("events", f"more than {MAX_EVENTS}")
    return count


def _spec_id(log: LittleReader, raw: bytes) -> dict[int, int]:
    """Algorithm to digest size, in the header's order; PFP 1.06, 10.4.5.1. `log` stands behind the header."""
    reader = LittleReader(raw, start=SHA1_HEADER.size, end=log.offset)
    reader.take(SPEC_ID_FIXED, "Spec ID: signature, platform class, version, uintn size")
    count = reader.u32("numberOfAlgorithms")
    if not 0 < count <= MAX_ALGORITHMS:
        raise DecodeError("numberOfAlgorithms", reader.offset - 4, f"1 to {MAX_ALGORITHMS} expected, found {count}")
    sizes: dict[int, int] = {}
    for _ in range(count):
        alg, size = reader.unpack(PAIR, "digestSizes")
        if alg in sizes:
            raise DecodeError("digestSizes", reader.offset - PAIR.size, f"algorithm 0x{alg:04x} is listed twice")
        _check_size(alg, size, reader.offset - PAIR.size)
        sizes[alg] = size
    _vendor_info(reader, log)
    return sizes


def _check_size(alg: int, size: int, offset: int) -> None:
    expected = SIZES.get(alg)
    if expected is None and not 0 < size <= MAX_UNKNOWN_DIGEST:
        why = f"algorithm 0x{alg:04x}: 1 to {MAX_UNKNOWN_DIGEST} bytes expected, found {size}"
        raise DecodeError("digestSizes", offset, why)
    if expected is not None and size != expected:
        raise DecodeError("digestSizes", offset, f"algorithm 0x{alg:04x}: {expected} bytes expected, found {size}")


def _vendor_info(reader: LittleReader, log: LittleReader) -> None:
    """The end of a Spec ID event. Some writers leave vendorInfo out of the event's size: then it stands behind it."""
    size = reader.u8("vendorInfoSize")
    holder = reader if reader.remaining else log
    holder.take(size, "vendorInfo")
    reader.finish("Spec ID event")


def _agile_log(reader: LittleReader, sizes: dict[int, int], *, content: int) -> BootLog:
    layouts = _layouts(sizes)
    events: list[Event] = []
    while reader.offset < content:
        events.append(_agile_event(reader, _next_index(reader, len(events)), layouts))
    return BootLog(
        format=_agile_format(sizes, events),
        algorithms=tuple(sizes),
        events=tuple(events),
        padding=reader.remaining,
    )


CC_REGISTERS = frozenset(range(1, 5))
"""TDX: MR index 1–4 stand for RTMR 0–3 (0 is MRTD); UEFI 2.10, 38.4.1."""
CC_ALGORITHMS = frozenset({HashAlg.SHA384, HashAlg.SM3_256})
"""What the registers of TDX (SHA-384) and of Hygon's CSV (SM3) are extended with."""


def _agile_format(sizes: Mapping[int, int], events: list[Event]) -> LogFormat:
    if is_ccel(sizes, events):
        return LogFormat.CCEL
    measured = {event.pcr for event in events if event.reported_type != NO_ACTION}
    return LogFormat.TXT if measured and measured <= LAUNCH_PCRS else LogFormat.CRYPTO_AGILE


def is_ccel(sizes: Mapping[int, int], events: list[Event]) -> bool:
    """A CCEL holds one bank and measures into registers 1 to 4 alone; a TPM's log fills PCR 0 and 7 at least."""
    if len(sizes) != 1 or not CC_ALGORITHMS.issuperset(sizes):
        return False
    measured = {event.pcr for event in events if event.reported_type != NO_ACTION}
    return bool(measured) and measured <= CC_REGISTERS


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layouts:
    """The layouts of one log: each bank's digest, and a whole event head with all banks in the header's order."""

    digests: Mapping[int, Struct]
    algorithms: tuple[int, ...]
    whole: Struct


def _layouts(sizes: dict[int, int]) -> _Layouts:
    fields = "".join(f"H{size}s" for size in sizes.values())
    return _Layouts(
        digests={alg: Struct(f"<{size}s") for alg, size in sizes.items()},
        algorithms=tuple(sizes),
        whole=Struct(f"<III{fields}I"),
    )


def _agile_event(reader: LittleReader, index: int, layouts: _Layouts) -> Event:
    """One event; nearly all have every bank in the header's order, so that their head is read at once."""
    offset, algorithms = reader.offset, layouts.algorithms
    head = reader.glance(layouts.whole)
    if head is not None and head[2] == len(algorithms) and head[3:-1:2] == algorithms:
        pcr, kind = head[:2]
        if pcr >= PCR_COUNT:
            _checked_pcr(pcr, kind, offset)
        reader.offset = offset + layouts.whole.size
        digests = dict(zip(algorithms, head[4:-1:2], strict=True))
        return make_event((index, offset, pcr, kind), digests, _event_data(reader, head[-1]))
    return _odd_event(reader, index, layouts.digests)


def _event_data(reader: LittleReader, size: int) -> bytes:
    if size > MAX_EVENT_DATA:
        raise DecodeError("eventSize", reader.offset - 4, f"{size} is over the limit of {MAX_EVENT_DATA}")
    return reader.take(size, "event")


def _odd_event(reader: LittleReader, index: int, layouts: Mapping[int, Struct]) -> Event:
    """One event read field by field: banks missing or in another order, or the log's last bytes."""
    offset = reader.offset
    pcr, kind, count = reader.unpack(AGILE_HEADER, "TCG_PCR_EVENT2")
    if pcr >= PCR_COUNT:
        _checked_pcr(pcr, kind, offset)
    if count > len(layouts):
        raise DecodeError("digests.count", offset + 8, f"{len(layouts)} banks declared, {count} digests found")
    digests: dict[int, bytes] = {}
    for _ in range(count):
        alg = reader.u16("digest.algId")
        layout = layouts.get(alg)
        if layout is None or alg in digests:
            why = "listed twice" if alg in digests else "not declared in the header"
            raise DecodeError("digest.algId", reader.offset - 2, f"algorithm 0x{alg:04x} is {why}")
        (digests[alg],) = reader.unpack(layout, "digest")
    size = reader.u32("eventSize")
    return make_event((index, offset, pcr, kind), digests, _event_data(reader, size))
