"""What ships with the package: check descriptions, levels, the default policy. Read once per process."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from bartizan.appraise.catalogue import Catalogue, load_checks, load_levels, load_policy
from bartizan.appraise.posture.catalogue import Rules, load_rules
from bartizan.appraise.posture.frameworks import load_frameworks
from bartizan.model.policy import Check, Level, Policy
from bartizan.model.posture import Framework, FrameworkText, Rule


@cache
def posture_rules() -> Rules:
    """All rules for postures that ship, by id."""
    return load_rules(_texts("posture"))


@cache
def frameworks() -> Mapping[Framework, FrameworkText]:
    """Whose requirements the rules look at."""
    [(source, text)] = _texts("frameworks").items()
    return load_frameworks(text, posture_rules(), source=source)


@cache
def checks() -> Catalogue:
    """The descriptions of all checks by id, without the rules for postures."""
    return load_checks(_texts("checks"))


@cache
def catalogue() -> Catalogue:
    """What every finding's id stands for: checks and rules for postures."""
    return {**checks(), **{name: _described(rule) for name, rule in posture_rules().items()}}


def _texts(folder: str) -> dict[str, str]:
    found = files("bartizan.data").joinpath(folder)
    return {f.name: f.read_text("utf-8") for f in found.iterdir() if f.name.endswith(".toml")}


def _described(rule: Rule) -> Check:
    """A rule as a check: what people are told about it."""
    return Check(
        id=rule.id,
        title=rule.title,
        claim=rule.claim.value,
        anchor=rule.anchor.value,
        why=rule.why,
        impact=rule.impact,
        fix=rule.fix,
        references=rule.references,
    )


@cache
def levels() -> tuple[Level, ...]:
    """The ladder."""
    text = files("bartizan.data").joinpath("policies", "levels.toml").read_text("utf-8")
    return load_levels(text, catalogue(), source="levels.toml")


SHIPPED_POLICIES = ("default", "packaged")
"""Policies that can be named instead of a file."""


@cache
def shipped_policy(name: str) -> Policy:
    """One of the policies that ship with the package."""
    text = files("bartizan.data").joinpath("policies", f"{name}.toml").read_text("utf-8")
    return load_policy(text, catalogue(), source=f"{name}.toml")


def default_policy() -> Policy:
    """The policy in force when none is given."""
    return shipped_policy("default")
