"""What the commands share: tier marks, tables, pointers, JSON, and errors as people and programs read them.

Text from evidence is printed through rich's Text, never as markup; the console itself makes every character harmless.
"""

import errno
import json
import os
import signal
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import wraps
from typing import Any, ParamSpec

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from bartizan.errors import (
    ConfigError,
    ConnectorError,
    DeclinedError,
    DecodeError,
    PolicyError,
    SenderError,
    VerifyError,
)
from bartizan.formats.inert import inert
from bartizan.model.result import Finding, Pointer, Tier

GOOD, BAD, REFUSED, OUTSIDE = 0, 1, 2, 3
"""Exit codes: good, judged bad, refused (cannot be decoded or used), outside failure."""
READER_GONE = 128 + signal.SIGPIPE
"""As a shell tells of a program that a broken pipe ended: `| head` is no failure, and nothing was judged good."""
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
PIPED_WIDTH = 100
"""Columns when standard output is no terminal and COLUMNS does not say, so that piped tables are no slivers."""
WIDTHS = range(40, 10_000)
"""What COLUMNS may say."""
NARROW = 110
"""Columns below which tables leave out what can be said elsewhere."""
NO_PLACE = "–"
SIGNS = "✔✘–→•…├└─│"
PLAIN_WORDS = str.maketrans(dict(zip("✔✘–→", ("ok", "X", "-", "->"), strict=True)))
PLAIN_SIGNS = str.maketrans(SIGNS, "+X->*~++-|")
"""What stands for the signs where they cannot be encoded, each as wide as the sign: a table is laid out by then."""


