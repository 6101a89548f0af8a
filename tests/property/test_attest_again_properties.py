"""However a boot's list is cut into attestations: the result is that of the whole list attested at once."""

from collections import Counter
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from bartizan.app.attest_again import Again, NeedsEvidence, attest_again, begin
from bartizan.app.attest_node import attest_node
from bartizan.app.node_state import NodeState
from bartizan.model.evidence import Challenge
from bartizan.model.result import AttestationResult, Tier
from tests.simulator.live_boot import LiveBoot, live
from tests.simulator.machine import CHALLENGE, ENROLMENT, file_line
from tests.simulator.tpm_ca import NOW
from tests.unit.attested_again import RULES, alike
from tests.unit.ima_lists import BOOTS, Line, ng

EXAMPLES = 60
PATHS = (b"/opt/one", b"/opt/two", b"boot_aggregate", b"/usr/bin/ls")

further_lines = st.one_of(
    st.builds(file_line, st.sampled_from(PATHS), st.sampled_from([b"x", b"y"])),
    st.builds(ng, st.sampled_from(PATHS), violation=st.just(True)),
    st.builds(ng, st.sampled_from(PATHS), pcr=st.sampled_from([10, 16])),
)


def challenge_of(boot: LiveBoot) -> Challenge:
    return replace(CHALLENGE, selection={bank: frozenset(values) for bank, values in boot.static.items()})


def whole(boot: LiveBoot, count: int) -> AttestationResult:
    evidence = boot.full(count)
    return attest_node(evidence, challenge=challenge_of(boot), enrolment=ENROLMENT, rules=RULES, now=NOW).result


def start(boot: LiveBoot, count: int, ahead: int) -> NodeState:
    evidence = boot.full(count, ahead=ahead)
    outcome = attest_node(evidence, challenge=challenge_of(boot), enrolment=ENROLMENT, rules=RULES, now=NOW)
    return begin(outcome, enrolment=ENROLMENT, rules=RULES, now=NOW)


def step(state: NodeState, boot: LiveBoot, held: int, *, count: int, ahead: int) -> NodeState:
    sent = boot.again(held, count, ahead=ahead)
    found = attest_again(state, sent, challenge=challenge_of(boot), rules=RULES, now=NOW)
    assert isinstance(found, Again)
    little = attest_again(state.without_evidence(), sent, challenge=challenge_of(boot), rules=RULES, now=NOW)
    assert isinstance(little, NeedsEvidence) or (little == replace(found, state=found.state.without_evidence()))
    return found.state


@st.composite
def cuts(draw: st.DrawFn, size: int) -> list[tuple[int, int]]:
    """Attestations of a list of this size: entries covered, and entries sent ahead, which the next one covers."""
    ends = sorted(draw(st.sets(st.integers(1, size), max_size=4)) | {size})
    nexts = [*ends[1:], size]
    return [(end, draw(st.integers(0, after - end))) for end, after in zip(ends, nexts, strict=True)]


@given(st.sampled_from(BOOTS), st.data())
@settings(max_examples=EXAMPLES, deadline=None)
def test_a_recorded_boot_cut_anywhere_gets_the_result_of_the_whole(name: str, data: st.DataObject) -> None:
    boot = live(name)
    same_however_cut(boot, data.draw(cuts(len(boot.entries))))


@given(st.lists(further_lines, max_size=5), st.integers(90, 110), st.data())
@settings(max_examples=EXAMPLES, deadline=None)
def test_whatever_is_measured_it_is_judged_alike_bit_by_bit(some: list[Line], kept: int, data: st.DataObject) -> None:
    good = live("good")
    boot = replace(good, entries=good.entries[:kept]).running(*some)
    boot = replace(boot, entries=boot.entries + good.entries[kept:])
    same_however_cut(boot, data.draw(cuts(len(boot.entries))))


def same_however_cut(boot: LiveBoot, attested: list[tuple[int, int]]) -> None:
    """The last result is that of the whole list, and nothing contraindicated was lost on the way."""
    (count, ahead), *others = attested
    state, held = start(boot, count, ahead), count + ahead
    bad = contraindicated(state)
    for size, more in others:
        state = step(state, boot, held, count=size, ahead=more)
        held = size + more
        assert bad <= contraindicated(state)
        bad = contraindicated(state)
    assert alike(state.result, whole(boot, len(boot.entries)))


def contraindicated(state: NodeState) -> Counter[str]:
    found = state.result.findings
    return Counter(f"{f.id} {f.at.path} {f.at.entry} {f.at.event}" for f in found if f.tier is Tier.CONTRAINDICATED)
