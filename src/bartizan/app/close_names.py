"""Which known names a mistyped one may have meant."""

from collections.abc import Iterable
from difflib import get_close_matches

LIKENESS = 0.5
"""From 0 to 1: how alike a name must be to be named; difflib.SequenceMatcher.ratio."""
NAMED = 3


def meant(name: str, known: Iterable[str]) -> str:
    """`; did you mean A or B?`, whatever the case of the letters; empty where nothing is like it."""
    by_lower = {one.lower(): one for one in known}
    close = [by_lower[one] for one in get_close_matches(name.lower(), by_lower, n=NAMED, cutoff=LIKENESS)]
    return f"; did you mean {' or '.join(close)}?" if close else ""
