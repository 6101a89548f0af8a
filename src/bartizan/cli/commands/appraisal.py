"""`bartizan appraise` and `explain`: a whole evidence folder, as a verdict or in sentences."""

import shlex
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from bartizan.app.attest_node import Outcome
from bartizan.app.chain import Link, chain_of
from bartizan.app.defaults import catalogue
from bartizan.app.issue_ear import issue_ear
from bartizan.app.judge_folder import Sources, judge_folder
from bartizan.cli.console import BAD, GOOD, console, counted, findings_table, print_json, reporting
from bartizan.cli.documents import link_document
from bartizan.cli.options import AsJson, EvidenceDir, PolicyFile, ReferenceDirs, ReferenceKeys, RootsDir, ShowAll
from bartizan.cli.verdict import (
    breaking_first,
    show_confinement,
    show_explanations,
    show_ladder,
    show_links,
    show_vector,
    verdict_line,
)
from bartizan.formats.inert import inert
from bartizan.formats.result_json import result_document
from bartizan.model.result import AttestationResult, Tier

DEFAULT_LEVEL = 4
MAX_LEVEL = 6
Require = Annotated[
    int,
    typer.Option("--require", min=0, max=MAX_LEVEL, help="The level below which the exit code is 1.", metavar="LEVEL"),
]


MAX_COMMAND = 8192
"""Characters of a command that is shown for copying."""


def _sources(
    *, policy: Path | None, reference: list[Path] | None, keys: list[Path] | None, roots: Path | None
) -> Sources:
    return Sources(policy=policy, reference=tuple(reference or ()), reference_keys=tuple(keys or ()), roots=roots)


def _judge(folder: Path, sources: Sources) -> Outcome:
    return judge_folder(folder, sources, now=datetime.now(UTC))


def _explain_command(folder: Path, sources: Sources) -> str:
    """`bartizan explain` with the same rules, ready to be run."""
    options: Iterable[tuple[str, Path | None]] = (
        ("--policy", sources.policy),
        *(("--reference", path) for path in sources.reference),
        *(("--reference-key", path) for path in sources.reference_keys),
        ("--roots", sources.roots),
    )
    given = [word for name, path in options if path is not None for word in (name, str(path))]
    return inert(shlex.join(["bartizan", "explain", str(folder), *given]), limit=MAX_COMMAND)


def _exit_code(result: AttestationResult, require: int) -> int:
    return BAD if result.contraindicated or result.level < require else GOOD


def _links(outcome: Outcome) -> tuple[Link, ...]:
    return chain_of(outcome.verified, outcome.result.findings) if outcome.verified else ()


@reporting
def appraise(
    folder: EvidenceDir,
    policy: PolicyFile = None,
    reference: ReferenceDirs = None,
    reference_key: ReferenceKeys = None,
    roots: RootsDir = None,
    require: Require = DEFAULT_LEVEL,
    ear: Annotated[
        Path | None, typer.Option("--ear", help="Write the result as a signed EAR token.", metavar="FILE")
    ] = None,
    ear_key: Annotated[
        Path | None,
        typer.Option(
            "--ear-key", help="EC P-256 private key (PEM) to sign with; without it a one-time key.", metavar="FILE"
        ),
    ] = None,
    show_all: ShowAll = False,
    as_json: AsJson = False,
) -> int:
    """Verify and appraise a recorded attestation: level, trust vector, findings.

    Exit: 0 good, 1 below the required level or contraindicated, 2 nothing to appraise.
    """
    sources = _sources(policy=policy, reference=reference, keys=reference_key, roots=roots)
    outcome = _judge(folder, sources)
    result = outcome.result
    if ear is not None:
        issued = issue_ear(result, ear, key=ear_key, subject=folder.resolve().name, now=datetime.now(UTC))
        if not as_json:
            said = f"signed result in {issued.token}, its public key in {issued.keys}"
            console.print(Text(inert(said, limit=MAX_COMMAND)))
    if as_json:
        print_json(result_document(result))
        return _exit_code(result, require)
    console.print(verdict_line(result, folder=folder, verified=outcome.verified is not None))
    console.print()
    show_ladder(result)
    show_confinement(result.confinement)
    show_vector(result)
    console.print(findings_table(breaking_first(result), affirming=show_all))
    if not show_all:
        passed = sum(finding.passes for finding in result.findings)
        if passed:
            console.print(Text(f"{counted(passed, 'finding')} in order (--all shows them)", style="dim"))
        console.print(Text(f"what to do: {_explain_command(folder, sources)}", style="dim"), soft_wrap=True)
    return _exit_code(result, require)


@reporting
def explain(
    folder: EvidenceDir,
    policy: PolicyFile = None,
    reference: ReferenceDirs = None,
    reference_key: ReferenceKeys = None,
    roots: RootsDir = None,
    require: Require = DEFAULT_LEVEL,
    as_json: AsJson = False,
) -> int:
    """Say in sentences who measured whom, what broke the chain, what vouches for it, and what would mend it.

    Exit codes are those of `appraise`.
    """
    sources = _sources(policy=policy, reference=reference, keys=reference_key, roots=roots)
    outcome = _judge(folder, sources)
    result, links = outcome.result, _links(outcome)
    if as_json:
        document: dict[str, Any] = result_document(result)
        document["chain"] = [link_document(link) for link in links]
        document["explanations"] = {
            check: {
                "title": said.title,
                "why": said.why,
                "impact": said.impact,
                "fix": said.fix,
                "references": said.references,
            }
            for check in dict.fromkeys(finding.id for finding in result.findings if finding.tier is not Tier.AFFIRMING)
            if (said := catalogue()[check])
        }
        print_json(document)
        return _exit_code(result, require)
    console.print(verdict_line(result, folder=folder, verified=outcome.verified is not None))
    console.print()
    show_links(links)
    show_ladder(result)
    show_explanations(result, catalogue())
    return _exit_code(result, require)
