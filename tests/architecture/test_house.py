"""Rules of the house that no tool knows: sizes, who may prove, what no file may say, what the docs must cover."""

import ast
import re
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT, listed_files, project, python_files, text_files

MAX_LINES = 400
SOURCE = ROOT / "src" / "bartizan"

PACKAGE_INDEX = re.compile(
    r"pypi\.(?:org|io)|pythonhosted\.org|(?:deb|security)\.debian\.org|(?:archive|ports)\.ubuntu\.com"
    r"|registry\.npmjs|proxy\.golang\.org|crates\.io|--(?:extra-)?index-url|--trusted-host|--find-links"
)
MACHINE_PATH = re.compile(r"(?<![\w.-])/(?:work|tmp/bash_jobs|tmp/w|opt/pypi|opt/wheels)\b")


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_no_python_file_is_over_400_lines() -> None:
    sizes = {relative(path): len(path.read_text(encoding="utf-8").splitlines()) for path in python_files()}

    assert not {name: size for name, size in sizes.items() if size > MAX_LINES}


def test_no_module_has_a_name_that_says_nothing() -> None:
    empty = {"utils", "util", "helpers", "helper", "manager", "managers", "common", "misc", "info"}

    assert not [relative(path) for path in python_files() if {path.stem, *path.parent.parts} & empty]


def constructions(path: Path) -> list[str]:
    """Where a file calls a `Verified…` type, as `file:line`."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name.startswith("Verified"):
                found.append(f"{relative(path)}:{node.lineno}")
    return found


def test_only_verify_makes_verified_types() -> None:
    outside = [path for path in SOURCE.rglob("*.py") if not path.is_relative_to(SOURCE / "verify")]

    assert not [place for path in outside for place in constructions(path)]


def test_a_verified_type_made_elsewhere_would_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.architecture.test_house.ROOT", tmp_path)
    (tmp_path / "sly.py").write_text("import model\nx = model.evidence.VerifiedQuote(pcrs={})\n", encoding="utf-8")

    assert constructions(tmp_path / "sly.py") == ["sly.py:2"]


@pytest.mark.parametrize(
    ("what", "pattern"), [("a package index or an option for one", PACKAGE_INDEX), ("one machine's path", MACHINE_PATH)]
)
def test_no_file_names(what: str, pattern: re.Pattern[str]) -> None:
    own = Path(__file__).resolve()
    hits = [
        f"{relative(path)}: {match.group()}"
        for path, text in text_files()
        if path.resolve() != own and relative(path) != "scripts/lock"
        for match in pattern.finditer(text)
    ]

    assert not hits, f"{what} is named: {hits}"


def test_the_requirements_hold_a_hash_for_every_package() -> None:
    for path in (ROOT / "requirements").glob("*.txt"):
        blocks = re.split(r"\n(?=[a-z0-9])", path.read_text(encoding="utf-8"))
        pinned = [block for block in blocks if re.match(r"[a-z0-9-]+==", block)]

        assert pinned, f"{path.name} is empty"
        assert all("--hash=sha256:" in block for block in pinned), path.name


def declared_dependencies() -> set[str]:
    """The names of the packages that pyproject.toml asks for."""
    section = project()["project"]
    assert isinstance(section, dict)
    groups = [section["dependencies"], *section["optional-dependencies"].values()]
    return {re.split(r"[<>=!~\[; ]", line)[0].lower() for group in groups for line in group}


def test_every_dependency_has_its_reason_in_the_docs() -> None:
    page = (ROOT / "docs" / "explanation" / "dependencies.md").read_text(encoding="utf-8")

    missing = {name for name in declared_dependencies() if f"| `{name}` |" not in page}
    assert not missing


def test_every_locked_package_is_asked_for_by_this_pyproject() -> None:
    locked = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements" / "dev.txt").read_text("utf-8"), re.MULTILINE))
    fuzzers = {"atheris"}

    assert declared_dependencies() - fuzzers <= locked


def test_every_executable_file_names_its_interpreter() -> None:
    executable = [path for path in listed_files() if path.stat().st_mode & 0o100]

    assert not [relative(path) for path in executable if not path.read_bytes().startswith(b"#!")]
