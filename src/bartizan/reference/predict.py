"""The next boot foretold: Reference Values from a machine's present, verified boot and the parts that an update brings.

What the parts replace is measured anew, all else stays as it is. It changes nothing on a machine, and what cannot be
foretold is left to be found as unknown after the update.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from bartizan.formats.inert import inert
from bartizan.model.evidence import VerifiedBoot, VerifiedIma
from bartizan.model.reference import ReferenceEvent, ReferenceSet
from bartizan.reference.components import Components
from bartizan.reference.next_boot import Replaced, next_boot
from bartizan.reference.propose import MAX_LABEL, canonical, measurements, propose
from bartizan.reference.vetting import Vetting

UKI_PCR = 11


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Measurements that will differ: what they are now, what they will be; `times`: how many are alike.

    before is empty for what is measured in addition, after for what is measured no more.
    """

    pcr: int
    before: str
    after: str
    provenance: str
    times: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """The Reference Values of the next boot, and what differs in it."""

    reference: ReferenceSet
    changes: tuple[Change, ...]


def predict(boot: VerifiedBoot, ima: VerifiedIma | None, new: Components, *, vetting: Vetting, name: str) -> Prediction:
    """The Reference Values of the next boot, which has these components.

    Raises:
        VerifyError: the present boot does not add up, a component has no place in it, or an image may not run.
    """
    base = propose(boot, ima, name=name, source=f"predicted from {new.source}")
    now = {event.index: known for event, known in zip(measurements(boot), base.events, strict=True)}
    after, added = next_boot(boot, new, vetting)
    reference = canonical(replace(base, events=tuple(_events(now, after, added))))
    return Prediction(reference=reference, changes=tuple(_changes(now, after, added)))


def _events(
    now: Mapping[int, ReferenceEvent], after: Replaced, added: tuple[ReferenceEvent, ...]
) -> Iterator[ReferenceEvent]:
    """The next boot's events in order; what is added follows the last event of its PCR."""
    last = max((index for index, known in now.items() if known.pcr == UKI_PCR), default=None)
    for index, known in now.items():
        event = after.get(index, known)
        if event is not None:
            yield event
        if index == last:
            yield from added


def _changes(now: Mapping[int, ReferenceEvent], after: Replaced, added: tuple[ReferenceEvent, ...]) -> Iterator[Change]:
    """What differs, in order of PCRs; alike measurements, as of an image measured twice, are one change."""
    pairs: list[tuple[ReferenceEvent | None, ReferenceEvent | None]] = [
        (now[index], new) for index, new in after.items()
    ]
    pairs += [(None, new) for new in added]
    found: dict[tuple[int, str, str, str], int] = {}
    for before, new in pairs:
        some = new or before
        if some is None or (before is not None and new is not None and before.digests == new.digests):
            continue
        texts = [inert(text, limit=MAX_LABEL) for text in (_label(before), _label(new), new.provenance if new else "")]
        key = (some.pcr, texts[0], texts[1], texts[2])
        found[key] = found.get(key, 0) + 1
    for (pcr, was, will, provenance), times in sorted(found.items(), key=lambda item: item[0][0]):
        yield Change(pcr=pcr, before=was, after=will, provenance=provenance, times=times)


def _label(event: ReferenceEvent | None) -> str:
    return event.label if event is not None else ""
