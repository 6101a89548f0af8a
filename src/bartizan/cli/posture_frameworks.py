"""What postures say of a framework's requirements, as people read it: one node in full, many counted."""

from collections.abc import Mapping

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from bartizan.app.report_posture import FrameworkReport, Met, RequirementReport
from bartizan.cli.console import console, signed
from bartizan.formats.inert import inert

SIGNS: Mapping[Met, tuple[str, str]] = {
    Met.MET: ("✔ met", "green"),
    Met.NOT_MET: ("✘ not met", "red"),
    Met.UNKNOWN: ("– unknown", "yellow"),
    Met.NO_SUBJECT: ("– no subject here", "dim"),
    Met.NOT_LOOKED_AT: ("– not looked at", "dim"),
}
LOOKED_AT = (Met.MET, Met.NOT_MET, Met.UNKNOWN)


def show_framework(report: FrameworkReport, *, show_all: bool) -> None:
    """The report; requirements that no rule looks at only on request."""
    console.print(Text(report.framework.name, style="bold"))
    console.print(Text(f"source: {report.framework.source}", style="dim"))
    console.print()
    if len(report.nodes) == 1:
        [(node, rows)] = report.nodes.items()
        console.print(Text(f"Node {inert(node)}", style="bold underline"))
        for row in rows:
            if show_all or row.met in LOOKED_AT:
                _show_requirement(row)
    else:
        _show_fleet(report, show_all=show_all)
    unseen = [row.requirement.id for row in next(iter(report.nodes.values())) if row.met is Met.NOT_LOOKED_AT]
    if unseen:
        console.print()
        console.print(Text(f"No rule of the posture looks at: {', '.join(unseen)}."))
    console.print(Text("All of this is the nodes' own word; what is not met is told by bartizan posture in full."))


def _show_requirement(row: RequirementReport) -> None:
    sign, style = SIGNS[row.met]
    line = Text(signed(sign), style=style)
    line.append(f"  {row.requirement.id}", style="bold default")
    kind = "" if row.requirement.must else " (should)"
    line.append(f"{kind}  {row.requirement.text}", style="default")
    console.print(Padding(line, (0, 0, 0, 2)))
    for label, rules in (("open", row.open), ("waived", row.waived)):
        if rules:
            console.print(Padding(Text(f"{label}: {', '.join(rules)}", style="cyan"), (0, 0, 0, 8)))


def _show_fleet(report: FrameworkReport, *, show_all: bool) -> None:
    """How many nodes meet each requirement, and which do not."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("requirement", "met", "not met", "unknown", "not met by"):
        table.add_column(name)
    for requirement, counted in report.fleet().items():
        failing = [node for node, rows in report.nodes.items() if _fails(rows, requirement)]
        if show_all or any(counted[met] for met in LOOKED_AT):
            cells = [str(counted[met]) for met in LOOKED_AT]
            table.add_row(requirement, *cells, inert(", ".join(failing)))
    console.print(Text(f"{len(report.nodes)} nodes", style="bold underline"))
    console.print(table)


def _fails(rows: tuple[RequirementReport, ...], requirement: str) -> bool:
    return any(row.requirement.id == requirement and row.met is Met.NOT_MET for row in rows)
