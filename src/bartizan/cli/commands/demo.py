"""`bartizan demo`: the main job, live, told as it happens."""

import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from bartizan.app.demo.story import Said, Step, play
from bartizan.cli.console import BAD, GOOD, NO_PLACE, console, place, print_json, reporting, signed
from bartizan.cli.options import AsJson
from bartizan.formats.inert import inert
from bartizan.formats.result_json import finding_document

MAX_COMMAND = 8192
"""Characters of a command that is shown for copying."""


@reporting
def demo(
    keep: Annotated[
        Path | None,
        typer.Option("--keep", help="Leave evidence, CAs and Reference Values here, for `appraise`.", metavar="DIR"),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Enrol six machines with emulated TPMs, update a kernel, run the attacks, and say what caught each.

    Needs swtpm; no network, under a minute. Exit: 0 everything came out as it must, 1 not, 3 no swtpm.
    """
    begun = time.monotonic()
    steps: list[Step] = []
    for event in play(keep):
        if isinstance(event, Step):
            steps.append(event)
        if not as_json:
            _tell(event)
    good = all(step.as_expected for step in steps)
    seconds = time.monotonic() - begun
    if as_json:
        print_json({"good": good, "seconds": round(seconds, 1), "steps": [_step_document(step) for step in steps]})
    else:
        _sum_up(steps, seconds=seconds, keep=keep)
    return GOOD if good else BAD


def _step_document(step: Step) -> dict[str, Any]:
    return {
        "name": step.name,
        "what": step.what,
        "attack": step.attack,
        "as_expected": step.as_expected,
        "level": step.result.level,
        "contraindicated": step.result.contraindicated,
        "finding": finding_document(step.sentence) if step.sentence else None,
        "milliseconds": round(step.judged.milliseconds, 2),
        "one_bit_2016": "trusted" if step.judged.one_bit else "untrusted",
    }


def _tell(event: Said | Step) -> None:
    if isinstance(event, Said):
        if event.title:
            console.print()
            console.print(Text(event.text, style="bold cyan"))
        else:
            console.print(Padding(Text(event.text, style="dim"), (0, 0, 0, 2)))
        return
    result = event.result
    line = Text("  ")
    line.append(f"{event.name}: " if event.attack or " " in event.name else f"{event.name:<13}", style="bold")
    line.append(f"{event.what}  ")
    console.print(line)
    verdict = Text(signed("    → "))
    name = next((rung.name for rung in result.ladder if rung.number == result.level), "unattested")
    verdict.append(f"level {result.level} {name}", style="green" if not event.attack else "bold")
    if result.level:
        rungs = " ".join(
            f"{rung.number}{signed('✔' if rung.holds else '✘')}" for rung in result.ladder if rung.assessed
        )
        verdict.append(f"  ({rungs})", style="dim")
    if result.contraindicated:
        verdict.append(signed(", ✘ contraindicated"), style="bold red")
    if not event.as_expected:
        verdict.append("  NOT AS EXPECTED", style="bold white on red")
    console.print(verdict)
    if event.sentence is not None:
        at = f" [{place(event.sentence.at)}]" if event.sentence.at.pcr is not None else ""
        console.print(Padding(Text(f"{event.sentence.why}{at}"), (0, 0, 0, 6)))
    if event.attack:
        bit = signed("trusted ✘ not noticed") if event.judged.one_bit else "untrusted"
        console.print(Padding(Text(f"2016's one bit: {bit}", style="dim"), (0, 0, 0, 6)))


def _sum_up(steps: Sequence[Step], *, seconds: float, keep: Path | None) -> None:
    console.print()
    console.print(Text("What caught what", style="bold cyan"))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("attack", "caught?", "by", "level", "ms", "2016's one bit"):
        whole = name not in {"attack", "2016's one bit"}
        table.add_column(name, no_wrap=whole, overflow="fold", justify="right" if name == "ms" else "left")
    attacks = [step for step in steps if step.attack]
    for step in attacks:
        answer = Text(signed("✔ yes"), style="green") if step.as_expected else Text(signed("✘ NO"), style="bold red")
        by = step.sentence.id if step.sentence else NO_PLACE
        bit = Text("trusted", style="red") if step.judged.one_bit else Text("untrusted")
        table.add_row(step.name, answer, by, str(step.result.level), f"{step.judged.milliseconds:.1f}", bit)
    console.print(table)
    caught = sum(step.as_expected for step in attacks)
    unseen = sum(bool(step.judged.one_bit) for step in attacks)
    console.print()
    console.print(
        Text(
            f"{caught} of {len(attacks)} attacks caught; the one-bit check would have called {unseen} of them trusted,"
            f" and looked at none after scheduling. {seconds:.0f} s in all."
        )
    )
    _next(keep)


def _next(keep: Path | None) -> None:
    console.print(Text("Next:", style="bold"))
    if keep is None:
        console.print(Text("  bartizan demo --keep DIR      leaves the evidence for a closer look"))
    else:
        for command, name in (("explain", "tampered-file"), ("appraise", "compute-3")):
            rest = ("--roots", f"{keep}/roots", "--reference", f"{keep}/reference", "--policy", f"{keep}/policy.toml")
            words = shlex.join(["bartizan", command, f"{keep}/evidence/{name}", *rest])
            console.print(Text(f"  {inert(words, limit=MAX_COMMAND)}"), soft_wrap=True)
    own = "  bartizan log /sys/kernel/security/tpm0/binary_bios_measurements   this machine's own boot log"
    console.print(Text(own), soft_wrap=True)
