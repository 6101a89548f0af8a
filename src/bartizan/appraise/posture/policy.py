"""What an SELinux policy's analysis means for guests: permissive domains, ways out of the fence. It analyses nothing.

A policy that could not be analysed is unknown and passes nothing.
"""

import re
from collections.abc import Iterator

from bartizan.appraise.catalogue import Catalogue, finding_of
from bartizan.model.result import Finding, Tier
from bartizan.model.selinux_policy import PolicyAnalysis, Reached

GUESTS = ("svirt_t", "svirt_tcg_t", "svirt_lxc_net_t", "container_t")
"""Domains in which guests and containers run; libvirt docs/drvqemu.rst, container-selinux."""
GRAVE = re.compile(r"(?:svirt|container|virt|openvswitch|spc|docker)\w*_t")
"""Domains of guests, containers and the daemons that start and connect them."""
SHOWN = 8


def judge_policy(catalogue: Catalogue, analysis: PolicyAnalysis, *, loaded: bytes | None) -> Iterator[Finding]:
    """Every finding about one policy. loaded: SHA-256 of the loaded one as the posture tells it, or None."""
    if loaded is None:
        why = "nothing says which policy is loaded, so that this holds for the file alone"
        yield _say(catalogue, "selinux.analysis", Tier.NONE, why)
    elif loaded != analysis.digest:
        why = f"another policy is loaded (SHA-256 {loaded.hex()}) than was analysed ({analysis.digest.hex()})"
        yield _say(catalogue, "selinux.analysis", Tier.WARNING, why)
    else:
        why = f"the loaded policy was analysed ({analysis.types} types, SHA-256 {analysis.digest.hex()})"
        yield _say(catalogue, "selinux.analysis", Tier.AFFIRMING, why)
    yield _permissive(catalogue, analysis)
    yield from _ways(catalogue, analysis)


def unknown_policy(catalogue: Catalogue, why: str) -> Finding:
    """The one finding about a policy that could not be analysed."""
    return _say(catalogue, "selinux.analysis", Tier.NONE, why)


def _permissive(catalogue: Catalogue, analysis: PolicyAnalysis) -> Finding:
    grave = [domain for domain in analysis.permissive if GRAVE.fullmatch(domain)]
    others = len(analysis.permissive) - len(grave)
    if grave:
        why = f"permissive: {', '.join(grave)}; {others} other permissive domains"
        return _say(catalogue, "selinux.permissive", Tier.CONTRAINDICATED, why)
    if others:
        why = f"permissive domains, none of guests or their daemons: {', '.join(analysis.permissive[:SHOWN])}"
        return _say(catalogue, "selinux.permissive", Tier.WARNING, why)
    return _say(catalogue, "selinux.permissive", Tier.AFFIRMING, "no domain of this policy is permissive")


def _ways(catalogue: Catalogue, analysis: PolicyAnalysis) -> Iterator[Finding]:
    if not analysis.domains:
        why = f"the policy has none of the domains that guests run in ({', '.join(GUESTS)})"
        yield _say(catalogue, "selinux.transitions", Tier.NONE, why)
    for domain, constrained in analysis.domains.items():
        reached = [one for one in analysis.reached if one.domain == domain]
        bad = [one for one in reached if one.unconfined]
        loose = [one for one in reached if not one.unconfined and not one.constrained]
        for one in bad[:SHOWN]:
            yield _way(catalogue, one, Tier.CONTRAINDICATED, "which nothing confines")
        for one in loose[:SHOWN]:
            yield _way(catalogue, one, Tier.WARNING, "in which categories do not keep guests apart")
        if not constrained:
            why = f"categories do not keep guests in {domain} apart: it is not of the attribute mcs_constrained_type"
            yield _say(catalogue, "selinux.transitions", Tier.CONTRAINDICATED, why)
        elif not bad and not loose:
            why = f"{domain} leads to {len(reached)} other domains, each fenced as well as itself"
            yield _say(catalogue, "selinux.transitions", Tier.AFFIRMING, why)


def _way(catalogue: Catalogue, one: Reached, tier: Tier, what: str) -> Finding:
    steps = [f" -> {step.target} via {step.entry or 'a dynamic transition'}" for step in one.way]
    return _say(catalogue, "selinux.transitions", tier, f"{one.domain}{''.join(steps)}, {what}")


def _say(catalogue: Catalogue, check: str, tier: Tier, why: str) -> Finding:
    return finding_of(catalogue[check], tier, why)
