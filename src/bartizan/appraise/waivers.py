"""Named exceptions: a finding that one covers is lowered to a warning and keeps the reason. It judges nothing."""

import tomllib
from collections.abc import Container, Iterable
from dataclasses import replace
from datetime import datetime
from typing import Annotated

import msgspec

from bartizan.errors import PolicyError
from bartizan.model.policy import Waiver
from bartizan.model.result import Finding, Tier

ShortText = Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]


class _Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    rule: ShortText
    entity: ShortText
    reason: ShortText
    expires: Annotated[datetime, msgspec.Meta(tz=True)]


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    waiver: tuple[_Row, ...]


def load_waivers(text: str, rules: Container[str], *, source: str) -> tuple[Waiver, ...]:
    """Waivers of posture rules; each names its rule and its entity (a node or a workload) and expires.

    Raises:
        PolicyError: not such a text, or a rule that there is none of.
    """
    try:
        rows = msgspec.convert(tomllib.loads(text), _File, strict=True).waiver
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise PolicyError(f"{source}: {error}") from error
    unknown = [row.rule for row in rows if row.rule not in rules]
    if unknown:
        raise PolicyError(f"{source}: there is no rule {unknown[0]!r}")
    return tuple(Waiver(check=r.rule, reason=r.reason, workload=r.entity, expires=r.expires) for r in rows)


def waived(finding: Finding, waivers: Iterable[Waiver], now: datetime) -> Finding:
    """The finding as the first waiver that covers it leaves it; an affirming one needs none."""
    if finding.tier is Tier.AFFIRMING:
        return finding
    for waiver in waivers:
        if _covers(waiver, finding) and waiver.counts(now):
            tier = max(finding.tier, Tier.WARNING, key=lambda some: some.order)
            return replace(finding, tier=tier, waiver=waiver.reason)
    return finding


def _covers(waiver: Waiver, finding: Finding) -> bool:
    return (
        waiver.check == finding.id
        and waiver.pcr in (None, finding.at.pcr)
        and waiver.workload in (None, finding.at.workload)
    )
