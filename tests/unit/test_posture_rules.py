"""Every rule of the posture catalogue: a host that keeps it, hosts that break exactly it, a complete description."""

from pathlib import Path
from typing import Any

import pytest

from bartizan.app.defaults import posture_rules
from bartizan.appraise.posture.catalogue import load_rules
from bartizan.appraise.posture.engine import EVALUATORS
from bartizan.errors import PolicyError
from bartizan.model.posture import Mend, Missing, PostureResult, Profile, Rule
from bartizan.model.result import Anchor, Claim, Tier
from tests.unit.posture_hosts import case_name, cases, judged, tree

HARDENED = ("hardened_apparmor", "hardened_selinux")
OTHER_LSM = {"hardened_apparmor": "SEL-", "hardened_selinux": "AA-"}


@pytest.fixture(scope="module", params=HARDENED)
def hardened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A good host: its name and its files."""
    return request.param, tree(request.param).write(tmp_path_factory.mktemp(request.param))


def tiers(result: PostureResult) -> dict[str, Tier]:
    """The worst tier of each rule; findings come with the worst first."""
    return {one.rule.id: one.finding.tier for one in reversed(result.findings)}


def lowered(result: PostureResult) -> set[str]:
    return {rule for rule, tier in tiers(result).items() if tier is not Tier.AFFIRMING}


@pytest.mark.parametrize("profile", Profile)
def test_a_hardened_host_keeps_every_rule_that_it_has_a_subject_for(
    hardened: tuple[str, Path], profile: Profile
) -> None:
    name, root = hardened

    result = judged(root, profile)

    assert {one.rule.id: one.finding.why for one in result.findings if one.rule.id in lowered(result)} == {}
    left_out = {rule for rule in result.inapplicable if not rule.startswith(OTHER_LSM[name])}
    assert left_out == {
        rule.id
        for rule in posture_rules().values()
        if not rule.terms[profile].applies and not rule.id.startswith(OTHER_LSM[name])
    }


@pytest.mark.parametrize("case", cases(), ids=case_name)
def test_a_broken_host_lowers_exactly_its_rule_and_claim(case: dict[str, Any], tmp_path: Path) -> None:
    rule, profile = case["rule"], Profile(case.get("profile", "baseline"))

    result = judged(tree(case["host"]).change(case).write(tmp_path), profile)

    assert lowered(result) == {rule, *case.get("also", [])}
    assert not case.get("also") or case["because"]
    found = [one for one in result.findings if one.rule.id == rule and one.finding.tier is not Tier.AFFIRMING]
    assert {one.finding.tier for one in found} == {Tier(case["tier"])}
    assert all(case["why"] in one.finding.why for one in found)
    assert all(one.read for one in found), "what was read is told"
    claims = {one.finding.claim for one in result.findings if one.finding.tier is not Tier.AFFIRMING}
    assert claims == {posture_rules()[name].claim for name in (rule, *case.get("also", []))}


def test_every_rule_has_a_broken_host_and_one_that_keeps_it(tmp_path: Path) -> None:
    kept: set[str] = set()
    for name in HARDENED:
        kept |= tiers(judged(tree(name).write(tmp_path / name), Profile.CONFIDENTIAL)).keys()

    assert {case["rule"] for case in cases()} == set(posture_rules())
    assert kept == set(posture_rules())


def test_a_contraindicated_finding_comes_first(tmp_path: Path) -> None:
    edit = {"cmdline": "mitigations=off", "files": {"/proc/sys/kernel/dmesg_restrict": "0\n"}}

    result = judged(tree("hardened_apparmor").change(edit).write(tmp_path))

    assert [one.rule.id for one in result.findings[:2]] == ["CPU-002", "KRN-009"]


@pytest.mark.parametrize("rule", posture_rules().values(), ids=lambda rule: rule.id)
def test_a_rule_is_complete(rule: Rule) -> None:
    for text in (rule.title, rule.secure, rule.why, rule.impact, rule.fix, rule.area, *rule.reads, *rule.references):
        assert text.strip() == text
        assert text
        assert text.isprintable()
    assert rule.reads
    assert rule.references
    assert not any("[M]" in reference for reference in rule.references)
    assert rule.why.endswith(".")
    assert rule.impact.endswith((".", ".)", "level 0."))
    assert rule.fix.endswith(".")
    assert not rule.title.endswith(".")
    assert rule.anchor is Anchor.AGENT
    assert rule.claim in {Claim.CONFIGURATION, Claim.HARDWARE, Claim.INSTANCE_IDENTITY, Claim.STORAGE_OPAQUE}
    assert rule.add or rule.mend in {Mend.HAND, Mend.FIRMWARE, Mend.SOFTWARE}
    for terms in rule.terms.values():
        assert terms.broken in {Tier.WARNING, Tier.CONTRAINDICATED}
        assert terms.accepts or rule.id in EVALUATORS


def test_every_function_belongs_to_a_rule() -> None:
    assert set(EVALUATORS) <= set(posture_rules())


def test_a_rule_that_is_described_twice_is_refused() -> None:
    path = Path(__file__).parents[2] / "src" / "bartizan" / "data" / "posture" / "memory.toml"
    text = path.read_text(encoding="utf-8")

    with pytest.raises(PolicyError, match="KSM-001 is described twice"):
        load_rules({"a.toml": text, "b.toml": text})


@pytest.mark.parametrize("text", ["area = 1", 'area = "x"\n[[rule]]\nid = "A-1"\nsurprise = 1', "no toml at all"])
def test_a_text_that_is_no_catalogue_is_refused(text: str) -> None:
    with pytest.raises(PolicyError, match=r"^bad\.toml: "):
        load_rules({"bad.toml": text})


def test_confidential_pools_are_stricter() -> None:
    order = {Tier.WARNING: 1, Tier.CONTRAINDICATED: 0}
    for rule in posture_rules().values():
        baseline, confidential = rule.terms[Profile.BASELINE], rule.terms[Profile.CONFIDENTIAL]
        assert order[confidential.broken] <= order[baseline.broken], rule.id
        assert set(confidential.accepts) <= set(baseline.accepts), rule.id


def test_absence_passes_no_rule() -> None:
    assert {rule.missing for rule in posture_rules().values()} == {Missing.UNKNOWN, Missing.INAPPLICABLE}
