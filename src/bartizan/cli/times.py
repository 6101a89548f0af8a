"""Times as people type them: `4h`, `7d`, or one in full (RFC 3339)."""

import re
from datetime import UTC, datetime, timedelta

from bartizan.errors import ConfigError

SPAN = re.compile(r"([0-9]{1,5})([mhd])")
UNITS = dict(zip("mhd", (timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)), strict=True))


def until(text: str, *, option: str, now: datetime) -> datetime:
    """The time that a text names; a span counts from now.

    Raises:
        ConfigError: it names none.
    """
    found = SPAN.fullmatch(text)
    if found is not None:
        return now + int(found.group(1)) * UNITS[found.group(2)]
    try:
        named = datetime.fromisoformat(text)
    except ValueError:
        named = None
    if named is None:
        raise ConfigError(f"{option} {text!a:.60}: 30m, 4h, 7d or a time such as 2026-12-24T18:00 (UTC) expected")
    return named.astimezone(UTC) if named.tzinfo is not None else named.replace(tzinfo=UTC)
