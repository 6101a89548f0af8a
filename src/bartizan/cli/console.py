"""What the commands share: tier marks, tables, pointers, JSON, and errors as people and programs read them.

Text from evidence is printed through rich's Text, never as markup; the console itself makes every character harmless.
"""

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import Any, NoReturn, ParamSpec

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from bartizan.errors import ConfigError, ConnectorError, DecodeError, PolicyError, SenderError, VerifyError
from bartizan.formats.inert import inert
from bartizan.model.result import Finding, Pointer, Tier

GOOD, BAD, REFUSED, OUTSIDE = 0, 1, 2, 3
"""Exit codes: good, judged bad, refused (cannot be decoded or used), outside failure."""
MARKS: Mapping[Tier, tuple[str, str]] = {
    Tier.AFFIRMING: ("✔ affirming", "green"),
    Tier.WARNING: ("! warning", "yellow"),
    Tier.NONE: ("– none", "magenta"),
    Tier.CONTRAINDICATED: ("✘ contraindicated", "bold red"),
}
MAX_ERROR = 2000
"""Characters of an error that people are shown."""
MAX_SEGMENT = 1_000_000
"""Characters of one line; nothing is cut here, tables and sentences have bounds of their own."""
MIN_WIDTH = 100
"""Columns when standard output is no terminal, so that piped tables do not break into slivers."""


class InertConsole(Console):
    """A console that steers no terminal: whatever it prints, control and direction characters come out as escapes."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of a renderable, each line of their text inert; rich's own control codes pass."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                lines = (inert(line, limit=MAX_SEGMENT) for line in segment.text.split("\n"))
                yield Segment("\n".join(lines), segment.style)


console = InertConsole(highlight=False, width=None if sys.stdout.isatty() else MIN_WIDTH)
errors = InertConsole(stderr=True, highlight=False)

Parameters = ParamSpec("Parameters")


def mark(tier: Tier) -> Text:
    """A tier as a sign and a word; colour only repeats it."""
    text, style = MARKS[tier]
    return Text(text, style=style)


def place(at: Pointer) -> str:
    """A pointer in words: `PCR 8, event 42`."""
    parts = [
        f"PCR {at.pcr}" if at.pcr is not None else "",
        f"event {at.event}" if at.event is not None else "",
        f"entry {at.entry}" if at.entry is not None else "",
        at.bank or "",
    ]
    return ", ".join(part for part in parts if part) or "–"


def reason(finding: Finding) -> str:
    """Why a finding says what it says, and by which named exception it passes all the same."""
    return finding.why + (f" (waived: {inert(finding.waiver)})" if finding.waiver else "")


def findings_table(findings: Iterable[Finding], *, affirming: bool) -> Table:
    """Findings, the worst first; affirming ones only on request."""
    table = Table(box=None, pad_edge=False, show_edge=False, header_style="bold")
    table.add_column("tier", no_wrap=True)
    table.add_column("check", no_wrap=True)
    table.add_column("where", no_wrap=True)
    table.add_column("why", overflow="fold")
    for finding in sorted(findings, key=lambda finding: finding.tier.order):
        if finding.tier is not Tier.AFFIRMING or affirming:
            table.add_row(mark(finding.tier), Text(finding.id), Text(place(finding.at)), Text(reason(finding)))
    return table


def pointer_document(at: Pointer) -> dict[str, int | str]:
    """The parts of a pointer that point somewhere."""
    parts = {"pcr": at.pcr, "event": at.event, "entry": at.entry, "path": at.path, "bank": at.bank}
    return {key: value for key, value in parts.items() if value is not None}


def finding_document(finding: Finding) -> dict[str, Any]:
    """The one JSON shape of a finding."""
    document: dict[str, Any] = {
        "id": finding.id,
        "claim": finding.claim.value,
        "tier": finding.tier.value,
        "why": finding.why,
        "anchor": finding.anchor.value,
        "at": pointer_document(finding.at),
    }
    return document | ({"waiver": finding.waiver} if finding.waiver else {})


def print_json(document: Mapping[str, Any]) -> None:
    """One document on standard output, nothing else; ASCII, so that no terminal is steered by it."""
    sys.stdout.write(json.dumps(document, indent=2) + "\n")


def reporting(command: Callable[Parameters, int]) -> Callable[Parameters, None]:
    """Turn a command's return value into the exit code, and the error tree into words or a JSON document."""

    @wraps(command)
    def wrapped(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        try:
            code = command(*args, **kwargs)
        except (SenderError, PolicyError, ConfigError, ConnectorError) as error:
            _fail(error, as_json=bool(kwargs.get("as_json")))
        raise typer.Exit(code)

    return wrapped


KINDS: Mapping[type[Exception], tuple[str, int]] = {
    DecodeError: ("decode", REFUSED),
    VerifyError: ("verify", BAD),
    PolicyError: ("policy", REFUSED),
    ConfigError: ("config", REFUSED),
    ConnectorError: ("outside", OUTSIDE),
}


def _fail(error: Exception, *, as_json: bool) -> NoReturn:
    kind, code = KINDS[type(error)]
    detail: dict[str, Any] = {"kind": kind, "what": str(error), "why": str(error)}
    if isinstance(error, DecodeError):
        detail = {"kind": kind, "what": error.what, "offset": error.offset, "why": error.why}
    elif isinstance(error, VerifyError):
        detail = {"kind": kind, "what": error.check, "why": error.why}
    if as_json:
        print_json({"error": detail})
    else:
        word = "judged bad" if code == BAD else "outside failure" if code == OUTSIDE else "refused"
        said = inert(str(error), limit=MAX_ERROR)
        errors.print(Text(f"{word}: ", style="bold red").append(said, style="default"))
    raise typer.Exit(code)
