"""Text columns: what every database takes. PostgreSQL has no place for U+0000, which a hostile node may well send."""

from sqlalchemy import Dialect, String
from sqlalchemy.types import TypeDecorator

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


class Words(TypeDecorator[str]):
    """A string of at most so many characters, with another character for U+0000."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """What is stored."""
        del dialect
        return value.replace("\0", REPLACEMENT) if value and "\0" in value else value
