"""Named exceptions: a finding that one covers is lowered to a warning and keeps the reason. It judges nothing."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from bartizan.model.policy import Waiver
from bartizan.model.result import Finding, Tier


def waived(finding: Finding, waivers: Iterable[Waiver], now: datetime) -> Finding:
    """The finding as the first waiver that covers it leaves it; an affirming one needs none."""
    if finding.tier is Tier.AFFIRMING:
        return finding
    for waiver in waivers:
        if _covers(waiver, finding) and (waiver.expires is None or now < waiver.expires):
            tier = max(finding.tier, Tier.WARNING, key=lambda some: some.order)
            return replace(finding, tier=tier, waiver=waiver.reason)
    return finding


def _covers(waiver: Waiver, finding: Finding) -> bool:
    return (
        waiver.check == finding.id
        and waiver.pcr in (None, finding.at.pcr)
        and waiver.workload in (None, finding.at.workload)
    )
