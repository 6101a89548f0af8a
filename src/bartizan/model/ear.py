"""An Attestation Result of any Verifier, as a token says it: normalised to tiers and the eight AR4SI claims."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from bartizan.model.result import Claim, Tier


class Dialect(Enum):
    """How a token spells an Attestation Result."""

    DRAFT_03 = "draft-ietf-rats-ear-03"
    DOTTED = "ear.status per submodule (2023)"
    FLAT = "ear.status without submodules (2022)"


class TrustClaim(NamedTuple):
    """A claim's number as the token has it, and the tier that this number falls in."""

    value: int
    tier: Tier


@dataclass(frozen=True, slots=True, kw_only=True)
class EarAppraisal:
    """The result on one attester; a claim that is not in the vector was not made."""

    name: str
    status: Tier
    vector: Mapping[Claim, TrustClaim] = field(default_factory=dict)
    policies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ear:
    """An EAT Attestation Result; times in seconds since 1970 UTC. status: over all attesters, where the token has it.

    nonces: as text; in hexadecimal where they came as bytes.
    """

    dialect: Dialect
    profile: str
    issued_at: int
    appraisals: tuple[EarAppraisal, ...]
    expires: int | None = None
    not_before: int | None = None
    status: Tier | None = None
    developer: str = ""
    build: str = ""
    nonces: tuple[str, ...] = ()
