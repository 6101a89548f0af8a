"""Writes the pages that follow from code and data: checks, posture, frameworks, cli, boots. `--check` compares."""

import argparse
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

sys.path.insert(0, str(Path(__file__).parents[1]))

from bartizan.app.defaults import frameworks, posture_rules
from bartizan.appraise.catalogue import Catalogue, load_checks, load_levels
from bartizan.cli.main import app
from bartizan.model.policy import Check, Level
from bartizan.model.posture import Profile, Rule, Terms
from testbed.report import measured_boots

ROOT = Path(__file__).parents[1]
DATA = ROOT / "src" / "bartizan" / "data"
REFERENCE = ROOT / "docs" / "reference"

CHECKS_OPENING = """\
# Checks

Every finding names one of these. Written by `make docs` from `src/bartizan/data/checks/`; do not edit it here.

*Anchor* says what vouches for the finding: `tpm` (a PCR in a verified quote), `signed` (a certificate), `agent` (the
node's own word). *Level* names the rungs of the ladder that need the check.
"""


def needed_for(check: str, levels: tuple[Level, ...]) -> str:
    """The rungs that look at a check."""
    rungs = []
    for level in levels:
        options = (name for option in level.any_of for name in option)
        if check in {*level.affirming, *level.warning, *level.breaks, *level.contradicts, *options}:
            rungs.append(f"{level.number} ({level.name})")
    return ", ".join(rungs) or "none"


def section(check: Check, levels: tuple[Level, ...]) -> Iterator[str]:
    """One check's lines."""
    yield f"\n### `{check.id}`\n"
    yield f"{check.title}\n"
    yield f"Claim `{check.claim}`, anchor `{check.anchor}`, level {needed_for(check.id, levels)}.\n"
    yield f"- **Why:** {check.why}"
    yield f"- **Impact:** {check.impact}"
    yield f"- **Fix:** {check.fix}"
    if check.references:
        yield f"- **References:** {'; '.join(check.references)}"


def checks_page(texts: dict[str, str], catalogue: Catalogue, levels: tuple[Level, ...]) -> str:
    """The page of all checks, by family."""
    lines = [CHECKS_OPENING.rstrip()]
    for source in sorted(texts):
        lines.append(f"\n## {Path(source).stem.replace('_', ' ').capitalize()}")
        for check in load_checks({source: texts[source]}):
            lines += section(catalogue[check], levels)
    return "\n".join(lines) + "\n"


POSTURE_OPENING = """\
# Posture rules

What `bartizan posture` looks at. Written by `make docs` from `src/bartizan/data/posture/`; do not edit it here.

All of it is the machine's own word (anchor `agent`): it shows what is misconfigured, not what a hostile root hides. In
evidence whose measurements agree, some of it has the anchor `tpm`; such rules say so.
What cannot be read is *unknown* (tier `none`) and never passes; a rule without a subject on the machine is left out,
with the reason. A broken rule is a warning or contraindicated, depending on its severity and on the profile:
`baseline`, `high-performance` (huge pages, DPDK, SMT) or `confidential`. [How to use it](../how-to/harden-a-host.md).
"""


def in_profile(terms: Terms) -> str:
    """How a rule counts in one profile."""
    if not terms.applies:
        return "not asked for"
    return terms.broken.value + (f", accepts {', '.join(terms.accepts)}" if terms.accepts else "")


def posture_section(rule: Rule) -> Iterator[str]:
    """One rule's lines."""
    yield f"\n### `{rule.id}`\n"
    yield f"{rule.title}\n"
    yield f"Severity {rule.severity.value}, claim `{rule.claim.value}`, anchor `{rule.anchor.value}`.\n"
    if rule.part is not None:
        yield f"- **Part of the fence:** {rule.part.value}, of each {' and '.join(sorted(rule.kinds))}"
    yield f"- **Reads:** {', '.join(f'`{path}`' for path in rule.reads)}"
    yield f"- **Secure:** {rule.secure}"
    yield f"- **When broken:** {'; '.join(f'{p.value}: {in_profile(rule.terms[p])}' for p in Profile)}"
    yield f"- **Why:** {rule.why}"
    yield f"- **Impact:** {rule.impact}"
    yield f"- **Fix:** {rule.fix}"
    if rule.vouched_by is not None:
        yield f"- **Vouched for by the TPM** where {rule.vouched_by.value} was measured and agrees"
    yield f"- **References:** {'; '.join(rule.references)}"
    named = (f"{framework.value} {', '.join(some)}" for framework, some in rule.frameworks.items())
    yield f"- **[Requirements](frameworks.md):** {'; '.join(named)}"


