"""`bartizan posture`: this machine's confinement and acceleration posture."""

from pathlib import Path
from typing import Annotated

import typer

from bartizan.app.inspect_posture import inspect_posture, rule_named
from bartizan.cli.console import BAD, GOOD, print_json, reporting
from bartizan.cli.options import AsJson, ShowAll
from bartizan.cli.posture_documents import plan_document, posture_document
from bartizan.cli.posture_text import show_plan, show_posture, show_rule
from bartizan.errors import ConfigError
from bartizan.model.posture import Profile


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
    root: Annotated[
        Path,
        typer.Option("--root", help="The file tree to read: a recorded host in place of this machine.", metavar="DIR"),
    ] = Path("/"),
    show_all: ShowAll = False,
    as_json: AsJson = False,
) -> int:
    """How well this machine fences its guests: each finding with what was read, why it matters and how to mend it.

    It only reads, as root or not; what it may not read is unknown and never passes. No service is needed.

    Exit: 0 nothing is contraindicated, 1 something is, 2 there is no such rule or folder, or
    nothing in it could be read.
    """
    if explain is not None and fix_plan:
        raise ConfigError("--explain and --fix-plan answer different questions: give one of them")
    rule = rule_named(explain) if explain is not None else None
    report = inspect_posture(profile, root=root)
    if as_json:
        print_json(plan_document(report) if fix_plan else posture_document(report, only=rule.id if rule else None))
    elif rule is not None:
        show_rule(rule, report)
    elif fix_plan:
        show_plan(report)
    else:
        show_posture(report, show_all=show_all)
    return GOOD if report.good else BAD
