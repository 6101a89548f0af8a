"""Words of others, made harmless before a person or a log file sees them."""

from __future__ import annotations

LONGEST = 300
"""Characters that are shown of somebody else's sentence."""


def plain(text: str, limit: int = LONGEST) -> str:
    """The text on one line: what cannot be printed becomes an escape, what is too long is cut."""
    shown = "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text[:limit]
    )
    return shown + ("…" if len(text) > limit else "")


def seconds(count: float) -> str:
    """A span of time as a person would say it."""
    if count < 1:
        return "less than a second"
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")):
        if count >= size:
            number = round(count / size)
            return f"{number} {unit}" + ("s" if number != 1 else "")
    raise AssertionError("one of the units fits")
