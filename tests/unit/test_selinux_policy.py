"""What an analysed policy means: each finding of the family, one policy that is good and one for each fault."""

from dataclasses import replace

import pytest

from bartizan.app.defaults import catalogue
from bartizan.app.inspect_policy import booleans, loaded
from bartizan.appraise.posture.policy import judge_policy, unknown_policy
from bartizan.model.posture import ReadError, Reading, ReportedPosture
from bartizan.model.result import Anchor, Claim, Finding, Tier
from bartizan.model.selinux_policy import PolicyAnalysis, Reached, Step

DIGEST = bytes(range(32))
SAFE = Reached(
    domain="svirt_t", way=(Step(source="svirt_t", entry="x_t", target="y_t"),), constrained=True, unconfined=False
)
GOOD = PolicyAnalysis(digest=DIGEST, types=9, permissive=(), domains={"svirt_t": True}, reached=(SAFE,))


def judged(analysis: PolicyAnalysis, said: bytes | None = DIGEST) -> dict[str, Finding]:
    """The first finding of each check."""
    found: dict[str, Finding] = {}
    for finding in judge_policy(catalogue(), analysis, loaded=said):
        found.setdefault(finding.id, finding)
    return found


def test_a_policy_without_permissive_domains_and_ways_out_is_affirmed() -> None:
    found = judged(GOOD)

    assert {finding.tier for finding in found.values()} == {Tier.AFFIRMING}
    assert {finding.claim for finding in found.values()} == {Claim.CONFIGURATION}
    assert {finding.anchor for finding in found.values()} == {Anchor.AGENT}
    assert "leads to 1 other domains" in found["selinux.transitions"].why


@pytest.mark.parametrize(
    ("change", "check", "tier", "says"),
    [
        ({"permissive": ("virtqemud_t", "zz_t")}, "selinux.permissive", Tier.CONTRAINDICATED, "virtqemud_t; 1 other"),
        ({"permissive": ("container_t",)}, "selinux.permissive", Tier.CONTRAINDICATED, "container_t"),
        ({"permissive": ("pcp_t",)}, "selinux.permissive", Tier.WARNING, "none of guests or their daemons: pcp_t"),
        ({"domains": {}}, "selinux.transitions", Tier.NONE, "none of the domains"),
        ({"domains": {"svirt_t": False}}, "selinux.transitions", Tier.CONTRAINDICATED, "mcs_constrained_type"),
        (
            {"reached": (replace(SAFE, constrained=False),)},
            "selinux.transitions",
            Tier.WARNING,
            "svirt_t -> y_t via x_t, in which categories do not",
        ),
        (
            {"reached": (SAFE, replace(SAFE, unconfined=True))},
            "selinux.transitions",
            Tier.CONTRAINDICATED,
            "which nothing confines",
        ),
        (
            {"reached": (replace(SAFE, way=(Step(source="svirt_t", entry=None, target="y_t"),), constrained=False),)},
            "selinux.transitions",
            Tier.WARNING,
            "via a dynamic transition",
        ),
    ],
)
def test_each_fault_lowers_its_check(change: dict[str, object], check: str, tier: Tier, says: str) -> None:
    found = judged(replace(GOOD, **change))  # type: ignore[arg-type]  # by name

    assert found[check].tier is tier
    assert says in found[check].why
    assert {one for one, finding in found.items() if finding.tier is not Tier.AFFIRMING} == {check}


def test_another_policy_than_the_loaded_one_says_so_and_an_unknown_one_never_passes() -> None:
    assert judged(GOOD, bytes(32))["selinux.analysis"].tier is Tier.WARNING
    assert judged(GOOD, None)["selinux.analysis"].tier is Tier.NONE
    assert unknown_policy(catalogue(), "killed").tier is Tier.NONE


def posture(**files: str | None) -> ReportedPosture:
    readings = {
        f"/sys/fs/selinux/{path}": Reading(
            path=path, value=value, error=None if value is not None else ReadError.DENIED
        )
        for path, value in files.items()
    }
    return ReportedPosture(privileged=True, files=readings, folders={}, nodes={}, workloads=())


def test_booleans_and_digest_are_the_hosts() -> None:
    told = posture(**{"booleans/a": "1 0", "booleans/b": "0 1", "booleans/c": None})

    assert booleans(told) == {"a": True, "b": False}
    assert loaded(posture(policy=f"sha1 00\nsha256 {DIGEST.hex()}\n")) == DIGEST
    assert [loaded(posture(policy=value)) for value in (None, "sha1 00\n", "sha256 zz\n")] == [None] * 3
    assert loaded(posture()) is None
