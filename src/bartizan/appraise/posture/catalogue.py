"""The rules of the posture catalogue from their TOML text. It reads no files and judges nothing."""

import tomllib
from collections.abc import Mapping
from typing import Literal

import msgspec

from bartizan.errors import PolicyError
from bartizan.model.posture import Framework, Measured, Mend, Missing, Part, Profile, Rule, Severity, Terms
from bartizan.model.result import Anchor, Claim, Tier

Rules = Mapping[str, Rule]


class _TermsRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    applies: bool = True
    broken: Tier | None = None
    accepts: tuple[str, ...] | None = None


class _RuleRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    title: str
    reads: tuple[str, ...]
    secure: str
    why: str
    impact: str
    fix: str
    references: tuple[str, ...]
    claim: Claim
    severity: Severity
    mend: Mend = Mend.HAND
    add: str = ""
    anchor: Anchor = Anchor.AGENT
    missing: Missing = Missing.UNKNOWN
    broken: Tier | None = None
    accepts: tuple[str, ...] = ()
    profile: dict[Profile, _TermsRow] = {}
    part: Part | None = None
    kinds: frozenset[Literal["vm", "container", "switch"]] = frozenset()
    vouched_by: Measured | None = None
    frameworks: dict[Framework, tuple[str, ...]] = {}


class _RuleFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    area: str
    rule: tuple[_RuleRow, ...]


def load_rules(files: Mapping[str, str]) -> Rules:
    """Rule id to the rule, from TOML texts by file name, in the order of the files.

    Raises:
        PolicyError: a text that is not such a file, or an id that stands twice.
    """
    found: dict[str, Rule] = {}
    for source, text in sorted(files.items()):
        try:
            file = msgspec.convert(tomllib.loads(text), _RuleFile, strict=True)
        except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
            raise PolicyError(f"{source}: {error}") from error
        for row in file.rule:
            if row.id in found:
                raise PolicyError(f"{source}: the rule {row.id} is described twice")
            if (row.part is None) != (not row.kinds):
                raise PolicyError(f"{source}: the rule {row.id} names a part of a workload's fence, or kinds, not both")
            found[row.id] = _rule(row, area=file.area)
    return found


def _rule(row: _RuleRow, *, area: str) -> Rule:
    return Rule(
        id=row.id,
        area=area,
        title=row.title,
        reads=row.reads,
        secure=row.secure,
        why=row.why,
        impact=row.impact,
        fix=row.fix,
        mend=row.mend,
        add=row.add,
        references=row.references,
        claim=row.claim,
        anchor=row.anchor,
        severity=row.severity,
        missing=row.missing,
        terms={profile: _terms(row, profile) for profile in Profile},
        part=row.part,
        kinds=frozenset(row.kinds),
        vouched_by=row.vouched_by,
        frameworks=row.frameworks,
    )


def _terms(row: _RuleRow, profile: Profile) -> Terms:
    special = row.profile.get(profile, _TermsRow())
    return Terms(
        applies=special.applies,
        broken=special.broken or row.broken or _usual(row.severity, profile),
        accepts=row.accepts if special.accepts is None else special.accepts,
    )


def _usual(severity: Severity, profile: Profile) -> Tier:
    """What a broken rule means where its data say nothing: severity decides; a confidential pool is stricter."""
    grave = severity is Severity.CRITICAL or (severity is Severity.HIGH and profile is Profile.CONFIDENTIAL)
    return Tier.CONTRAINDICATED if grave else Tier.WARNING
