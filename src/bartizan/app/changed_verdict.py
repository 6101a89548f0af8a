"""Why one verdict is another than the one before it: the finding that came, or the one that went. It judges nothing."""

from collections.abc import Iterable

from bartizan.model.result import Finding, Tier


def what_changed(old: Iterable[Finding], new: Iterable[Finding], *, worse: bool) -> Finding | None:
    """The worst finding that only the new verdict has if it is worse, else the worst that only the old one had.

    Where there is none of the one, the other says why; None where both say the same of everything.
    """
    before, after = list(old), list(new)
    came, went = _beyond(before, after), _beyond(after, before)
    return (came or went) if worse else (went or came)


def _beyond(known: list[Finding], some: list[Finding]) -> Finding | None:
    there = {(one.id, one.tier, one.why) for one in known}
    fresh = [one for one in some if (one.id, one.tier, one.why) not in there and not one.passes]
    return min(fresh, key=lambda one: (one.tier is not Tier.CONTRAINDICATED, one.tier.order), default=None)