FRAMEWORKS_OPENING = """\
# Requirements of others

Which posture rule looks at which requirement. Written by `make docs` from `src/bartizan/data/posture/` and
`src/bartizan/data/frameworks/`; do not edit it here. `bartizan posture --report anuket` (or `cis`, `stig`, `anssi`,
`hsi`, `vector`) says how one node or a fleet stands. A mapping says that a rule looks at what the requirement is about,
not that it covers all of it.
"""


def frameworks_page() -> str:
    """The page of all frameworks, with the rules that look at each requirement."""
    lines = [FRAMEWORKS_OPENING.rstrip()]
    for framework, text in frameworks().items():
        lines += [f"\n## {text.name} (`{framework.value}`)\n", f"Source: {text.source}.\n"]
        lines += ["| requirement | says | rules |", "|---|---|---|"]
        for one in text.requirements:
            rules = [rule.id for rule in posture_rules().values() if one.id in rule.frameworks.get(framework, ())]
            says = one.text + ("" if one.must else " (should)")
            linked = ", ".join(f"[{name}](posture.md#{name.lower()})" for name in rules) or "no rule of the posture"
            lines.append(f"| {one.id} | {says} | {linked} |")
    return "\n".join(lines) + "\n"


def posture_page() -> str:
    """The page of all posture rules, by area."""
    lines = [POSTURE_OPENING.rstrip()]
    area = ""
    for rule in posture_rules().values():
        if rule.area != area:
            area = rule.area
            lines.append(f"\n## {area[0].upper()}{area[1:]}")
        lines += posture_section(rule)
    return "\n".join(lines) + "\n"


CLI_OPENING = """\
# Command line

Written by `make docs` from the program itself; do not edit it here.

| exit status | means |
|---|---|
| 0 | good |
| 1 | judged bad |
| 2 | refused: it cannot be decoded or used, or the command line is wrong |
| 3 | a failure outside: network, TPM, an external program |
| 141 | whoever reads the output has gone, as after `| head` |

With `--json` a command prints [one JSON document](json.md) on standard output and nothing else.
"""


def commands(group: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """Every command below a group with its full name, in the order in which help lists them."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{prefix} {name}")
        else:
            yield f"{prefix} {name}", command


def spelled(parameter: Any) -> str:
    """An argument or option as it is typed."""
    if parameter.param_type_name == "argument":
        return parameter.metavar or parameter.name.upper()
    value = f" {parameter.metavar or 'VALUE'}" if not parameter.is_flag else ""
    return f"{', '.join(parameter.opts)}{value}"


def row(left: str, right: str) -> str:
    """A table row; a bar inside would end its cell."""
    cells = (text.replace("|", "\\|") for text in (f"`{left}`", right))
    return f"| {' | '.join(cells)} |"


def usage(name: str, command: Any) -> str:
    """One line that shows all arguments and options."""
    words = [spelled(p) if p.required else f"[{spelled(p)}]" for p in command.params if p.name != "help"]
    return f"{name} {' '.join(words)}".rstrip()


def cli_page() -> str:
    """The page of all commands."""
    lines = [CLI_OPENING.rstrip()]
    for name, command in commands(typer.main.get_command(app), "bartizan"):
        lines += [f"\n## `{name}`\n", inspect.cleandoc(command.help or ""), "", "```", usage(name, command), "```", ""]
        lines += ["| argument | meaning |", "|---|---|"]
        lines += [
            row(spelled(parameter), parameter.help or "") for parameter in command.params if parameter.name != "help"
        ]
    return "\n".join(lines) + "\n"


def pages() -> dict[Path, str]:
    """Every generated page with the text that it ought to have."""
    texts = {path.name: path.read_text(encoding="utf-8") for path in (DATA / "checks").glob("*.toml")}
    catalogue = load_checks(texts)
    ladder = (DATA / "policies" / "levels.toml").read_text(encoding="utf-8")
    levels = load_levels(ladder, catalogue, source="levels.toml")
    return {
        REFERENCE / "checks.md": checks_page(texts, catalogue, levels),
        REFERENCE / "posture.md": posture_page(),
        REFERENCE / "frameworks.md": frameworks_page(),
        REFERENCE / "cli.md": cli_page(),
        ROOT / "docs" / "explanation" / "measured-boots.md": measured_boots(),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 when a page is out of date")
    compare_only = parser.parse_args().check
    stale = [path for path, text in pages().items() if not path.is_file() or path.read_text(encoding="utf-8") != text]
    for path in stale:
        print(f"{path.relative_to(ROOT)} is out of date: run make docs" if compare_only else f"writing {path}")
        if not compare_only:
            path.write_text(pages()[path], encoding="utf-8")
    return 1 if stale and compare_only else 0


if __name__ == "__main__":
    sys.exit(main())
