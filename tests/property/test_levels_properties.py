"""The ladder and the vector: a worse finding raises nothing, order does not matter, a claim is a meet."""

from hypothesis import given, settings
from hypothesis import strategies as st

from bartizan.app.defaults import catalogue, levels
from bartizan.appraise.engine import fold
from bartizan.model.result import Anchor, AttestationResult, Claim, Finding, State, Tier, worst

CHECKS = sorted(catalogue())
ORDER = sorted(Tier, key=lambda tier: tier.order)


@st.composite
def findings(draw: st.DrawFn) -> Finding:
    """A finding of any check, rarely waived."""
    check = catalogue()[draw(st.sampled_from(CHECKS))]
    tier = draw(st.sampled_from(list(Tier)))
    waiver = draw(st.sampled_from(["", "", "", "ticket"])) if tier is Tier.WARNING else ""
    claim, anchor = Claim(check.claim), Anchor(check.anchor)
    return Finding(id=check.id, claim=claim, tier=tier, why="because", anchor=anchor, waiver=waiver)


def affirmed() -> tuple[Finding, ...]:
    """Everything that any rung needs."""
    return tuple(
        Finding(id=check.id, claim=Claim(check.claim), tier=Tier.AFFIRMING, why="", anchor=Anchor(check.anchor))
        for check in catalogue().values()
    )


SETS = st.lists(findings(), max_size=30).map(tuple) | st.lists(findings(), max_size=3).map(
    lambda some: (*affirmed(), *some)
)


def result(some: tuple[Finding, ...]) -> AttestationResult:
    return fold(some, levels(), state=State.FRESH, policy="p", reference=None)


@settings(deadline=None)
@given(some=SETS, more=findings())
def test_a_further_finding_lowers_or_keeps_a_claim_that_was_looked_at(some: tuple[Finding, ...], more: Finding) -> None:
    before, after = result(some), result((*some, more))
    for claim in {finding.claim for finding in some}:
        assert after.vector[claim].order <= before.vector[claim].order


@settings(deadline=None)
@given(some=SETS, data=st.data())
def test_a_worse_finding_never_raises_the_level(some: tuple[Finding, ...], data: st.DataObject) -> None:
    if not some:
        return
    place = data.draw(st.integers(0, len(some) - 1))
    finding = some[place]
    worse = data.draw(st.sampled_from(ORDER[: finding.tier.order + 1]))
    waiver = finding.waiver if worse is finding.tier else ""
    lowered = Finding(
        id=finding.id, claim=finding.claim, tier=worse, why=finding.why, anchor=finding.anchor, waiver=waiver
    )
    after = result((*some[:place], lowered, *some[place + 1 :]))

    assert after.level <= result(some).level
    assert after.contraindicated >= (result(some).contraindicated and finding.tier is not Tier.CONTRAINDICATED)


@settings(deadline=None)
@given(some=SETS, more=findings())
def test_a_finding_that_does_not_pass_never_raises_the_level(some: tuple[Finding, ...], more: Finding) -> None:
    """Of a check that was spoken of already; one that was silent may have been missing."""
    if more.passes or more.id not in {finding.id for finding in some}:
        return
    assert result((*some, more)).level <= result(some).level


@settings(deadline=None)
@given(some=SETS, data=st.data())
def test_the_order_of_findings_does_not_matter(some: tuple[Finding, ...], data: st.DataObject) -> None:
    turned = tuple(data.draw(st.permutations(some)))
    one, two = result(some), result(turned)

    assert (one.level, one.contraindicated, one.vector, one.ladder) == (
        two.level,
        two.contraindicated,
        two.vector,
        two.ladder,
    )


@settings(deadline=None)
@given(some=SETS)
def test_a_claim_is_the_meet_of_its_findings(some: tuple[Finding, ...]) -> None:
    vector = result(some).vector
    for claim in Claim:
        tiers = [finding.tier for finding in some if finding.claim is claim]
        assert vector[claim] is (worst(tiers) if tiers else Tier.NONE)


@settings(deadline=None)
@given(tiers=st.lists(st.sampled_from(list(Tier))))
def test_the_meet_is_the_lowest_and_of_nothing_affirming(tiers: list[Tier]) -> None:
    assert worst(tiers) is (min(tiers, key=ORDER.index) if tiers else Tier.AFFIRMING)


@settings(deadline=None)
@given(some=SETS)
def test_the_level_is_the_last_of_an_unbroken_row_of_rungs(some: tuple[Finding, ...]) -> None:
    found = result(some)
    row = [rung.number for rung in found.ladder if all(lower.holds for lower in found.ladder[: rung.number])]

    assert found.level == max(row, default=0)
    assert all(rung.holds is not bool(rung.missing) for rung in found.ladder if rung.assessed)
