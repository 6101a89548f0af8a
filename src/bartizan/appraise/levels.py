"""The ladder: which rungs hold, given all findings. It makes no findings."""

from collections.abc import Sequence

from bartizan.model.policy import Level
from bartizan.model.result import Finding, Rung, Tier


def climb(levels: Sequence[Level], findings: Sequence[Finding]) -> tuple[int, tuple[Rung, ...]]:
    """The highest level whose needs and all below hold, and every rung with what keeps it from holding."""
    by_check: dict[str, list[Finding]] = {}
    for finding in findings:
        by_check.setdefault(finding.id, []).append(finding)
    reached, unbroken = 0, True
    rungs: list[Rung] = []
    for level in levels:
        missing = _missing(level, by_check) if level.assessed else ()
        holds = level.assessed and not missing
        unbroken = unbroken and holds
        reached = level.number if unbroken else reached
        rungs.append(
            Rung(
                number=level.number,
                name=level.name,
                question=level.question,
                holds=holds,
                assessed=level.assessed,
                missing=missing,
            )
        )
    return reached, tuple(rungs)


def _missing(level: Level, by_check: dict[str, list[Finding]]) -> tuple[str, ...]:
    """The checks that keep this rung from holding; empty when it holds."""
    missing = [check for check in level.affirming if not _affirms(by_check.get(check, []))]
    missing += [check for check in level.warning if not _at_least_warning(by_check.get(check, []))]
    missing += [check for check in level.breaks if not all(f.passes for f in by_check.get(check, []))]
    missing += [check for check in level.contradicts if _contradicted(by_check.get(check, []))]
    missing += _nearest(level.any_of, by_check)
    return tuple(missing)


def _nearest(alternatives: Sequence[Sequence[str]], by_check: dict[str, list[Finding]]) -> list[str]:
    """What the alternative lacks that was looked at and lacks least; the first one where none was looked at."""
    lacking = [[check for check in option if not _affirms(by_check.get(check, []))] for option in alternatives]
    if not lacking or not all(lacking):
        return []
    seen = [lacks for option, lacks in zip(alternatives, lacking, strict=True) if all(c in by_check for c in option)]
    return min(seen, key=len) if seen else lacking[0]


def _affirms(findings: Sequence[Finding]) -> bool:
    return bool(findings) and all(finding.passes for finding in findings)


def _contradicted(findings: Sequence[Finding]) -> bool:
    return any(finding.tier is Tier.CONTRAINDICATED for finding in findings)


def _at_least_warning(findings: Sequence[Finding]) -> bool:
    enough = Tier.WARNING.order
    return bool(findings) and all(finding.passes or finding.tier.order >= enough for finding in findings)
