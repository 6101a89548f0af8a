"""Many at once, and not too many: a long sequence in parts, so that each statement or transaction stays short."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")


def in_parts(some: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """These in their order, at most `size` at a time."""
    return (some[start : start + size] for start in range(0, len(some), size))
