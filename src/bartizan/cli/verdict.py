"""A verdict as people read it: one line, the ladder, the vector, the chain of trust, explanations."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from bartizan.app.chain import Link
from bartizan.cli.console import MARKS, NARROW, console, mark, place, reason, signed, urgency
from bartizan.formats.inert import inert
from bartizan.model.policy import Check
from bartizan.model.result import Anchor, AttestationResult, Confinement, Finding, Rung, Tier

SHOWN_EACH = 20
"""How many findings of one check are listed before the rest is only counted."""
VOUCHERS: Mapping[Anchor, str] = {
    Anchor.TPM: "the TPM",
    Anchor.SIGNED: "a certificate",
    Anchor.AGENT: "the node's own word",
}


def verdict_line(result: AttestationResult, *, folder: Path, verified: bool) -> Text:
    """`good: level 4 known code, recorded`; verified: identity and quote held, so that there was an appraisal."""
    name = next((rung.name for rung in result.ladder if rung.number == result.level), "unattested")
    line = Text(f"{inert(folder.resolve().name)}: ", style="bold")
    line.append(f"level {result.level} {name}", style="bold green" if not result.contraindicated else "bold")
    line.append(f", {result.state.value}")
    if result.contraindicated:
        line.append(", ")
        line.append(signed("✘ contraindicated"), style="bold red")
    if result.reference is None:
        line.append("  (no Reference Values given)", style="dim")
    elif not verified:
        line.append("  (Reference Values not used: identity or quote does not hold)", style="dim")
    return line


def _rung_mark(rung: Rung) -> Text:
    if not rung.assessed:
        return Text(signed("– not assessed"), style="dim")
    return Text(signed("✔ holds"), style="green") if rung.holds else Text(signed("✘ does not hold"), style="red")


def show_ladder(result: AttestationResult) -> None:
    """The six rungs and what keeps each from holding, one check a line; the questions where there is room."""
    wide = console.width >= NARROW
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("level", "", "question") if wide else ("level", ""):
        table.add_column(name, no_wrap=True)
    table.add_column("kept from holding by", no_wrap=True)
    said = {finding.id for finding in result.findings}
    for rung in reversed(result.ladder):
        missing = "\n".join(check for check in rung.missing if check in said)
        if rung.missing and not missing:
            missing = "what stands below it"
        question = (rung.question,) if wide else ()
        table.add_row(f"{rung.number} {rung.name}", _rung_mark(rung), *question, missing)
    console.print(table)
    console.print()


def show_confinement(confinement: Confinement | None) -> None:
    """How much of level 5 the TPM vouches for; nothing where no posture was judged."""
    if confinement is None:
        return
    words = ", ".join(f"{count} by {VOUCHERS[anchor]}" for anchor, count in confinement.held.items() if count)
    line = Text(f"Confinement, profile {confinement.profile}: ", style="bold")
    line.append(f"{sum(confinement.held.values())} rules hold ({words or 'none'}), ", style="not bold")
    line.append(f"{len(confinement.open)} do not or are not known; ", style="not bold")
    line.append(f"workloads: {confinement.workloads}", style="not bold")
    console.print(line)
    console.print()


def show_vector(result: AttestationResult) -> None:
    """The AR4SI claims that something was found out about."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("AR4SI claim", no_wrap=True)
    table.add_column("tier", no_wrap=True)
    for claim, tier in result.vector.items():
        table.add_row(claim.value, mark(tier))
    console.print(table)
    console.print()


def show_links(links: Sequence[Link]) -> None:
    """The chain of trust, drawn: who measured whom, and where it broke."""
    if not links:
        return
    console.print(Text("Who measured whom", style="bold"))
    for link, branch in zip(links, _branches(links), strict=True):
        sign, style = signed(MARKS[link.tier][0]).split(" ", 1)[0], MARKS[link.tier][1]
        line = Text(f"  {branch} ")
        line.append(f"{sign} ", style=style)
        line.append(f"{link.measurer} measured ", style="dim")
        line.append(link.measured)
        line.append(f"  [{place(link.at)}]", style="dim")
        if link.tier is not Tier.AFFIRMING:
            line.append(f"  {link.tier.value}", style=style)
        console.print(line, soft_wrap=True)
    console.print()


def _branches(links: Sequence[Link]) -> list[str]:
    """The lines that lead to each link: `├─` where a sibling follows, `└─` where none does."""
    drawn: list[str] = []
    open_depths: set[int] = set()
    for link in reversed(links):
        open_depths = {depth for depth in open_depths if depth <= link.depth}
        stems = "".join("│  " if depth in open_depths else "   " for depth in range(link.depth))
        drawn.append(stems + ("├─" if link.depth in open_depths else "└─"))
        open_depths.add(link.depth)
    return drawn[::-1]


def breaking_first(result: AttestationResult) -> list[Finding]:
    """All findings, those of checks that keep a rung from holding before the others."""
    breaking = {check for rung in result.ladder for check in rung.missing}
    return sorted(result.findings, key=lambda finding: finding.id not in breaking)


def show_explanations(result: AttestationResult, catalogue: Mapping[str, Check]) -> None:
    """Each check that is not in order: what was found, what vouches for it, why it matters, what to do."""
    open_findings = [finding for finding in breaking_first(result) if finding.tier is not Tier.AFFIRMING]
    open_findings.sort(key=lambda finding: urgency(finding.tier))
    if not open_findings:
        console.print(Text("Everything that was looked at is in order.", style="green"))
        return
    for check in dict.fromkeys(finding.id for finding in open_findings):
        same = [finding for finding in open_findings if finding.id == check]
        _show_check(catalogue[check], same)


def _show_check(check: Check, findings: Sequence[Finding]) -> None:
    head = mark(findings[0].tier)
    head.append(f"  {check.id}", style="bold default")
    head.append(f"  – expected: {check.title}", style="dim default")
    console.print(head)
    for finding in findings[:SHOWN_EACH]:
        where = f" [{place(finding.at)}]" if finding.at.pcr is not None or finding.at.entry is not None else ""
        console.print(Padding(Text(f"• {reason(finding)}{where}"), (0, 0, 0, 4)))
    if len(findings) > SHOWN_EACH:
        console.print(
            Padding(Text(f"• and {len(findings) - SHOWN_EACH} more of this kind (--json lists all)"), (0, 0, 0, 4))
        )
    happened = any(finding.tier in {Tier.WARNING, Tier.CONTRAINDICATED} for finding in findings)
    for label, text in (
        ("vouched for by", VOUCHERS[findings[0].anchor]),
        ("why it matters", check.why),
        *((("if so", check.impact),) if happened else ()),
        ("what to do", check.fix),
    ):
        line = Text(f"{label}: ", style="cyan")
        line.append(text, style="default")
        console.print(Padding(line, (0, 0, 0, 4)))
    console.print()
