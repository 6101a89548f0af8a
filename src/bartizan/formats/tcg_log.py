"""Boot logs: SHA-1 and crypto-agile, CCEL, TXT. The container only; what is inside an event is decoded elsewhere.

TCG PC Client Platform Firmware Profile 1.06, 10.2; TXT event types from Intel's TXT software development guide, H.
Nothing is believed: a type is a label, a digest is a claim, both wait for replay against a quoted PCR.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from struct import Struct

from bartizan.errors import DecodeError
from bartizan.formats.reader import LittleReader
from bartizan.model.boot_log import NO_PCR, BootLog, Event, EventType, LogFormat
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
    content = _content_end(raw)
    if not content:
        raise DecodeError("boot log", 0, f"{len(raw)} bytes of padding and no event")
    reader = LittleReader(raw)
    first = _sha1_event(reader, 0)
    if first.reported_type == EventType.NO_ACTION and first.data.startswith(SPEC_ID):
        return _agile_log(reader, _spec_id(reader, raw), content=content)
    return _sha1_log(reader, first, content=content)


def _content_end(raw: bytes) -> int:
    """From where on there is nothing but one repeated padding byte: an event border at or behind it ends the log."""
    return min(len(raw.rstrip(byte)) for byte in PADDINGS)


def _checked_pcr(pcr: int, kind: int, offset: int) -> int:
    if pcr < PCR_COUNT or (pcr == NO_PCR and kind == EventType.NO_ACTION):
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
    measured = any(event.pcr in CC_REGISTERS for event in events) and is_ccel(sizes, events)
    return BootLog(
        format=LogFormat.CCEL if measured else _agile_kind(events),
        algorithms=tuple(sizes),
        events=tuple(events),
        padding=reader.remaining,
    )


CC_REGISTERS = frozenset(range(1, 5))
"""TDX: MR index 1–4 stand for RTMR 0–3 (0 is MRTD); UEFI 2.10, 38.2.2."""
LAUNCH_PCRS = frozenset(range(17, 23))
"""PCRs of a dynamic launch."""


def is_ccel(sizes: dict[int, int], events: list[Event]) -> bool:
    """A CCEL holds SHA-384 alone and no index above 4; a boot log of a TPM fills PCR 5 and 7 at least."""
    return set(sizes) == {HashAlg.SHA384} and all(e.pcr in CC_REGISTERS or e.pcr in (0, NO_PCR) for e in events)


def _agile_kind(events: list[Event]) -> LogFormat:
    measured = {event.pcr for event in events if event.reported_type != EventType.NO_ACTION}
    return LogFormat.TXT if measured and measured <= LAUNCH_PCRS else LogFormat.CRYPTO_AGILE


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
    offset = reader.offset
    if reader.remaining >= layouts.whole.size:
        pcr, kind, count, *fields, size = reader.glance(layouts.whole)
        if count == len(layouts.algorithms) and tuple(fields[::2]) == layouts.algorithms:
            if pcr >= PCR_COUNT:
                _checked_pcr(pcr, kind, offset)
            reader.offset = offset + layouts.whole.size
            digests = dict(zip(layouts.algorithms, fields[1::2], strict=True))
            return _event(reader, index, offset=offset, head=(pcr, kind, size), digests=digests)
    return _odd_event(reader, index, layouts.digests)


def _event(
    reader: LittleReader, index: int, *, offset: int, head: tuple[int, int, int], digests: dict[int, bytes]
) -> Event:
    pcr, kind, size = head
    if size > MAX_EVENT_DATA:
        raise DecodeError("eventSize", reader.offset - 4, f"{size} is over the limit of {MAX_EVENT_DATA}")
    data = reader.take(size, "event")
    return Event(index=index, offset=offset, pcr=pcr, reported_type=kind, digests=digests, data=data)


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
    return _event(reader, index, offset=offset, head=(pcr, kind, size), digests=digests)
