"""What ships with the package: check descriptions, levels, the default policy. Read once per process."""

from functools import cache
from importlib.resources import files

from bartizan.appraise.catalogue import Catalogue, load_checks, load_levels, load_policy
from bartizan.model.policy import Level, Policy


@cache
def catalogue() -> Catalogue:
    """All check descriptions by id."""
    folder = files("bartizan.data").joinpath("checks")
    return load_checks({f.name: f.read_text("utf-8") for f in folder.iterdir() if f.name.endswith(".toml")})


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
