"""What follows from the bytes of one SELinux policy, by an analysis outside of this program. Nothing here judges."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One change of domain: by starting the program with the type `entry`, or without one (a dynamic transition)."""

    source: str
    entry: str | None
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """A domain that a guest's can become, and the way there.

    constrained: MCS categories hold in it; unconfined: the policy confines it nowhere.
    """

    domain: str
    way: tuple[Step, ...]
    constrained: bool
    unconfined: bool

    @property
    def target(self) -> str:
        """The domain at the end of the way."""
        return self.way[-1].target


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyAnalysis:
    """One policy. digest: its SHA-256; domains: those of guests that it has, and whether categories hold in each."""

    digest: bytes
    types: int
    permissive: tuple[str, ...]
    domains: Mapping[str, bool]
    reached: tuple[Reached, ...]
