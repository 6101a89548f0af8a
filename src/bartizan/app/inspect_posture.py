"""`bartizan posture`: the posture of the machine at hand, or of a recorded file tree, against one profile's rules."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from bartizan.app.close_names import meant
from bartizan.app.defaults import posture_rules
from bartizan.app.evidence_folder import read_file
from bartizan.appraise.posture.engine import appraise_posture
from bartizan.appraise.waivers import waived
from bartizan.collect.posture.document import collect_posture
from bartizan.errors import ConfigError
from bartizan.formats.posture import MAX_DOCUMENT, decode_posture
from bartizan.model.policy import Waiver
from bartizan.model.posture import (
    Mend,
    PostureFinding,
    PostureResult,
    Profile,
    ReadError,
    ReportedPosture,
    Rule,
    Severity,
)
from bartizan.model.result import Finding, Tier, worst


@dataclass(frozen=True, slots=True, kw_only=True)
class PostureReport:
    """A machine's posture document and the verdict on it."""

    posture: ReportedPosture
    result: PostureResult

    @property
    def status(self) -> Tier:
        """The worst tier of all findings."""
        return worst([one.finding.tier for one in self.result.findings])

    @property
    def good(self) -> bool:
        """Nothing is contraindicated, but for what is waived."""
        return all(one.finding.tier is not Tier.CONTRAINDICATED for one in self.result.findings)

    @property
    def open(self) -> tuple[PostureFinding, ...]:
        """What does not hold or is not known, the worst first."""
        return tuple(one for one in self.result.findings if not one.finding.passes)

    @property
    def unknown(self) -> tuple[PostureFinding, ...]:
        """What is not known."""
        return tuple(one for one in self.result.findings if one.finding.tier is Tier.NONE)

    @property
    def grave(self) -> tuple[PostureFinding, ...]:
        """What is not known although it would matter most: rules that are critical or high."""
        return tuple(one for one in self.unknown if one.rule.severity in {Severity.CRITICAL, Severity.HIGH})

    @property
    def denied(self) -> tuple[PostureFinding, ...]:
        """What is not known because this user may not read it."""
        return tuple(one for one in self.unknown if any(read.error is ReadError.DENIED for read in one.read))

    @property
    def waived(self) -> tuple[PostureFinding, ...]:
        """What passes by a named exception."""
        return tuple(one for one in self.result.findings if one.finding.waiver)

    def areas(self) -> Mapping[str, tuple[PostureFinding, ...]]:
        """Findings by area, the area with the worst finding first."""
        found: dict[str, tuple[PostureFinding, ...]] = {}
        for one in self.result.findings:
            found[one.rule.area] = (*found.get(one.rule.area, ()), one)
        return found

    def plan(self) -> Mapping[Mend, tuple[Rule, ...]]:
        """What to mend, by where it is mended: what takes effect at once first, what needs the firmware setup last."""
        broken = [one.rule for one in self.open if one.finding.tier is not Tier.NONE]
        return {mend: rules for mend in Mend if (rules := _mended_in(mend, broken))}


def _mended_in(mend: Mend, rules: Iterable[Rule]) -> tuple[Rule, ...]:
    return tuple(rule for rule in rules if rule.mend is mend)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exceptions:
    """Waivers that count at a time; node: the entity that findings about the host itself belong to."""

    waivers: tuple[Waiver, ...]
    node: str
    now: datetime

    def applied(self, report: PostureReport) -> PostureReport:
        """The report with what is waived lowered to a warning that says why."""
        findings = tuple(replace(one, finding=self._waived(one)) for one in report.result.findings)
        return replace(report, result=replace(report.result, findings=findings))

    def _waived(self, one: PostureFinding) -> Finding:
        entity = one.finding.at.workload or self.node
        return waived(one.finding, [replace(w, workload=None) for w in self.waivers if w.workload == entity], self.now)


def inspect_document(profile: Profile, path: Path) -> PostureReport:
    """Appraise a posture document as an agent sent it.

    Raises:
        ConfigError: the file cannot be read. DecodeError: it is no such document.
    """
    posture = decode_posture(read_file(path, limit=MAX_DOCUMENT))
    return PostureReport(posture=posture, result=appraise_posture(posture, posture_rules(), profile))


def inspect_posture(profile: Profile, *, root: Path) -> PostureReport:
    """Read the posture of the file tree at `root` (`/` is this machine) and appraise it.

    Raises:
        ConfigError: `root` is no folder, or nothing in it could be read. DecodeError: what was read is over a limit.
    """
    if not root.is_dir():
        raise ConfigError(f"a folder is needed, found none at {root}")
    posture = decode_posture(collect_posture(root))
    if not _says_something(posture):
        raise ConfigError(f"{root}: nothing of a machine could be read there; a file tree with proc and sys is needed")
    return PostureReport(posture=posture, result=appraise_posture(posture, posture_rules(), profile))


def _says_something(posture: ReportedPosture) -> bool:
    """At least one file, folder or node of those that are looked at could be read."""
    read = any(file.value is not None for file in posture.files.values())
    return read or any(folder.names for folder in posture.folders.values()) or bool(posture.nodes)


def rule_named(name: str) -> Rule:
    """A rule by its id, in any case.

    Raises:
        ConfigError: there is none.
    """
    rule = posture_rules().get(name.upper())
    if rule is None:
        close = meant(name, posture_rules())
        raise ConfigError(f"there is no rule {name!r}{close or '; rules are named like CPU-002'}")
    return rule
