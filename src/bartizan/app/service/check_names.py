"""Ids of checks and posture rules as people write them: a mistyped one is refused, and those like it are named."""

from bartizan.app.attest_node import Rules
from bartizan.app.close_names import meant
from bartizan.app.service.refusals import Unfit


def known_check(rules: Rules, name: str) -> None:
    """Refuse an id that names nothing.

    Raises:
        Unfit: there is neither a check nor a rule of this id; it names those that are most like it.
    """
    if rules.about(name) is None:
        close = meant(name, (*rules.catalogue, *rules.posture))
        raise Unfit(f"check: there is no {name!a}{close or '; see docs/reference/checks.md and posture.md'}")
