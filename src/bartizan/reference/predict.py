"""The next boot foretold: Reference Values from a machine's present, verified boot and the parts that an update brings.

What the parts replace is measured anew, all else stays as it is. It changes nothing on a machine, and what cannot be
foretold is left to be found as unknown after the update.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from bartizan.formats.inert import inert
from bartizan.model.boot_log import UKI_PCR
from bartizan.model.digest import HashAlg
from bartizan.model.evidence import VerifiedBoot, VerifiedIma
from bartizan.model.reference import ReferenceEvent, ReferenceSet
from bartizan.reference.components import Components
from bartizan.reference.next_boot import Replaced, next_boot
from bartizan.reference.propose import MAX_LABEL, PREDICTED, canonical, measurements, propose
from bartizan.reference.vetting import Vetting


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Measurements that will differ: what they are now, what they will be; `times`: how many are alike.

    before is empty for what is measured in addition, after for what is measured no more; so are their digests, which
    are given as `sha256:…`, or in the strongest other bank that there is.
    """

    pcr: int
    before: str
    after: str
    provenance: str
    before_digest: str = ""
    after_digest: str = ""
    times: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """The Reference Values of the next boot, what differs in it, and what seems wrong with the files of the update."""

    reference: ReferenceSet
    changes: tuple[Change, ...]
    doubts: tuple[str, ...] = ()


def predict(boot: VerifiedBoot, ima: VerifiedIma | None, new: Components, *, vetting: Vetting, name: str) -> Prediction:
    """The Reference Values of the next boot, which has these components.

    Raises:
        VerifyError: the present boot does not add up, a component has no place in it, or an image may not run.
    """
    base = propose(boot, ima, name=name, source=f"predicted from {new.source}", done=PREDICTED)
    now = {event.index: known for event, known in zip(measurements(boot), base.events, strict=True)}
    after, added = next_boot(boot, new, vetting)
    reference = canonical(replace(base, events=tuple(_events(now, after, added))))
    return Prediction(reference=reference, changes=tuple(_changes(now, after, added)), doubts=new.doubts)


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
    found: dict[Change, int] = {}
    for before, new in pairs:
        some = new or before
        if some is None or (before is not None and new is not None and before.digests == new.digests):
            continue
        change = Change(
            pcr=some.pcr,
            before=inert(_label(before), limit=MAX_LABEL),
            after=inert(_label(new), limit=MAX_LABEL),
            provenance=inert(new.provenance, limit=MAX_LABEL) if new else "",
            before_digest=_digest(before),
            after_digest=_digest(new),
        )
        found[change] = found.get(change, 0) + 1
    for change, times in sorted(found.items(), key=lambda item: item[0].pcr):
        yield replace(change, times=times)


def _digest(event: ReferenceEvent | None) -> str:
    if event is None:
        return ""
    alg = HashAlg.SHA256 if HashAlg.SHA256 in event.digests else max(event.digests)
    return f"{alg.label}:{event.digests[alg].hex()}"


def _label(event: ReferenceEvent | None) -> str:
    return event.label if event is not None else ""
