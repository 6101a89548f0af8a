"""Reference Values from the event log that a TCG RIM names as its support RIM; PC Client RIM 1.04, 4."""

from collections.abc import Iterator

from bartizan.errors import VerifyError
from bartizan.formats.event_data import decode_event_data
from bartizan.formats.event_text import describe
from bartizan.formats.inert import inert
from bartizan.formats.swid import SwidTag
from bartizan.formats.tcg_log import decode_boot_log
from bartizan.model.boot_log import Event, EventType
from bartizan.model.corim import SoftwareFile
from bartizan.model.digest import PCR_COUNT, SIZES, HashAlg
from bartizan.model.reference import ReferenceEvent, ReferenceSet
from bartizan.reference.corim_import import Imported, known_digests
from bartizan.reference.propose import canonical

NOT_MEASURED = frozenset({EventType.NO_ACTION, EventType.SEPARATOR})
"""Events that recognise nothing: the one extends no PCR, the other is the same on every machine."""


def from_support_logs(tag: SwidTag, logs: tuple[bytes, ...], *, name: str, source: str) -> Imported:
    """The events of the logs that a base RIM's payload names by their hashes.

    Raises:
        VerifyError: a log that the RIM does not name. DecodeError: a log that is none.
    """
    named = {log: _named_as(tag, log) for log in logs}
    events = [
        event for log, file in named.items() for event in _events(log, provenance=f"support RIM {inert(file.name)}")
    ]
    missing = [file for file in tag.software.files if file not in named.values()]
    reference = ReferenceSet(name=name, source=source, events=tuple(events), files=(), digest="")
    return Imported(
        reference=canonical(reference),
        left=tuple(f"support RIM {inert(file.name)}: not given" for file in missing),
    )


def _named_as(tag: SwidTag, log: bytes) -> SoftwareFile:
    """The payload entry whose every digest this log has."""
    for file in tag.software.files:
        digests = known_digests(file.digests)
        if digests and all(alg.digest(log) == digest for alg, digest in digests.items()):
            return file
    wanted = ", ".join(inert(file.name) for file in tag.software.files) or "none"
    why = f"sha256 {HashAlg.SHA256.digest(log).hex()} is none of the RIM's support RIMs ({wanted}), or was changed"
    raise VerifyError("rim.support", why)


def _events(log: bytes, *, provenance: str) -> Iterator[ReferenceEvent]:
    for event in decode_boot_log(log).events:
        digests = _digests(event)
        if event.reported_type not in NOT_MEASURED and event.pcr < PCR_COUNT and digests:
            label = describe(decode_event_data(event))
            yield ReferenceEvent(pcr=event.pcr, digests=digests, label=label, provenance=provenance)


def _digests(event: Event) -> dict[HashAlg, bytes]:
    """SHA-1 counts only where the log has nothing stronger."""
    found = {HashAlg(alg): digest for alg, digest in event.digests.items() if alg in SIZES}
    return {alg: digest for alg, digest in found.items() if alg is not HashAlg.SHA1} or found
