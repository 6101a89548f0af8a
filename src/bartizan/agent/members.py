"""Reading a decoded map member by member: each with its type, none missing, none unknown."""

from __future__ import annotations

from typing import Dict, List, Mapping, Optional, Tuple, Type, TypeVar

from bartizan.agent.cbor import decode
from bartizan.agent.errors import MessageError

T = TypeVar("T")


class Members:
    """A map on its way to become a type; whatever does not fit is a `MessageError` that names the member."""

    def __init__(self, value: object, what: str) -> None:
        if not isinstance(value, dict):
            raise MessageError(what, f"a map expected, found {type(value).__name__}")
        self._left: Dict[object, object] = dict(value)
        self._what = what

    def __contains__(self, name: str) -> bool:
        return name in self._left

    def optional(self, name: str, kind: Type[T]) -> Optional[T]:
        """A member, None where it is absent."""
        if name not in self._left:
            return None
        value = self._left.pop(name)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise MessageError(f"{self._what}, {name}", f"{kind.__name__} expected, found {type(value).__name__}")
        return value

    def take(self, name: str, kind: Type[T]) -> T:
        """A member that must be there."""
        value = self.optional(name, kind)
        if value is None:
            raise MessageError(self._what, f"the member {name!r} is missing")
        return value

    def number(self, name: str, limit: int) -> int:
        """A whole number from 0 to a limit."""
        value = self.take(name, int)
        if not 0 <= value <= limit:
            raise MessageError(f"{self._what}, {name}", f"0 to {limit} expected, found {value}")
        return value

    def octets(self, name: str, least: int, most: int) -> bytes:
        """Bytes of a bounded length."""
        value = self.take(name, bytes)
        if not least <= len(value) <= most:
            raise MessageError(f"{self._what}, {name}", f"{least} to {most} bytes expected, found {len(value)}")
        return value

    def nested(self, name: str) -> Members:
        """A member that is a map itself."""
        return Members(self.take(name, dict), f"{self._what}, {name}")

    def texts(self, name: str) -> Tuple[str, ...]:
        """A list of texts; an absent one is empty."""
        found: List[str] = []
        for value in self.optional(name, list) or ():
            if not isinstance(value, str):
                raise MessageError(f"{self._what}, {name}", f"texts expected, found {type(value).__name__}")
            found.append(value)
        return tuple(found)

    def numbered(self, name: str, kind: Type[T]) -> Mapping[int, T]:
        """A map from numbers (algorithms, NV indices) to one type."""
        found: Dict[int, T] = {}
        for key, value in self.take(name, dict).items():
            if not isinstance(key, int) or not isinstance(value, kind):
                raise MessageError(f"{self._what}, {name}", f"numbers to {kind.__name__} expected")
            found[key] = value
        return found

    def finish(self) -> None:
        """Nothing may be left over."""
        if self._left:
            names = ", ".join(sorted(map(repr, self._left)))
            raise MessageError(self._what, f"unknown members: {names:.200}")


def members(raw: bytes, what: str) -> Members:
    """The members of an encoded map.

    Raises:
        MessageError: it is no map in deterministic CBOR.
    """
    return Members(decode(raw), what)
