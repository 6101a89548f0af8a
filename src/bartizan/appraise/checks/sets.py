"""Which Reference Values count at the time of the appraisal, and which were given but count no more, or not yet."""

from collections.abc import Iterator

from bartizan.appraise.context import Context
from bartizan.formats.inert import inert
from bartizan.model.reference import ReferenceSet, ReferenceState
from bartizan.model.result import Finding, Tier

STATES = {
    ReferenceState.PROPOSED: "is proposed, not approved",
    ReferenceState.RETIRED: "is retired",
    ReferenceState.REVOKED: "is revoked",
}


def in_force(context: Context) -> Iterator[Finding]:
    """recognised.reference-values: said where a set is bounded in time, or recognises nothing."""
    if context.reference is None:
        return
    counting = context.reference.sets
    former = [index.set for index in context.reference.former]
    said = [_window(some) for some in counting if some.valid_from or some.valid_until]
    said += [f"{out_of_force(context, some)} and recognises nothing" for some in former]
    if said:
        tier = Tier.AFFIRMING if counting else Tier.NONE
        yield context.say("recognised.reference-values", tier, "; ".join(said))


def _window(some: ReferenceSet) -> str:
    begin = f" from {some.valid_from:%Y-%m-%d %H:%M}" if some.valid_from else ""
    end = f" until {some.valid_until:%Y-%m-%d %H:%M}" if some.valid_until else ""
    return f"the set {inert(some.name)} is in force{begin}{end} UTC"


def out_of_force(context: Context, some: ReferenceSet) -> str:
    """Why a set does not count, as the predicate of its name."""
    name = f"the set {inert(some.name)}"
    if some.state in STATES:
        return f"{name} {STATES[some.state]}"
    if some.valid_from is not None and context.now < some.valid_from:
        return f"{name} is valid only from {some.valid_from:%Y-%m-%d %H:%M} UTC on"
    until = f" at {some.valid_until:%Y-%m-%d %H:%M} UTC" if some.valid_until else ""
    return f"{name} expired{until}"
