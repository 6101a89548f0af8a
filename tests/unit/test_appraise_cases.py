"""Every check affirms where it should and fails in every way it can; one change makes one check answer otherwise."""

from pathlib import Path

import pytest

from bartizan.app.defaults import catalogue, checks
from bartizan.model.result import Tier
from tests.unit import cases_boot, cases_identity, cases_ima, cases_platform, cases_recognised
from tests.unit.appraise_cases import ANYTHING, Case, baseline, changed

TABLES = (cases_identity, cases_boot, cases_platform, cases_recognised, cases_ima)
CASES: dict[str, Case] = {name: case for table in TABLES for name, case in table.CASES.items()}
CHECKS = {case.check for case in CASES.values()}

SILENT_WHEN_GOOD = frozenset(
    {
        *("boot.digest", "boot.separator", "boot.look-alike", "boot.order", "boot.after-exit", "boot.locality"),
        *("platform.dma-protection", "secure-boot.sbat-level", "secure-boot.revocation-data"),
        *("ima.template-digest", "ima.list-form", "ima.changed-file", "ima.blind-spots"),
        *("quote.selection", "quote.pcr-digest", "quote.clock"),
    }
)
"""Checks of which an appraisal says nothing while they hold."""
NEVER_BAD = frozenset({"ima.pending"})
SAID_OF_EACH_PART = frozenset({"boot.other-bank", "ima.other-bank"})
"""Checks that answer for several things at once, one by one."""


def test_no_case_hides_another_of_its_name() -> None:
    assert len(CASES) == sum(len(table.CASES) for table in TABLES)


@pytest.mark.parametrize("name", CASES)
def test_the_check_says_it_once_for_the_right_reason_at_the_right_place(name: str) -> None:
    case = CASES[name]
    found = case.findings()
    first = found[0]

    assert len(found) == case.count
    assert any(case.says in finding.why for finding in found)
    index = first.at.event if first.at.event is not None else first.at.entry
    assert (first.at.pcr, index, first.at.path) == case.at


@pytest.mark.parametrize("name", CASES)
def test_the_machine_reaches_the_level_that_is_left(name: str) -> None:
    case = CASES[name]
    result = case.result()

    assert result.level == case.level
    assert result.contraindicated is any(finding.tier is Tier.CONTRAINDICATED for finding in result.findings)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.check not in SAID_OF_EACH_PART])
def test_a_check_does_not_affirm_what_it_also_doubts(name: str) -> None:
    case = CASES[name]
    answers = {finding.tier for finding in case.result().findings if finding.id == case.check}

    assert answers == {case.tier}


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.also != ANYTHING])
def test_one_change_makes_no_other_check_answer_otherwise(name: str) -> None:
    case = CASES[name]

    assert changed(case.result()) - {case.check} == case.also - {case.check}


@pytest.mark.parametrize("name", CASES)
def test_a_finding_carries_the_claim_and_anchor_of_its_description(name: str) -> None:
    for finding in CASES[name].result().findings:
        described = catalogue()[finding.id]

        assert (finding.claim.value, finding.anchor.value) == (described.claim, described.anchor)


def test_every_check_of_these_tables_affirms_somewhere() -> None:
    affirmed = {finding.id for finding in baseline().findings if finding.tier is Tier.AFFIRMING}
    affirmed |= {case.check for case in CASES.values() if case.tier is Tier.AFFIRMING}

    assert CHECKS - affirmed == SILENT_WHEN_GOOD
    assert not affirmed & SILENT_WHEN_GOOD


def test_every_check_of_these_tables_fails_somewhere() -> None:
    assert CHECKS - {case.check for case in CASES.values() if case.tier is not Tier.AFFIRMING} == NEVER_BAD


def test_every_check_of_the_catalogue_is_exercised_here_or_named_by_another_test() -> None:
    tests = (path for path in Path(__file__).parents[1].rglob("test_*.py") if path != Path(__file__))
    texts = [path.read_text("utf-8") for path in tests]

    assert [check for check in sorted(checks().keys() - CHECKS) if not any(check in text for text in texts)] == []


def test_the_good_machine_is_known_code() -> None:
    result = baseline()

    assert (result.level, result.contraindicated, result.state.value) == (4, False, "fresh")
    assert {finding.id for finding in result.findings if not finding.passes} == {
        "identity.activation",
        "platform.first-step",
        "ima.blind-spots",
    }
