"""`bartizan demo`: the main job, live, told as it happens."""

import shlex
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from bartizan.app.demo.live import KNOWN_CODE, Scene, Standing, play_live
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
    stay: Annotated[
        bool | None,
        typer.Option("--stay/--no-stay", help="Leave the service up at the end, to look around; so at a terminal."),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """The main job, live: machines with emulated TPMs, eight attacks, then the service with agents, killed and paused.

    Needs swtpm; no network, about a minute. At a terminal the service then stays up until Ctrl-C, and says where to
    look. Exit: 0 everything came out as it must, 1 not, 3 no swtpm.
    """
    begun = time.monotonic()
    steps: list[Step] = []
    for event in play(keep):
        if isinstance(event, Step):
            steps.append(event)
        if not as_json:
            _tell(event)
    if not as_json:
        _sum_up(steps)
    scenes = _live(begun, stays=(sys.stdout.isatty() if stay is None else stay) and not as_json, quiet=as_json)
    good = all(step.as_expected for step in steps) and all(scene.as_expected for scene in scenes)
    seconds = time.monotonic() - begun
    if as_json:
        shown = {"steps": [_step_document(step) for step in steps], "scenes": [_scene_document(one) for one in scenes]}
        print_json({"good": good, "seconds": round(seconds, 1)} | shown)
    else:
        _next(keep)
    return GOOD if good else BAD


def _live(begun: float, *, stays: bool, quiet: bool) -> list[Scene]:
    """The service's half of the demonstration."""
    scenes: list[Scene] = []

    def stay(standing: Standing) -> None:
        _sum_up_scenes(scenes, seconds=time.monotonic() - begun)
        if stays:
            _show_where_to_look(standing)
            with suppress(KeyboardInterrupt):
                threading.Event().wait()

    for event in play_live(stay=None if quiet else stay):
        if isinstance(event, Scene):
            scenes.append(event)
        if not quiet:
            _tell_live(event)
    return scenes


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


def _scene_document(scene: Scene) -> dict[str, Any]:
    return {
        "name": scene.name,
        "what": scene.what,
        "as_expected": scene.as_expected,
        "sentence": scene.sentence,
        "seconds": round(scene.seconds, 2),
        "nodes": [{"name": node.name, "level": node.level, "state": node.state} for node in scene.nodes],
    }


def _say(said: Said) -> None:
    if said.title:
        console.print()
        console.print(Text(said.text, style="bold cyan"))
    else:
        console.print(Padding(Text(said.text, style="dim"), (0, 0, 0, 2)))


def _tell_live(event: Said | Scene) -> None:
    if isinstance(event, Said):
        _say(event)
        return
    line = Text()
    line.append(f"{event.name}: ", style="bold")
    line.append(event.what)
    line.append(f"  ({event.seconds:.1f} s)", style="dim")
    console.print(Padding(line, (0, 0, 0, 2)))
    verdict = Text(signed("→ "))
    for node in event.nodes:
        style = "bold red" if node.level < KNOWN_CODE or node.state != "fresh" else "green"
        verdict.append(f"{node.name} level {node.level}, {node.state}", style=style)
        verdict.append("   ")
    if not event.as_expected:
        verdict.append("NOT AS EXPECTED", style="bold white on red")
    console.print(Padding(verdict, (0, 0, 0, 4)))
    console.print(Padding(Text(event.sentence), (0, 0, 0, 6)))


def _sum_up_scenes(scenes: Sequence[Scene], *, seconds: float) -> None:
    good = sum(scene.as_expected for scene in scenes)
    console.print()
    console.print(Text(f"{good} of {len(scenes)} scenes came out as they must; {seconds:.0f} s in all."))


def _show_where_to_look(standing: Standing) -> None:
    console.print()
    console.print(Text("The service stays up. In another terminal:", style="bold"))
    for words in ("node list --watch", "node findings compute-2", "node history compute-2", "gap", "alarm list"):
        console.print(Text(f"  bartizan {words} --data {shlex.quote(str(standing.data))}"), soft_wrap=True)
    console.print(Text(f"  its address is {standing.url}. Ctrl-C ends it.", style="dim"), soft_wrap=True)


def _tell(event: Said | Step) -> None:
    if isinstance(event, Said):
        _say(event)
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


def _sum_up(steps: Sequence[Step]) -> None:
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
            " and looked at none after scheduling."
        )
    )


def _next(keep: Path | None) -> None:
    console.print()
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
