"""The ladder: each rung's needs taken away one by one; the rung falls, and names what it lacks and nothing else."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from bartizan.app.defaults import catalogue, levels
from bartizan.appraise.engine import fold
from bartizan.appraise.levels import climb
from bartizan.model.policy import Level
from bartizan.model.result import Anchor, AttestationResult, Claim, Finding, State, Tier
from tests.unit.appraise_cases import baseline


def finding(check: str, tier: Tier, waiver: str = "") -> Finding:
    described = catalogue()[check]
    claim, anchor = Claim(described.claim), Anchor(described.anchor)
    return Finding(id=check, claim=claim, tier=tier, why="because", anchor=anchor, waiver=waiver)


CONFINED = tuple(finding(f"posture.{check}", Tier.AFFIRMING) for check in ("binding", "host", "workloads"))
GOOD = (*baseline().findings, *CONFINED)
STATIC, LAUNCH = levels()[2].any_of


def without(*checks: str) -> tuple[Finding, ...]:
    return tuple(some for some in GOOD if some.id not in checks)


def reached(findings: Iterable[Finding]) -> tuple[int, dict[int, tuple[str, ...]]]:
    """The level, and for each rung that does not hold what it lacks."""
    level, rungs = climb(levels(), tuple(findings))
    return level, {rung.number: rung.missing for rung in rungs if rung.assessed and not rung.holds}


def test_the_good_machine_climbs_to_the_last_rung_that_is_assessed() -> None:
    level, rungs = climb(levels(), GOOD)

    assert level == 5
    assert [(rung.number, rung.holds, rung.assessed) for rung in rungs] == [
        *((number, True, True) for number in (1, 2, 3, 4, 5)),
        (6, False, False),
    ]
    assert [rung.name for rung in rungs] == [
        "identified",
        "consistent",
        "recognised",
        "known code",
        "confined",
        "linked",
    ]


def test_nothing_known_is_level_0_and_every_need_is_missing() -> None:
    level, missing = reached(())

    assert level == 0
    assert set(missing[1]) == set(levels()[0].affirming)


AFFIRMING = [(level.number, check) for level in levels() for check in level.affirming]
ENOUGH_TO_WARN = [(level.number, check) for level in levels() for check in level.warning]
BREAKS = [(level.number, check) for level in levels() for check in level.breaks]
CONTRADICTS = [(level.number, check) for level in levels() for check in level.contradicts]
WORSE = (Tier.WARNING, Tier.NONE, Tier.CONTRAINDICATED)


@pytest.mark.parametrize(("number", "check"), [*AFFIRMING, *ENOUGH_TO_WARN])
def test_a_need_that_nobody_speaks_of_is_missing(number: int, check: str) -> None:
    assert reached(without(check)) == (number - 1, {number: (check,)})


@pytest.mark.parametrize(("number", "check"), [*AFFIRMING, *BREAKS])
@pytest.mark.parametrize("tier", WORSE)
def test_a_need_that_does_not_affirm_breaks_its_rung_alone(number: int, check: str, tier: Tier) -> None:
    assert reached((*GOOD, finding(check, tier))) == (number - 1, {number: (check,)})


@pytest.mark.parametrize(("number", "check"), BREAKS)
def test_a_check_that_may_be_silent_breaks_nothing_by_silence(number: int, check: str) -> None:
    assert number <= 5
    assert reached(without(check)) == (5, {})


@pytest.mark.parametrize(("number", "check"), ENOUGH_TO_WARN)
def test_a_need_for_which_a_warning_suffices_takes_one_and_no_less(number: int, check: str) -> None:
    assert reached((*without(check), finding(check, Tier.WARNING))) == (5, {})
    for tier in (Tier.NONE, Tier.CONTRAINDICATED):
        assert reached((*without(check), finding(check, tier))) == (number - 1, {number: (check,)})


@pytest.mark.parametrize(("number", "check"), CONTRADICTS)
def test_a_check_that_may_warn_breaks_its_rung_only_when_contraindicated(number: int, check: str) -> None:
    for tier in (Tier.WARNING, Tier.NONE):
        assert reached((*GOOD, finding(check, tier))) == (5, {})
    assert reached((*GOOD, finding(check, Tier.CONTRAINDICATED))) == (number - 1, {number: (check,)})


@pytest.mark.parametrize("check", sorted({*STATIC} - {*LAUNCH}))
def test_without_a_launch_each_part_of_the_static_boot_is_needed(check: str) -> None:
    assert reached((*without(check), finding(check, Tier.WARNING))) == (2, {3: (check,)})


LAUNCHED = (*GOOD, finding("recognised.launch", Tier.AFFIRMING))


@pytest.mark.parametrize("check", sorted({*STATIC} - {*LAUNCH}))
def test_a_recognised_launch_stands_in_for_the_later_parts(check: str) -> None:
    assert reached((*LAUNCHED, finding(check, Tier.WARNING))) == (5, {})


@pytest.mark.parametrize("check", sorted({*STATIC} & {*LAUNCH}))
def test_a_launch_does_not_stand_in_for_the_firmware(check: str) -> None:
    assert reached((*LAUNCHED, finding(check, Tier.WARNING))) == (2, {3: (check,)})


@pytest.mark.parametrize("check", sorted({*LAUNCH} - {*STATIC}))
def test_with_an_unknown_loader_each_part_of_the_launch_is_needed(check: str) -> None:
    broken = (*LAUNCHED, finding("recognised.loader", Tier.WARNING), finding("recognised.command-line", Tier.WARNING))

    assert reached((*broken, finding(check, Tier.WARNING))) == (2, {3: (check,)})


def test_the_alternative_that_lacks_least_is_named() -> None:
    both = (*LAUNCHED, finding("recognised.loader", Tier.WARNING), finding("recognised.launch", Tier.WARNING))
    more = (*both, finding("recognised.boot-files", Tier.WARNING))

    assert reached(both)[1] == {3: ("recognised.loader",)}
    assert reached(more)[1] == {3: ("recognised.launch",)}


def test_where_no_alternative_was_looked_at_the_first_is_named() -> None:
    assert reached(without(*STATIC, *LAUNCH))[1] == {3: STATIC}


def test_a_waived_finding_keeps_nothing_from_holding() -> None:
    for _, check in (*AFFIRMING, *BREAKS):
        assert reached((*GOOD, finding(check, Tier.WARNING, waiver="ticket")))[0] == 5


def test_a_rung_above_one_that_fell_may_hold_but_is_not_reached() -> None:
    level, rungs = climb(levels(), without("boot.log-present"))

    assert level == 1
    assert [rung.holds for rung in rungs[:4]] == [True, False, True, True]


def test_a_rung_that_is_not_assessed_ends_the_ladder() -> None:
    gap = tuple(replace(level, assessed=False) if level.number == 2 else level for level in levels())

    assert climb(gap, GOOD)[0] == 1


def test_the_rung_that_is_not_assessed_needs_nothing_yet() -> None:
    """Whoever switches it on has to say what it needs."""
    level: Level = levels()[5]

    assert not level.assessed
    assert not any((level.affirming, level.warning, level.breaks, level.contradicts, level.any_of))


def test_without_a_posture_the_machine_is_known_code_and_no_more() -> None:
    assert reached(baseline().findings) == (4, {5: ("posture.binding", "posture.host", "posture.workloads")})


def folded(*findings: Finding) -> AttestationResult:
    return fold(findings, levels(), state=State.FRESH, policy="p", reference=None)


def test_the_vector_starts_at_none_and_the_worst_finding_decides_its_claim() -> None:
    assert set(folded().vector.values()) == {Tier.NONE}
    result = folded(finding("recognised.loader", Tier.AFFIRMING), finding("recognised.boot-files", Tier.WARNING))

    assert result.vector[Claim.EXECUTABLES] is Tier.WARNING
    assert {tier for claim, tier in result.vector.items() if claim is not Claim.EXECUTABLES} == {Tier.NONE}


@pytest.mark.parametrize("tier", list(Tier))
def test_one_contraindicated_finding_contraindicates_the_machine(tier: Tier) -> None:
    result = folded(*GOOD, finding("platform.first-step", tier))

    assert result.contraindicated is (tier is Tier.CONTRAINDICATED)
