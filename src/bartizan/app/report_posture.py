"""`bartizan posture --report`: what postures say of a framework's requirements, for one node or many."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from bartizan.app.defaults import frameworks, posture_rules
from bartizan.app.inspect_posture import PostureReport
from bartizan.model.posture import Framework, FrameworkText, Requirement
from bartizan.model.result import Tier


class Met(Enum):
    """What the rules that look at a requirement say of it."""

    MET = "met"
    NOT_MET = "not met"
    UNKNOWN = "unknown"
    NO_SUBJECT = "no subject"
    NOT_LOOKED_AT = "not looked at"


@dataclass(frozen=True, slots=True, kw_only=True)
class RequirementReport:
    """One requirement on one node: the rules that look at it, those that do not hold or are not known."""

    requirement: Requirement
    met: Met
    rules: tuple[str, ...]
    open: tuple[str, ...]
    waived: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameworkReport:
    """A framework's requirements, by node in the order given."""

    framework: FrameworkText
    nodes: Mapping[str, tuple[RequirementReport, ...]]

    @property
    def good(self) -> bool:
        """No node fails a requirement that is a must."""
        rows = (row for rows in self.nodes.values() for row in rows)
        return not any(row.met is Met.NOT_MET and row.requirement.must for row in rows)

    def fleet(self) -> Mapping[str, Counter[Met]]:
        """Requirement to how many nodes it comes out so on."""
        found: dict[str, Counter[Met]] = {one.id: Counter() for one in self.framework.requirements}
        for rows in self.nodes.values():
            for row in rows:
                found[row.requirement.id][row.met] += 1
        return found


def report_posture(framework: Framework, reports: Mapping[str, PostureReport]) -> FrameworkReport:
    """What postures, by node, say of a framework's requirements."""
    text = frameworks()[framework]
    nodes = {
        node: tuple(_requirement(one, framework, report) for one in text.requirements)
        for node, report in reports.items()
    }
    return FrameworkReport(framework=text, nodes=nodes)


def _requirement(requirement: Requirement, framework: Framework, report: PostureReport) -> RequirementReport:
    rules = tuple(r.id for r in posture_rules().values() if requirement.id in r.frameworks.get(framework, ()))
    found = [one.finding for one in report.result.findings if one.rule.id in rules]
    bad = [finding for finding in found if not finding.passes]
    return RequirementReport(
        requirement=requirement,
        met=_met(rules, [finding.tier for finding in bad], applied=bool(found)),
        rules=rules,
        open=tuple(dict.fromkeys(finding.id for finding in bad)),
        waived=tuple(dict.fromkeys(finding.id for finding in found if finding.waiver)),
    )


def _met(rules: Sequence[str], bad: Sequence[Tier], *, applied: bool) -> Met:
    """Unknown counts only where nothing is known to be broken."""
    if not rules:
        return Met.NOT_LOOKED_AT
    if not applied:
        return Met.NO_SUBJECT
    if not bad:
        return Met.MET
    return Met.UNKNOWN if set(bad) == {Tier.NONE} else Met.NOT_MET
