"""`bartizan posture`: this machine's confinement and acceleration posture."""

import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from bartizan.app.inspect_policy import PolicyReport, inspect_policy
from bartizan.app.inspect_posture import Exceptions, PostureReport, inspect_document, inspect_posture, rule_named
from bartizan.app.report_posture import report_posture
from bartizan.app.sign_waivers import read_waivers
from bartizan.cli.console import BAD, GOOD, print_json, reporting
from bartizan.cli.options import AsJson, ShowAll
from bartizan.cli.posture_documents import framework_document, plan_document, policy_document, posture_document
from bartizan.cli.posture_frameworks import show_framework
from bartizan.cli.posture_policy import show_policy
from bartizan.cli.posture_text import show_plan, show_posture, show_rule
from bartizan.errors import ConfigError
from bartizan.model.posture import Framework, Profile, Rule


@reporting
def posture(
    profile: Annotated[Profile, typer.Option("--profile", help="What the machine is for.")] = Profile.BASELINE,
    explain: Annotated[
        str | None, typer.Option("--explain", help="One rule in full, and how it came out here.", metavar="ID")
    ] = None,
    fix_plan: Annotated[
        bool,
        typer.Option("--fix-plan", help="What to mend, grouped by where: settings, libvirt, boot loader, firmware."),
    ] = False,
    report: Annotated[
        Framework | None,
        typer.Option("--report", help="What it means for the requirements of others: of one node, or of many."),
    ] = None,
    root: Annotated[
        Path,
        typer.Option("--root", help="The file tree to read: a recorded host in place of this machine.", metavar="DIR"),
    ] = Path("/"),
    document: Annotated[
        list[Path] | None,
        typer.Option("--document", help="A posture as an agent sent it, in place of this machine.", metavar="FILE"),
    ] = None,
    policy: Annotated[
        Path | None,
        typer.Option("--policy", help="Analyse an SELinux policy (/sys/fs/selinux/policy) instead.", metavar="FILE"),
    ] = None,
    waivers: Annotated[
        Path | None, typer.Option("--waivers", help="Signed exceptions (bartizan waivers sign).", metavar="FILE")
    ] = None,
    waiver_key: Annotated[
        list[Path] | None, typer.Option("--waiver-key", help="Who may have signed them (public key).", metavar="PEM")
    ] = None,
    node: Annotated[
        str | None,
        typer.Option("--node", help="The machine's name in waivers; default: its host name.", metavar="NAME"),
    ] = None,
    show_all: ShowAll = False,
    as_json: AsJson = False,
) -> int:
    """How well this machine fences its guests: each finding with what was read, why it matters and how to mend it.

    It only reads, as root or not; what it may not read is unknown and never passes. No service is needed.

    Exit: 0 nothing is contraindicated (--report: no node fails a must), 1 something is, 2 there is no such rule or
    folder, nothing in it could be read, or waivers are not signed as they should be.
    """
    if sum((explain is not None, fix_plan, report is not None, policy is not None)) > 1:
        raise ConfigError("--explain, --fix-plan, --report and --policy answer different questions: give one of them")
    rule = rule_named(explain) if explain is not None else None
    documents = document or []
    if len(documents) > 1 and report is None:
        raise ConfigError("several --document are for --report: give one of them")
    accepted = read_waivers(waivers, waiver_key or []) if waivers is not None else ()
    exceptions = Exceptions(waivers=accepted, node=node or platform.node(), now=datetime.now(UTC))
    if report is not None:
        return _reported(report, _each(profile, documents, root, exceptions), show_all=show_all, as_json=as_json)
    [found] = _each(profile, documents, root, exceptions).values()
    if policy is not None:
        return _analysed(inspect_policy(policy, found.posture), as_json=as_json)
    if as_json:
        print_json(plan_document(found) if fix_plan else posture_document(found, only=rule.id if rule else None))
    else:
        _show(found, rule, fix_plan=fix_plan, show_all=show_all)
    return GOOD if found.good else BAD


def _each(profile: Profile, documents: Sequence[Path], root: Path, exceptions: Exceptions) -> dict[str, PostureReport]:
    """Reports by node: documents by their names, or this machine."""
    if not documents:
        return {exceptions.node: exceptions.applied(inspect_posture(profile, root=root))}
    names = [path.stem if path.stem != "posture" else path.resolve().parent.name for path in documents]
    if len(set(names)) < len(names):
        raise ConfigError("two --document have one name: nodes are called by their files or folders")
    reports = zip(names, (inspect_document(profile, path) for path in documents), strict=True)
    if len(names) == 1:
        return {name: exceptions.applied(one) for name, one in reports}
    return {
        name: Exceptions(waivers=exceptions.waivers, node=name, now=exceptions.now).applied(one)
        for name, one in reports
    }


def _show(found: PostureReport, rule: Rule | None, *, fix_plan: bool, show_all: bool) -> None:
    if rule is not None:
        show_rule(rule, found)
    elif fix_plan:
        show_plan(found)
    else:
        show_posture(found, show_all=show_all)


def _analysed(found: PolicyReport, *, as_json: bool) -> int:
    if as_json:
        print_json(policy_document(found))
    else:
        show_policy(found)
    return GOOD if found.good else BAD


def _reported(framework: Framework, reports: dict[str, PostureReport], *, show_all: bool, as_json: bool) -> int:
    found = report_posture(framework, reports)
    if as_json:
        print_json(framework_document(found))
    else:
        show_framework(found, show_all=show_all)
    return GOOD if found.good else BAD