class OutputError(Exception):
    """Standard output takes nothing more. broken: its reader has gone, which needs no words."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f"standard output: cannot be written: {error.strerror}")
        self.broken = error.errno == errno.EPIPE


def encodable(stream: object) -> bool:
    """Whether a stream's encoding has the signs that the commands draw with."""
    try:
        SIGNS.encode(getattr(stream, "encoding", None) or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def signed(text: str) -> str:
    """A text of our own as standard output can show it: with its signs, or with plain letters instead."""
    return text if encodable(sys.stdout) else text.translate(PLAIN_WORDS)


class InertConsole(Console):
    """A console that steers no terminal: whatever it prints, control and direction characters come out as escapes.

    No line ends in blanks, and signs that the stream cannot encode come out as plain characters.
    """

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of a renderable, each line of their text inert; rich's own control codes pass."""
        table = {} if encodable(self.file) else PLAIN_SIGNS
        blanks: list[Segment] = []
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
                continue
            for number, line in enumerate(segment.text.split("\n")):
                if number:
                    blanks.clear()
                    yield Segment.line()
                shown = inert(line, limit=MAX_SEGMENT).translate(table)
                if kept := shown.rstrip(" "):
                    yield from blanks
                    blanks.clear()
                    yield Segment(kept, segment.style)
                if len(kept) < len(shown):
                    blanks.append(Segment(shown[len(kept) :], segment.style))
        yield from blanks

    def print(self, *objects: Any, **options: Any) -> None:  # noqa: ANN401  # rich's own signature
        """As rich prints.

        Raises:
            OutputError: the stream cannot be written.
        """
        try:
            super().print(*objects, **options)
        except OSError as error:
            raise OutputError(error) from error

    def on_broken_pipe(self) -> None:
        """A reader that has gone is told like any other output that cannot be written; rich would exit with 1."""
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


def _width() -> int | None:
    """Columns of standard output; None leaves it to the terminal."""
    asked = os.environ.get("COLUMNS", "")
    if asked.isdecimal() and len(asked) < len(str(WIDTHS.stop)) and int(asked) in WIDTHS:
        return int(asked)
    return None if sys.stdout is not None and sys.stdout.isatty() else PIPED_WIDTH


console = InertConsole(highlight=False, width=_width())
errors = InertConsole(stderr=True, highlight=False)

Parameters = ParamSpec("Parameters")


def mark(tier: Tier) -> Text:
    """A tier as a sign and a word; colour only repeats it."""
    text, style = MARKS[tier]
    return Text(signed(text), style=style)


def counted(count: int, one: str, many: str = "") -> str:
    """`1 finding`, `2 findings`; many: the plural, where it is more than an s."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def place(at: Pointer) -> str:
    """A pointer in words: `PCR 8, event 42`."""
    parts = [
        f"PCR {at.pcr}" if at.pcr is not None else "",
        f"event {at.event}" if at.event is not None else "",
        f"entry {at.entry}" if at.entry is not None else "",
        at.bank or "",
    ]
    return ", ".join(part for part in parts if part) or NO_PLACE


def reason(finding: Finding) -> str:
    """Why a finding says what it says, and by which named exception it passes all the same."""
    return finding.why + (f" (waived: {inert(finding.waiver)})" if finding.waiver else "")


def urgency(tier: Tier) -> int:
    """Rank for a list that people read from its top: what happened before what is only not known."""
    return (Tier.CONTRAINDICATED, Tier.WARNING, Tier.NONE, Tier.AFFIRMING).index(tier)


def findings_table(findings: Iterable[Finding], *, affirming: bool) -> Table:
    """Findings, the worst first; affirming ones only on request. On a narrow screen the place follows the reason."""
    narrow = console.width < NARROW
    table = Table(box=None, pad_edge=False, show_edge=False, header_style="bold")
    for name in ("tier", "check") if narrow else ("tier", "check", "where"):
        table.add_column(name, no_wrap=True)
    table.add_column("why", overflow="fold")
    for finding in sorted(findings, key=lambda finding: urgency(finding.tier)):
        if finding.tier is not Tier.AFFIRMING or affirming:
            where, why = place(finding.at), reason(finding)
            said = (f"{why} [{where}]" if where != NO_PLACE else why,) if narrow else (where, why)
            table.add_row(mark(finding.tier), Text(finding.id), *map(Text, said))
    return table


def print_json(document: Mapping[str, Any]) -> None:
    """One document on standard output, nothing else; ASCII, so that no terminal is steered by it.

    Raises:
        OutputError: standard output cannot be written.
    """
    if sys.stdout is None:
        return
    try:
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
        sys.stdout.flush()
    except OSError as error:
        raise OutputError(error) from error


def reporting(command: Callable[Parameters, int]) -> Callable[Parameters, None]:
    """Turn a command's return value into the exit code, and the error tree into words or a JSON document."""

    @wraps(command)
    def wrapped(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        try:
            try:
                code = command(*args, **kwargs)
            except (SenderError, PolicyError, ConfigError, DeclinedError, ConnectorError) as error:
                code = _tell(error, as_json=bool(kwargs.get("as_json")))
            except OSError as error:
                code = _tell(_of_system(error), as_json=bool(kwargs.get("as_json")))
        except OutputError as error:
            code = give_up(error)
        raise typer.Exit(code)

    return wrapped


KINDS: Mapping[type[Exception], tuple[str, int]] = {
    DecodeError: ("decode", REFUSED),
    VerifyError: ("verify", BAD),
    PolicyError: ("policy", REFUSED),
    ConfigError: ("config", REFUSED),
    DeclinedError: ("service", REFUSED),
    ConnectorError: ("outside", OUTSIDE),
}


def _of_system(error: OSError) -> ConfigError | ConnectorError:
    """What the operating system refused, as the one at fault: a peer that went away, or a path that was given."""
    said = error.strerror or type(error).__name__
    if isinstance(error, (ConnectionError, TimeoutError)):
        return ConnectorError(f"connection: {said}")
    path = os.fsdecode(error.filename) if isinstance(error.filename, (str, bytes)) else "a file"
    return ConfigError(f"{path}: cannot be read or written: {said}")


def _tell(error: Exception, *, as_json: bool) -> int:
    kind, code = KINDS[type(error)]
    detail: dict[str, Any] = {"kind": kind, "what": str(error), "why": str(error)}
    if isinstance(error, DecodeError):
        detail = {"kind": kind, "what": error.what, "offset": error.offset, "why": error.why}
    elif isinstance(error, VerifyError):
        detail = {"kind": kind, "what": error.check, "why": error.why}
    elif isinstance(error, DeclinedError):
        detail = {"kind": kind, "what": error.what, "why": error.why, "status": error.status}
        detail |= {"errors": list(error.errors), "advice": error.advice}
    if as_json:
        print_json({"error": detail})
    else:
        word = "judged bad" if code == BAD else "outside failure" if code == OUTSIDE else "refused"
        _say(word, str(error))
    return code


def _say(word: str, why: str) -> None:
    said = inert(why, limit=MAX_ERROR)
    errors.print(Text(f"{word}: ", style="bold red").append(said, style="default"), soft_wrap=True)


def give_up(error: OutputError) -> int:
    """The exit code when nothing more can be written; what is still buffered goes nowhere, also when Python ends."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if not error.broken:
        with suppress(OutputError):
            _say("outside failure", str(error))
    return READER_GONE if error.broken else OUTSIDE
