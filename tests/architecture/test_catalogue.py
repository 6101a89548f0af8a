"""The check descriptions and the code agree: every id that is said is described, and every description is said."""

import ast
import re
from pathlib import Path

import pytest

from bartizan.app import evidence_folder, reference_folder
from bartizan.app.defaults import catalogue, checks, default_policy, levels
from bartizan.model.result import Tier
from bartizan.verify import identity, ima_outcome, outcome
from tests.architecture.tree import ROOT

SOURCE = ROOT / "src" / "bartizan"
ID = re.compile(r"[a-z][a-z0-9-]*\.[a-z][a-z0-9-]*")
FAMILIES = {check.partition(".")[0] for check in checks()}
SAID_BY = ("verify", "appraise", "app", "reference")
"""The layers that make findings or name checks."""


def strings(path: Path) -> set[str]:
    """Every text in the code of a file."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def short_ids(path: Path) -> set[str]:
    """The checks that a file names without their family: the first argument of `ima_outcome`."""
    calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    named = [call.args[0] for call in calls if getattr(call.func, "id", "") == "ima_outcome" and call.args]
    return {f"ima.{first.value}" for first in named if isinstance(first, ast.Constant) and isinstance(first.value, str)}


def said() -> set[str]:
    """Every text of the code that has the form of a check's id and the name of a family before its dot."""
    files = [path for layer in SAID_BY for path in (SOURCE / layer).rglob("*.py")]
    texts = {text for path in files for text in strings(path)}
    return {text for text in texts if ID.fullmatch(text) and text.partition(".")[0] in FAMILIES} | {
        check for path in files for check in short_ids(path)
    }


def test_every_id_that_the_code_names_is_described() -> None:
    """An id, or the beginning of one that stands for several."""
    files = {*evidence_folder.KNOWN, reference_folder.FILE}
    unknown = {text for text in said() - files if not any(check.startswith(text) for check in catalogue())}

    assert not unknown


def test_every_check_that_is_described_is_named_by_the_code() -> None:
    assert not checks().keys() - said()


def test_verification_says_what_the_descriptions_say() -> None:
    described = {check: (row.claim, row.anchor) for check, row in catalogue().items()}

    for check, (claim, anchor) in outcome.SUBJECTS.items():
        assert described[check] == (claim.value, anchor.value), check


def test_the_ima_findings_of_verification_are_described() -> None:
    for check in ima_outcome.CHECKS:
        row = catalogue()[check]

        assert (row.claim, row.anchor) == ("file-system", "tpm"), check


def test_the_ima_findings_of_verification_are_all_listed() -> None:
    named = {check for path in (SOURCE / "verify").glob("*.py") for check in short_ids(path)}

    assert named == ima_outcome.CHECKS


def test_the_identity_findings_are_described() -> None:
    for check, anchor in identity.ANCHORS.items():
        row = catalogue()[check]

        assert (row.claim, row.anchor) == ("instance-identity", anchor.value), check


@pytest.mark.parametrize("check", sorted(catalogue()))
def test_a_description_is_complete(check: str) -> None:
    row = catalogue()[check]

    for text in (row.title, row.why, row.impact, row.fix):
        assert text.strip() == text
        assert text
        assert text.isprintable()
    assert row.impact.endswith((".", ")"))
    assert row.why.endswith((".", ")"))
    assert not row.title.endswith(".")
    assert row.references
    assert all(row.references)


def test_a_refusal_never_accepts() -> None:
    assert {row.refusal for row in catalogue().values()} <= {Tier.NONE, Tier.CONTRAINDICATED}


def test_only_a_missing_endorsement_is_refused_without_an_accusation() -> None:
    assert [check for check, row in catalogue().items() if row.refusal is Tier.NONE] == ["identity.ek-chain"]


def test_what_ships_can_be_loaded() -> None:
    assert [level.number for level in levels()] == [1, 2, 3, 4, 5, 6]
    assert default_policy().waivers == ()
    assert default_policy().unknown_file is Tier.WARNING
