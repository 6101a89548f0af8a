"""Boot logs taken apart and put together otherwise: what an attacker does who owns the log and may extend PCRs.

A log is the model's `BootLog`; its changes keep events numbered. `tpm_after` is what a TPM holds once it was extended
with a log's digests, whatever the log calls them, and `encode` is a writer of its own: neither uses the product's code.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from struct import pack

from bartizan.formats.tcg_log import decode_boot_log
from bartizan.model.boot_log import BootLog, Event, EventType, LogFormat
from bartizan.model.digest import HashAlg, PcrBanks

VECTORS = Path(__file__).parent.parent / "vectors"
LOGS = VECTORS / "boot_logs"
BOOTS = VECTORS / "boots"
LAUNCH_PCRS = range(17, 23)
ALL_PCRS = range(24)
SPEC_ID = b"Spec ID Event03\0"
STARTUP_LOCALITY = b"StartupLocality\0"
ZEROS, ONES, ERROR = bytes(4), b"\xff" * 4, b"\x01\0\0\0"
CLOSING = ZEROS
"""What a separator holds in most machines."""


@cache
def recorded(name: str) -> BootLog:
    """A log of the corpus, or `boots/<name>` for the boot log of a recorded boot."""
    path = BOOTS / name.removeprefix("boots/") / "bios_at_quote.bin" if name.startswith("boots/") else LOGS / name
    return decode_boot_log(path.read_bytes())


@cache
def known_pcrs() -> Mapping[str, Mapping[str, Mapping[str, str]]]:
    """Log to bank to PCR to value, as somebody read them from the TPM."""
    table: Mapping[str, Mapping[str, Mapping[str, str]]] = json.loads((LOGS / "pcrs.json").read_text(encoding="utf-8"))
    return table


def banks_of(table: Mapping[str, Mapping[str, str]]) -> PcrBanks:
    """A JSON table of PCR values as the model has it."""
    return {
        HashAlg.from_label(bank): {int(pcr): bytes.fromhex(value) for pcr, value in values.items()}
        for bank, values in table.items()
    }


def boot_pcrs(name: str) -> PcrBanks:
    """What the TPM of a recorded boot held at the quote."""
    return banks_of(json.loads((BOOTS / name / "pcrs_at_quote.json").read_text(encoding="utf-8")))


def hash_of(alg: int, data: bytes) -> bytes:
    """A digest in the bank of this number, as the TPM computes it."""
    name = "sm3" if alg == HashAlg.SM3_256 else HashAlg(alg).label
    return hashlib.new(name, data, usedforsecurity=False).digest()


def digests(data: bytes, banks: Iterable[int]) -> dict[int, bytes]:
    """Its digest in each of these banks."""
    return {alg: hash_of(alg, data) for alg in banks}


def measured(
    pcr: int, kind: int, data: bytes, *, of: bytes | None = None, banks: Iterable[int] = (HashAlg.SHA256,)
) -> Event:
    """An event whose digests are of its data, or of something else."""
    content = data if of is None else of
    return Event(index=0, offset=0, pcr=pcr, reported_type=kind, digests=digests(content, banks), data=data)


def separator(pcr: int, data: bytes = CLOSING, *, banks: Iterable[int] = (HashAlg.SHA256,)) -> Event:
    return measured(pcr, EventType.SEPARATOR, data, banks=banks)


def started_from(locality: int, *, banks: Iterable[int] = (HashAlg.SHA256,)) -> Event:
    """A StartupLocality event."""
    event = measured(0, EventType.NO_ACTION, STARTUP_LOCALITY + bytes([locality]), banks=banks)
    return replace(event, digests={alg: bytes(len(digest)) for alg, digest in event.digests.items()})


def variable(name: str, data: bytes, *, vendor: str = "61dfe48bca93d211aa0d00e098032b8c") -> bytes:
    """UEFI_VARIABLE_DATA; the vendor is EFI_GLOBAL_VARIABLE unless another is given."""
    return bytes.fromhex(vendor) + pack("<QQ", len(name), len(data)) + name.encode("utf-16-le") + data


def log_of(*events: Event, banks: tuple[int, ...] = (HashAlg.SHA256,)) -> BootLog:
    """A crypto-agile log of these events."""
    return with_events(BootLog(format=LogFormat.CRYPTO_AGILE, algorithms=banks, events=()), events)


def with_events(log: BootLog, events: Iterable[Event]) -> BootLog:
    """The log with other events, numbered anew."""
    return replace(log, events=tuple(replace(event, index=index) for index, event in enumerate(events)))


def relabelled(event: Event, kind: int, data: bytes | None = None) -> Event:
    """Another type and perhaps other data over the same digests: this changes no PCR."""
    return replace(event, reported_type=kind, data=event.data if data is None else data)


def changed(log: BootLog, index: int, **fields: object) -> BootLog:
    """One event otherwise, its digests as they were unless they are given."""
    event = replace(log.events[index], **fields)  # type: ignore[arg-type]  # fields by name
    return with_events(log, (*log.events[:index], event, *log.events[index + 1 :]))


def measured_otherwise(log: BootLog, index: int, data: bytes) -> BootLog:
    """One event with other data, and the digests that this data has."""
    return changed(log, index, data=data, digests=digests(data, log.events[index].digests))


def without(log: BootLog, *indices: int) -> BootLog:
    return with_events(log, (event for event in log.events if event.index not in indices))


def inserted(log: BootLog, at: int, *events: Event) -> BootLog:
    """More events before the one at this index."""
    return with_events(log, (*log.events[:at], *events, *log.events[at:]))


def appended(log: BootLog, *events: Event) -> BootLog:
    return inserted(log, len(log.events), *events)


def of_pcr(log: BootLog, pcr: int) -> tuple[Event, ...]:
    """The events that extend one PCR."""
    return tuple(event for event in log.events if event.pcr == pcr and event.reported_type != EventType.NO_ACTION)


def tpm_after(log: BootLog, *, locality: int = 0, launched: bool = False, banks: Iterable[int] = ()) -> PcrBanks:
    """All 24 PCRs of a TPM that was started from this locality and extended as the log says; TPM 2.0 Part 1, 17.

    banks: the TPM's banks where they are not those of the log.
    """
    return {HashAlg(alg): _bank_after(log, alg, locality, launched) for alg in banks or log.algorithms}


def _bank_after(log: BootLog, alg: int, locality: int, launched: bool) -> dict[int, bytes]:
    size = HashAlg(alg).size
    values = {pcr: b"\xff" * size if pcr in LAUNCH_PCRS and not launched else bytes(size) for pcr in ALL_PCRS}
    values[0] = bytes(size - 1) + bytes([locality])
    for event in log.events:
        if event.reported_type != EventType.NO_ACTION and alg in event.digests:
            values[event.pcr] = hash_of(alg, values[event.pcr] + event.digests[alg])
    return values


def encode(log: BootLog, *, vendor_info: bytes = b"", sizes: Mapping[int, int] | None = None) -> bytes:
    """The log's bytes, padding of zeros included; PFP 1.06, 10.2.1, 10.2.2 and 10.4.5.1.

    sizes: digest sizes of algorithms that the model does not know.
    """
    padding = bytes(log.padding)
    if log.format is LogFormat.SHA1:
        return b"".join(_sha1_event(event) for event in log.events) + padding
    known = {alg: HashAlg(alg).size for alg in log.algorithms if alg not in (sizes or {})} | dict(sizes or {})
    header = spec_id([(alg, known[alg]) for alg in log.algorithms], vendor_info=vendor_info)
    return header + b"".join(_agile_event(event) for event in log.events) + padding


def spec_id(banks: Iterable[tuple[int, int]], *, vendor_info: bytes = b"", count: int | None = None) -> bytes:
    """The header of a crypto-agile log: a SHA-1 event that names the banks."""
    pairs = [pack("<HH", *pair) for pair in banks]
    fixed = pack("<IBBBBI", 0, 0, 2, 0, 2, len(pairs) if count is None else count)
    data = SPEC_ID + fixed + b"".join(pairs) + bytes([len(vendor_info)]) + vendor_info
    return sha1_event(0, EventType.NO_ACTION, bytes(20), data)


def sha1_event(pcr: int, kind: int, digest: bytes, data: bytes, *, size: int | None = None) -> bytes:
    """TCG_PCClientPCREvent; `size` lies about the data's length."""
    return pack("<II20sI", pcr, kind, digest, len(data) if size is None else size) + data


def agile_event(
    pcr: int,
    kind: int,
    held: Iterable[tuple[int, bytes]],
    data: bytes,
    *,
    count: int | None = None,
    size: int | None = None,
) -> bytes:
    """TCG_PCR_EVENT2; `count` lies about the digests, `size` about the data's length."""
    listed = [pack("<H", alg) + digest for alg, digest in held]
    head = pack("<III", pcr, kind, len(listed) if count is None else count)
    return head + b"".join(listed) + pack("<I", len(data) if size is None else size) + data


def _sha1_event(event: Event) -> bytes:
    return sha1_event(event.pcr, event.reported_type, event.digests[HashAlg.SHA1], event.data)


def _agile_event(event: Event) -> bytes:
    return agile_event(event.pcr, event.reported_type, event.digests.items(), event.data)
