"""`bartizan posture --policy`: an SELinux policy analysed and judged, with the booleans as the host has them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bartizan.app.defaults import catalogue
from bartizan.app.evidence_folder import read_file
from bartizan.appraise.posture.policy import GUESTS, judge_policy, unknown_policy
from bartizan.connectors.setools.analysis import MAX_POLICY, analyse
from bartizan.errors import ConnectorError
from bartizan.model.posture import ReportedPosture
from bartizan.model.result import Finding, Tier, worst
from bartizan.model.selinux_policy import PolicyAnalysis

SELINUX = "/sys/fs/selinux"
BOOLEANS = f"{SELINUX}/booleans/"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyReport:
    """The verdict on one policy; analysis is None where there could be none."""

    findings: tuple[Finding, ...]
    analysis: PolicyAnalysis | None

    @property
    def status(self) -> Tier:
        """The worst tier."""
        return worst([finding.tier for finding in self.findings])

    @property
    def good(self) -> bool:
        """Nothing is contraindicated."""
        return all(finding.tier is not Tier.CONTRAINDICATED for finding in self.findings)


def inspect_policy(path: Path, posture: ReportedPosture) -> PolicyReport:
    """Analyse a policy and judge it; one that cannot be analysed is unknown.

    Raises:
        ConfigError: the file cannot be read.
    """
    raw = read_file(path, limit=MAX_POLICY)
    try:
        analysis = analyse(raw, domains=GUESTS, booleans=booleans(posture))
    except ConnectorError as error:
        return PolicyReport(findings=(unknown_policy(catalogue(), str(error)),), analysis=None)
    findings = tuple(judge_policy(catalogue(), analysis, loaded=loaded(posture)))
    return PolicyReport(findings=findings, analysis=analysis)


def booleans(posture: ReportedPosture) -> Mapping[str, bool]:
    """SELinux's booleans as they stand; a file holds the present value and the pending one."""
    files = posture.files.items()
    there = {path.removeprefix(BOOLEANS): one.value for path, one in files if path.startswith(BOOLEANS)}
    return {name: value.startswith("1") for name, value in there.items() if value}


def loaded(posture: ReportedPosture) -> bytes | None:
    """The SHA-256 of the loaded policy, as the host tells it."""
    reading = posture.files.get(f"{SELINUX}/policy")
    rows = dict(line.split(" ", 1) for line in (reading.value or "").splitlines() if " " in line) if reading else {}
    try:
        return bytes.fromhex(rows["sha256"])
    except (KeyError, ValueError):
        return None
