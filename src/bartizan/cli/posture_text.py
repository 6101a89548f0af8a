"""A machine's posture as people read it: the worst area first, each finding with what was read and how to mend it."""

from collections.abc import Mapping, Sequence

from rich.padding import Padding
from rich.text import Text

from bartizan.app.inspect_posture import PostureReport
from bartizan.cli.console import MARKS, console, mark, reason, signed
from bartizan.formats.inert import inert
from bartizan.model.posture import Mend, Part, PartVerdict, PostureFinding, Reading, Rule, WorkloadVerdict
from bartizan.model.result import Tier

SHOWN_READINGS = 3
SHOWN_VALUE = 100
SHOWN_WITNESS = 300
NOT_TOLD: Mapping[str | None, str] = {None: "not known", "": "none"}
PARTS: Mapping[Part, str] = {
    Part.IDENTITY: "who it is",
    Part.MAC: "access control",
    Part.SECCOMP: "system calls",
    Part.PRIVILEGES: "users and capabilities",
    Part.NAMESPACES: "namespaces and devices",
    Part.MEMORY: "shared memory",
    Part.DMA: "direct memory access",
}
PLACES: Mapping[Mend, str] = {
    Mend.SYSCTL: "Kernel settings: write to /etc/sysctl.d/90-posture.conf, then run sysctl --system (no reboot)",
    Mend.LIBVIRT: "/etc/libvirt/qemu.conf: then restart libvirt; a guest changes when it is stopped and started",
    Mend.HAND: "By hand, while the machine runs",
    Mend.SOFTWARE: "Updates: install, then reboot",
    Mend.CMDLINE: "Kernel command line: change in the boot loader's configuration, then reboot once for all",
    Mend.FIRMWARE: "Firmware setup: at the next reboot",
}
"""Where things are mended, in the order in which to go about it."""
COUNTED = (
    (Tier.CONTRAINDICATED, "contraindicated"),
    (Tier.NONE, "unknown"),
    (Tier.WARNING, "warnings"),
    (Tier.AFFIRMING, "in order"),
)


def show_posture(report: PostureReport, *, show_all: bool) -> None:
    """The whole report."""
    _show_counts(report)
    for area, findings in report.areas().items():
        shown = [one for one in findings if show_all or one.finding.tier is not Tier.AFFIRMING]
        if shown:
            console.print(Text(area[0].upper() + area[1:], style="bold underline"))
            for one in shown:
                _show_finding(one)
                _show_reasons(one)
            console.print()
    _show_workloads(report.result.workloads)
    _show_unknown(report)
    console.print(
        Text("All of this is the machine's own word: it shows what is misconfigured, not what a hostile root hides.")
    )


def _show_counts(report: PostureReport) -> None:
    user = "root" if report.posture.privileged else "a user without privileges"
    console.print(Text(f"Posture, profile {report.result.profile.value}, read as {user}", style="bold"))
    line = Text()
    for tier, word in COUNTED:
        count = sum(one.finding.tier is tier for one in report.result.findings)
        sign, style = signed(MARKS[tier][0]).split(" ", 1)[0], MARKS[tier][1]
        line.append(f"{sign} {count} {word}   ", style=style if count else "dim")
    line.append(f"({len(report.result.inapplicable)} rules have no subject here)")
    console.print(line)
    console.print()


def _show_finding(one: PostureFinding) -> None:
    head = Text("– unknown", style=MARKS[Tier.NONE][1]) if one.finding.tier is Tier.NONE else mark(one.finding.tier)
    head.append(f"  {one.rule.id}", style="bold default")
    head.append(f"  {one.rule.severity.value}  ", style="default")
    head.append(reason(one.finding), style="default")
    console.print(Padding(head, (0, 0, 0, 2)))
    if one.finding.tier is not Tier.AFFIRMING:
        _labelled("read", _readings(one.read))


def _show_reasons(one: PostureFinding) -> None:
    if one.finding.tier is not Tier.AFFIRMING:
        _labelled("why", f"{one.rule.why} {one.rule.impact}")
    if one.finding.tier in {Tier.WARNING, Tier.CONTRAINDICATED}:
        _labelled("fix", one.rule.fix)


def _labelled(label: str, text: str) -> None:
    line = Text(f"{label}: ", style="cyan")
    line.append(text, style="default")
    console.print(Padding(line, (0, 0, 0, 8)))


def _readings(readings: Sequence[Reading]) -> str:
    shown = [_reading(reading) for reading in readings[:SHOWN_READINGS]]
    more = f"; and {len(readings) - SHOWN_READINGS} more" if len(readings) > SHOWN_READINGS else ""
    return ("; ".join(shown) or "nothing") + more


