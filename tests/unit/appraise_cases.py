"""A case of appraisal: one thing about the good machine changed, and the one check that must say so. Not a test."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache

from bartizan.formats.ima import decode_ima
from bartizan.model.boot_log import Event, EventType
from bartizan.model.evidence import ReportedEvidence
from bartizan.model.result import AttestationResult, Finding, Tier
from tests.simulator.machine import Machine, agile, good, judged
from tests.unit.ima_lists import Line, binary

ANYTHING = frozenset({"*"})
"""So much goes with it that naming all would say nothing."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is judged, and what must come of it.

    result: the verdict; level: of the machine; count: findings of this check and tier; at: where the first one points
    (PCR, event or entry, path); says: words of its reason; also: other checks that answer otherwise because of it.
    """

    check: str
    tier: Tier
    result: Callable[[], AttestationResult]
    level: int
    says: str
    count: int = 1
    at: tuple[int | None, int | None, str | None] = (None, None, None)
    also: frozenset[str] = frozenset()

    def findings(self) -> list[Finding]:
        """Those that the case is about."""
        return [some for some in self.result().findings if some.id == self.check and some.tier is self.tier]


Cases = dict[str, Case]
"""By a name that goes behind `a node with …`."""


@cache
def baseline() -> AttestationResult:
    """The verdict on the good machine, fresh, without posture."""
    return judged(good())


def tiers(result: AttestationResult) -> dict[str, list[str]]:
    """Each check's answers."""
    found: dict[str, list[str]] = {}
    for finding in result.findings:
        found.setdefault(finding.id, []).append(finding.tier.value)
    return {check: sorted(answers) for check, answers in found.items()}


def changed(result: AttestationResult) -> frozenset[str]:
    """The checks that answer otherwise than for the good machine."""
    before, after = tiers(baseline()), tiers(result)
    return frozenset(check for check in before.keys() | after.keys() if before.get(check) != after.get(check))


def of(machine: Machine) -> Callable[[], AttestationResult]:
    """The verdict on a machine that sends what it has."""
    return lambda: judged(machine)


def forged(evidence: ReportedEvidence, events: Iterable[Event]) -> ReportedEvidence:
    """The same quote with another boot log."""
    return replace(evidence, boot_log=agile(events))


def relabelled(machine: Machine, index: int, **changes: object) -> ReportedEvidence:
    """A machine's evidence with one event described otherwise; the digests stay, so that the log still replays."""
    events = list(machine.events)
    events[index] = replace(events[index], **changes)  # type: ignore[arg-type]  # fields by name
    return forged(machine.evidence(), events)


def with_list(evidence: ReportedEvidence, lines: Iterable[Line]) -> ReportedEvidence:
    """The same quote with another IMA list."""
    return replace(evidence, ima=decode_ima(binary(lines)))


def place_of(*, pcr: int, starts: bytes = b"", kind: EventType | None = None) -> int:
    """The index of the good machine's first event like this."""
    return next(
        event.index
        for event in good().events
        if event.pcr == pcr and event.data.startswith(starts) and kind in (None, event.reported_type)
    )
