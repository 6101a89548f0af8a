"""An SELinux policy's analysis as people read it: each finding with its way, and what mends it."""

from rich.padding import Padding
from rich.text import Text

from bartizan.app.defaults import catalogue
from bartizan.app.inspect_policy import PolicyReport
from bartizan.cli.console import console, mark
from bartizan.formats.inert import inert
from bartizan.model.result import Tier


def show_policy(report: PolicyReport) -> None:
    """Findings in their order; what to do about those that do not hold."""
    for finding in report.findings:
        line = mark(finding.tier).append(f"  {catalogue()[finding.id].title}", style="default")
        console.print(line)
        console.print(Padding(Text(inert(finding.why)), (0, 0, 0, 4)))
    if report.status is Tier.AFFIRMING:
        return
    console.print()
    for check in dict.fromkeys(finding.id for finding in report.findings if not finding.passes):
        console.print(Padding(Text(f"to do ({check}): {catalogue()[check].fix}"), (0, 0, 0, 2)))