def _reading(reading: Reading) -> str:
    path = inert(reading.path)
    if reading.value is None:
        return f"{path} ({reading.error.value if reading.error else 'nothing'})"
    return f"{path} = {inert(' '.join(reading.value.split()), limit=SHOWN_VALUE) or 'empty'}"


def _show_unknown(report: PostureReport) -> None:
    unknown, denied = report.unknown, report.denied
    if not unknown:
        return
    names = ", ".join(one.rule.id for one in unknown)
    said = f"{len(unknown)} could not be told ({names}); what is unknown never passes."
    if denied and not report.posture.privileged:
        said += f" Run as root to read {len(denied)} of them."
    console.print(Text(said, style=MARKS[Tier.NONE][1]))
    if report.grave:
        rules = "rule" if len(report.grave) == 1 else "rules"
        said = f"{len(report.grave)} critical or high {rules} could not be looked at."
        console.print(Text(said, style=f"bold {MARKS[Tier.NONE][1]}"))


def _show_workloads(verdicts: Sequence[WorkloadVerdict]) -> None:
    if not verdicts:
        console.print(Text("No virtual machine, container or packet switch was seen."))
        console.print()
        return
    console.print(Text("Workloads", style="bold underline"))
    for verdict in verdicts:
        workload, identity = verdict.workload, verdict.identity
        known = f" ({inert(identity.uuid)})" if identity.uuid else ""
        said = f"{workload.kind} {inert(identity.name or workload.comm)}{known}, process {workload.pid}"
        console.print(Padding(Text(said), (0, 0, 0, 2)))
        _labelled("label", inert(workload.label) if workload.label else NOT_TOLD.get(workload.label, ""))
        _labelled("cgroup", inert(workload.cgroup or NOT_TOLD[None]))
        if workload.images:
            _labelled("image", inert(", ".join(workload.images), limit=SHOWN_VALUE))
        for part in Part:
            _show_part(part, verdict.vector[part])
    console.print()


def _show_part(part: Part, verdict: PartVerdict) -> None:
    """One of the seven: its tier, the reason, and what shows it where it is not in order."""
    line = Text("– unknown", style=MARKS[Tier.NONE][1]) if verdict.tier is Tier.NONE else mark(verdict.tier)
    line.append(f"  {PARTS[part]}", style="bold default")
    bad = verdict.tier is not Tier.AFFIRMING
    if bad and verdict.why:
        line.append(f"  {', '.join(verdict.rules)}: {'; '.join(verdict.why)}", style="default")
    console.print(Padding(line, (0, 0, 0, 6)))
    if bad and verdict.witness:
        _labelled("shown by", inert("; ".join(verdict.witness), limit=SHOWN_WITNESS))


def show_rule(rule: Rule, report: PostureReport) -> None:
    """One rule in full, and how it came out here."""
    console.print(Text(f"{rule.id}  {rule.title}", style="bold"))
    terms = rule.terms[report.result.profile]
    _labelled("area", rule.area)
    _labelled("claim", f"{rule.claim.value}; anchor {rule.anchor.value}; severity {rule.severity.value}")
    _labelled("reads", ", ".join(rule.reads))
    _labelled("secure", rule.secure)
    _labelled("why", f"{rule.why} {rule.impact}")
    _labelled("fix", rule.fix)
    _labelled("when broken", f"{terms.broken.value} in the profile {report.result.profile.value}")
    _labelled("references", "; ".join(rule.references))
    console.print()
    console.print(Text("On this machine", style="bold underline"))
    for one in report.result.findings:
        if one.rule.id == rule.id:
            _show_finding(one)
    if rule.id in report.result.inapplicable:
        console.print(Padding(Text(f"no subject: {report.result.inapplicable[rule.id]}"), (0, 0, 0, 2)))


def show_plan(report: PostureReport) -> None:
    """What to mend, grouped so that each place is visited once."""
    plan = report.plan()
    if not plan:
        console.print(Text("There is nothing to mend.", style="green"))
        return
    for number, mend in enumerate((mend for mend in PLACES if mend in plan), start=1):
        console.print(Text(f"{number}. {PLACES[mend]}", style="bold"))
        for rule in plan[mend]:
            line = Text(f"{rule.id}  ", style="cyan")
            line.append(rule.add or rule.fix, style="default")
            console.print(Padding(line, (0, 0, 0, 3)))
        console.print()
    console.print(Text("bartizan posture --explain ID says why, and what each step costs or breaks."))
