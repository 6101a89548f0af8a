"""What every check sees: the verified evidence, the policy, the Reference Values, and how to say a finding."""

from collections.abc import Mapping
from dataclasses import dataclass

from bartizan.appraise.catalogue import Catalogue
from bartizan.model.boot_log import Event
from bartizan.model.digest import HashAlg
from bartizan.model.evidence import VerifiedEvidence
from bartizan.model.policy import Policy
from bartizan.model.reference import ReferenceEvent, ReferenceSet
from bartizan.model.result import NOWHERE, Anchor, Claim, Finding, Pointer, Tier


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceIndex:
    """A Reference Value set made ready for look-ups; built once, used for every node.

    events: (PCR, bank, digest) to the reference event; paths: file path to its known digests; digests: all of them.
    """

    set: ReferenceSet
    events: Mapping[tuple[int, int, bytes], ReferenceEvent]
    by_pcr: Mapping[int, tuple[ReferenceEvent, ...]]
    paths: Mapping[bytes, frozenset[tuple[str, bytes]]]
    digests: frozenset[tuple[str, bytes]]

    def knows(self, event: Event) -> bool:
        """One of the event's digests is a Reference Value of its PCR; SHA-1 counts only where there is nothing else."""
        strong = {alg: digest for alg, digest in event.digests.items() if alg != HashAlg.SHA1} or event.digests
        return any((event.pcr, alg, digest) in self.events for alg, digest in strong.items())


def index_reference(reference: ReferenceSet) -> ReferenceIndex:
    """The look-up tables of a set."""
    events: dict[tuple[int, int, bytes], ReferenceEvent] = {}
    by_pcr: dict[int, list[ReferenceEvent]] = {}
    for event in reference.events:
        by_pcr.setdefault(event.pcr, []).append(event)
        for alg, digest in event.digests.items():
            events[event.pcr, alg, digest] = event
    paths: dict[bytes, set[tuple[str, bytes]]] = {}
    for file in reference.files:
        paths.setdefault(file.path, set()).add((file.alg, file.digest))
    return ReferenceIndex(
        set=reference,
        events=events,
        by_pcr={pcr: tuple(some) for pcr, some in by_pcr.items()},
        paths={path: frozenset(known) for path, known in paths.items()},
        digests=frozenset((file.alg, file.digest) for file in reference.files),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The input of a check."""

    evidence: VerifiedEvidence
    policy: Policy
    catalogue: Catalogue
    reference: ReferenceIndex | None

    @property
    def bank(self) -> HashAlg:
        """The bank that decides."""
        return self.evidence.quote.pinned

    def say(self, check: str, tier: Tier, why: str, at: Pointer = NOWHERE) -> Finding:
        """A finding of this check, with the claim and anchor that its description states."""
        described = self.catalogue[check]
        return Finding(
            id=check, claim=Claim(described.claim), tier=tier, why=why, anchor=Anchor(described.anchor), at=at
        )

    def measured(self, pcr: int) -> tuple[Event, ...]:
        """The events of one PCR, if the quote explains it; hearsay is left out."""
        return tuple(event for event in self.evidence.boot.events if event.pcr == pcr)

    def at(self, event: Event) -> Pointer:
        """The pointer to an event."""
        return Pointer(pcr=event.pcr, event=event.index)
