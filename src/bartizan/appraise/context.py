"""What every check sees: the verified evidence, the policy, the Reference Values, and how to say a finding."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from bartizan.appraise.catalogue import Catalogue, finding_of
from bartizan.model.boot_log import GOOD_SEPARATORS, Event, EventType
from bartizan.model.digest import HashAlg
from bartizan.model.evidence import VerifiedEvidence
from bartizan.model.policy import Policy
from bartizan.model.posture import Rule
from bartizan.model.reference import Origin, ReferenceEvent, ReferenceSet, ReferenceState
from bartizan.model.result import NOWHERE, Finding, Pointer, Tier

LINE_LABEL = "kernel_cmdline: "
"""How Reference Values name a command line (`reference.propose` and `predict` write it so)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceIndex:
    """Reference Value sets made ready for look-ups; built once, used for every node.

    events: (PCR, bank, digest) to the reference event; paths: file path to its known digests; digests: all of them,
    with the package each comes from; changeable: paths that are known as configuration files alone; files: path,
    algorithm and digest together, for a long list one look-up a file; lines: the events of kernel command lines;
    set: the first set given, given: all of them; former: those that recognise nothing at the time, each by itself.
    """

    set: ReferenceSet
    events: Mapping[tuple[int, int, bytes], ReferenceEvent]
    by_pcr: Mapping[int, tuple[ReferenceEvent, ...]]
    paths: Mapping[bytes, frozenset[tuple[str, bytes]]]
    digests: Mapping[tuple[str, bytes], Origin | None]
    changeable: frozenset[bytes] = frozenset()
    files: Mapping[tuple[bytes, str, bytes], Origin | None] = field(default_factory=dict)
    lines: tuple[ReferenceEvent, ...] = ()
    given: tuple[ReferenceSet, ...] = ()
    former: tuple["ReferenceIndex", ...] = ()
    views: "dict[tuple[bool, ...], ReferenceIndex]" = field(default_factory=dict, compare=False, repr=False)

    @property
    def sets(self) -> tuple[ReferenceSet, ...]:
        """Those whose values count."""
        gone = {id(index.set) for index in self.former}
        return tuple(some for some in self.given or (self.set,) if id(some) not in gone)

    def at(self, now: datetime) -> "ReferenceIndex":
        """What of it counts at this time; each combination of sets is indexed once and kept."""
        every = self.given or (self.set,)
        counts = tuple(some.in_force(now) for some in every)
        if all(counts):
            return self
        if counts not in self.views:
            former = tuple(index_reference(some) for some, counting in zip(every, counts, strict=True) if not counting)
            counting = [some for some, holds in zip(every, counts, strict=True) if holds]
            self.views[counts] = _index(counting, given=every, former=former)
        return self.views[counts]

    def sequences(self, pcr: int, bank: HashAlg) -> list[list[bytes | None]]:
        """The digests of one PCR in their order, for each set that has any."""
        events = ([event for event in some.events if event.pcr == pcr] for some in self.sets)
        return [[event.digests.get(bank) for event in some] for some in events if some]

    def formerly(self, event: Event, bank: HashAlg) -> ReferenceSet | None:
        """The set out of force that knew this event, a revoked one first."""
        return _revoked_first(index.set for index in self.former if index.knows(event, bank))

    def formerly_file(self, alg: str, digest: bytes) -> ReferenceSet | None:
        """The set out of force that knew a file of this digest, a revoked one first."""
        return _revoked_first(index.set for index in self.former if (alg, digest) in index.digests)

    def knows(self, event: Event, bank: HashAlg) -> bool:
        """The event's digest in this bank is a Reference Value of its PCR.

        bank: the one that decides: only its replay vouches for a digest, what stands beside it is the log's word.
        """
        digest = event.digests.get(bank)
        return digest is not None and (event.pcr, bank, digest) in self.events


def _revoked_first(sets: Iterable[ReferenceSet]) -> ReferenceSet | None:
    return min(sets, key=lambda some: some.state is not ReferenceState.REVOKED, default=None)


def index_reference(*sets: ReferenceSet) -> ReferenceIndex:
    """The look-up tables of one set or more, whatever their state; `ReferenceIndex.at` leaves out what has none."""
    return _index(sets, given=sets, former=())


def _index(
    sets: Iterable[ReferenceSet], *, given: tuple[ReferenceSet, ...], former: tuple[ReferenceIndex, ...]
) -> ReferenceIndex:
    events: dict[tuple[int, int, bytes], ReferenceEvent] = {}
    by_pcr: dict[int, list[ReferenceEvent]] = {}
    paths: dict[bytes, set[tuple[str, bytes]]] = {}
    digests: dict[tuple[str, bytes], Origin | None] = {}
    fixed: set[bytes] = set()
    for reference in sets:
        for event in reference.events:
            by_pcr.setdefault(event.pcr, []).append(event)
            for alg, digest in event.digests.items():
                events[event.pcr, alg, digest] = event
        for file in reference.files:
            value = (file.alg, file.digest)
            paths.setdefault(file.path, set()).add(value)
            digests[value] = digests.get(value) or file.origin
            if not file.changeable:
                fixed.add(file.path)
    lines = {id(event): event for event in events.values() if event.label.startswith(LINE_LABEL)}
    return ReferenceIndex(
        set=given[0],
        events=events,
        by_pcr={pcr: tuple(some) for pcr, some in by_pcr.items()},
        paths={path: frozenset(known) for path, known in paths.items()},
        digests=digests,
        changeable=frozenset(paths.keys() - fixed),
        files={(path, *value): digests[value] for path, known in paths.items() for value in known},
        lines=tuple(lines.values()),
        given=given,
        former=former,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The input of a check; `reference` is what counts at the time `now`, which is aware UTC."""

    evidence: VerifiedEvidence
    policy: Policy
    catalogue: Catalogue
    reference: ReferenceIndex | None
    now: datetime
    posture_rules: Mapping[str, Rule] = field(default_factory=dict)

    @property
    def bank(self) -> HashAlg:
        """The bank that decides."""
        return self.evidence.quote.pinned

    def say(self, check: str, tier: Tier, why: str, at: Pointer = NOWHERE) -> Finding:
        """A finding of this check, with the claim and anchor that its description states."""
        return finding_of(self.catalogue[check], tier, why, at)

    def knows(self, event: Event) -> bool:
        """It is a Reference Value, by its digest in the bank that decides."""
        return self.reference is not None and self.reference.knows(event, self.bank)

    def measured(self, pcr: int) -> tuple[Event, ...]:
        """The events of one PCR, if the quote explains it; hearsay is left out."""
        return tuple(event for event in self.evidence.boot.events if event.pcr == pcr)

    def vouches(self, event: Event, data: bytes) -> bool:
        """The event's digest in the bank that decides is the hash of this data."""
        return event.digests.get(self.bank) == self.bank.digest(data)

    def is_separator(self, event: Event) -> bool:
        """It is a proper separator: it closes a PCR and says nothing else."""
        return event.reported_type == EventType.SEPARATOR and any(self.vouches(event, data) for data in GOOD_SEPARATORS)

    def at(self, event: Event) -> Pointer:
        """The pointer to an event."""
        return Pointer(pcr=event.pcr, event=event.index)
