"""The life of a set: proposed → approved → retired → revoked. A step back is none; a set is proposed anew instead."""

from collections.abc import Mapping
from dataclasses import replace

from bartizan.errors import PolicyError
from bartizan.formats.inert import inert
from bartizan.model.reference import ReferenceSet, ReferenceState
from bartizan.reference.propose import canonical

STEPS: Mapping[ReferenceState, frozenset[ReferenceState]] = {
    ReferenceState.PROPOSED: frozenset({ReferenceState.APPROVED, ReferenceState.RETIRED, ReferenceState.REVOKED}),
    ReferenceState.APPROVED: frozenset({ReferenceState.RETIRED, ReferenceState.REVOKED}),
    ReferenceState.RETIRED: frozenset({ReferenceState.REVOKED}),
    ReferenceState.REVOKED: frozenset(),
}
"""From each state the ones that may follow."""
BOUNDED = frozenset({ReferenceState.PROPOSED, ReferenceState.APPROVED})
"""States in which a window still means something."""


def moved(reference: ReferenceSet, state: ReferenceState) -> ReferenceSet:
    """The set in another state; it gets another digest by that.

    Raises:
        PolicyError: that state cannot follow the one it is in.
    """
    if state not in STEPS[reference.state]:
        after = " or ".join(sorted(step.value for step in STEPS[reference.state])) or "nothing"
        raise PolicyError(f"the set {inert(reference.name)} is {reference.state.value}: {after} may follow that")
    return canonical(replace(reference, state=state))


def as_proposed(reference: ReferenceSet) -> ReferenceSet:
    """A new set as one that recognises nothing until somebody approves it."""
    return canonical(replace(reference, state=ReferenceState.PROPOSED))


def check_bounded(reference: ReferenceSet) -> None:
    """A set that is over gets no other window.

    Raises:
        PolicyError: it is retired or revoked.
    """
    if reference.state not in BOUNDED:
        raise PolicyError(f"the set {inert(reference.name)} is {reference.state.value}: it counts at no time")
