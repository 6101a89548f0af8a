"""A result brought up to date after known files only: nothing is judged again but what came since.

It never raises or lowers a tier, so level and vector stay. Where anything else than a file of the Reference Values was
measured, it answers None and the whole evidence is appraised again (`engine.appraise`). A check whose finding changes
with ordinary entries has to be said anew here; `test_attest_again_properties` finds one that is forgotten.
"""

from collections.abc import Iterator
from dataclasses import replace

from bartizan.appraise.checks.ima import coverage, list_present, shown
from bartizan.appraise.context import Context
from bartizan.appraise.measured import LookedUp, Tally, all_known
from bartizan.model.evidence import VerifiedIma
from bartizan.model.result import AttestationResult, Finding, Tier

KNOWN_FILES, REPLAYS, PENDING = "ima.known-files", "ima.replays", "ima.pending"


def appraise_further(
    context: Context, result: AttestationResult, further: LookedUp | None, *, counted: Tally | None
) -> AttestationResult | None:
    """The result after further entries, which the quote in `context` covers and the one behind `result` did not.

    further: these entries looked up, None if there are none; counted: the tally of all files of the list, these too,
    where the result says that all are known.
    """
    ima = context.evidence.ima
    if ima is None or ima.matched is None or (further is not None and further.unfamiliar):
        return None
    by_check: dict[str, list[Finding]] = {}
    for finding in result.findings:
        by_check.setdefault(finding.id, []).append(finding)
    named = {finding.at.path for finding in by_check.get("ima.violations", ())} - {None}
    if named and further is not None and not named.isdisjoint(map(shown, further.columns.paths)):
        return None  # what is measured after a violation may tell its kind
    said = dict(_counted(context, ima))
    if counted is not None:
        why = all_known(counted, generated=len(by_check.get("ima.generated-files", ())))
        said[KNOWN_FILES] = [replace(finding, why=why) for finding in by_check.get(KNOWN_FILES, ())]
    if any(len(by_check.get(check, ())) != 1 for check in said):
        return None
    return replace(result, findings=tuple(_replaced(result.findings, said)))


def says_all_known(result: AttestationResult) -> bool:
    """The result counts the files, since all of them are known."""
    return any(finding.id == KNOWN_FILES and finding.tier is Tier.AFFIRMING for finding in result.findings)


def _counted(context: Context, ima: VerifiedIma) -> Iterator[tuple[str, list[Finding]]]:
    """The findings that state how long the list is, by check; `ima.pending` stands behind that of the replay."""
    yield REPLAYS, [finding for finding in ima.findings if finding.id in (REPLAYS, PENDING)]
    yield "ima.list-present", list(list_present(context))
    for finding in coverage(context):
        yield finding.id, [finding]


def _replaced(findings: tuple[Finding, ...], said: dict[str, list[Finding]]) -> Iterator[Finding]:
    """Findings with those of some checks said anew in their place, waived as they were."""
    for finding in findings:
        anew = said.get(finding.id)
        if anew is not None:
            yield replace(anew[0], tier=finding.tier, waiver=finding.waiver) if finding.waiver else anew[0]
            yield from anew[1:]
        elif finding.id != PENDING:
            yield finding
