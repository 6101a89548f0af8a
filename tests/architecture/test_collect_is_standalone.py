"""The collectors run on a host's own Python 3.9 and need nothing but its standard library."""

import ast
import sys
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT

COLLECT = ROOT / "src" / "bartizan" / "collect"
FILES = sorted(COLLECT.rglob("*.py"))
OWN = "bartizan.collect"
NEW_DATACLASS_OPTIONS = {"slots", "kw_only", "match_args", "weakref_slot"}
"""Of `dataclass`, since Python 3.10 or 3.11."""


def imported(source: str) -> set[str]:
    """Every module a file imports, by its full name; a relative import counts as a foreign one."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add("." * node.level + (node.module or ""))
    return names


def foreign(source: str) -> set[str]:
    """What is imported besides the standard library and the collectors."""
    return {
        name
        for name in imported(source)
        if name.split(".")[0] not in sys.stdlib_module_names and not f"{name}.".startswith(f"{OWN}.")
    }


def too_new(source: str) -> list[str]:
    """What parses, but fails or is missing when Python 3.9 runs it."""
    tree = ast.parse(source, feature_version=(3, 9))
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func).rpartition(".")[2]
            options = {keyword.arg for keyword in node.keywords}
            if (name == "dataclass" and options & NEW_DATACLASS_OPTIONS) or (name == "zip" and "strict" in options):
                found.append(f"line {node.lineno}: {ast.unparse(node)}")
    if any(isinstance(node, ast.FunctionDef | ast.ClassDef) for node in tree.body) and not has_late_annotations(tree):
        found.append("from __future__ import annotations is missing")
    return found


def has_late_annotations(tree: ast.Module) -> bool:
    return any(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in tree.body)


def test_there_are_collectors_to_look_at() -> None:
    assert COLLECT / "tpm.py" in FILES


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(COLLECT)))
def test_a_collector_imports_only_the_standard_library_and_collectors(path: Path) -> None:
    assert foreign(path.read_text(encoding="utf-8")) == set()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(COLLECT)))
def test_a_collector_is_python_3_9(path: Path) -> None:
    assert too_new(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    ["import bartizan.model.tpm", "from bartizan import errors", "import cryptography.x509", "from . import tpm"],
)
def test_a_foreign_import_would_be_seen(source: str) -> None:
    assert foreign(source)


@pytest.mark.parametrize("source", ["import os.path", "from bartizan.collect.tpm import Tpm"])
def test_an_own_import_is_not_foreign(source: str) -> None:
    assert not foreign(source)


@pytest.mark.parametrize(
    "source", ["zip(a, b, strict=True)", "dataclass(frozen=True, slots=True)", "def f(x: int | None) -> None: ..."]
)
def test_what_python_3_9_lacks_would_be_seen(source: str) -> None:
    assert too_new(source)


def test_a_match_statement_does_not_parse_as_python_3_9() -> None:
    with pytest.raises(SyntaxError, match=r"3\.10"):
        too_new("match a:\n    case 1:\n        pass\n")
