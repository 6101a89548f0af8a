"""Collectors and agent run on a host's own Python 3.9 and need nothing but its standard library."""

import ast
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from bartizan.agent import VERSION
from tests.architecture.tree import ROOT, project

SOURCE = ROOT / "src" / "bartizan"
COLLECT, AGENT = SOURCE / "collect", SOURCE / "agent"
FILES = {
    **dict.fromkeys(sorted(COLLECT.rglob("*.py")), ("bartizan.collect",)),
    **dict.fromkeys(sorted(AGENT.rglob("*.py")), ("bartizan.collect", "bartizan.agent")),
}
"""Each with the packages that it may import; the agent stands above the collectors."""
ROUND_TRIP = """
import sys
sys.path.insert(0, sys.argv[1])
from bartizan.agent.cbor import decode, encode
from bartizan.agent.messages import bound_extra_data
value = {"a": [1, -2, b"x", "y", None, True, {11: list(range(24))}], "b": 1 << 40}
assert decode(encode(value)) == value
print(sys.version_info[:2], encode(value).hex(), bound_extra_data("n-1", bytes(16), b"p").hex())
"""
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


def foreign(source: str, own: tuple[str, ...] = ("bartizan.collect",)) -> set[str]:
    """What is imported besides the standard library and these packages."""
    allowed = tuple(f"{name}." for name in own)
    return {
        name
        for name in imported(source)
        if name.split(".")[0] not in sys.stdlib_module_names and not f"{name}.".startswith(allowed)
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


@cache
def older_python() -> Path | None:
    """A Python 3.9 of this machine: on the path, or one of pyenv's that works."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = [shutil.which("python3.9"), *sorted(pyenv.glob("versions/3.9.*/bin/python3"))]
    for candidate in [Path(path) for path in found if path]:
        run = subprocess.run([candidate, "-V"], check=False, capture_output=True, text=True)
        if run.stdout.startswith("Python 3.9."):
            return candidate
    return None


def interpreters() -> list[str]:
    """The one that runs the tests and, where the machine has it, the oldest that a host may have."""
    older = older_python()
    return [sys.executable, *([str(older)] if older else [])]


def test_there_are_files_to_look_at() -> None:
    assert {COLLECT / "tpm.py", AGENT / "loop.py"} <= FILES.keys()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_file_imports_only_the_standard_library_and_its_own(path: Path) -> None:
    assert foreign(path.read_text(encoding="utf-8"), FILES[path]) == set()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_file_is_python_3_9(path: Path) -> None:
    assert too_new(path.read_text(encoding="utf-8")) == []


def test_the_package_itself_imports_nothing() -> None:
    assert imported((SOURCE / "__init__.py").read_text(encoding="utf-8")) == set()


@pytest.mark.parametrize("interpreter", interpreters())
def test_the_pure_parts_say_the_same_everywhere(interpreter: str) -> None:
    command = [interpreter, "-I", "-S", "-W", "error", "-c", ROUND_TRIP, str(ROOT / "src")]
    run = subprocess.run(command, check=False, capture_output=True, text=True)

    assert run.returncode == 0, run.stderr
    here = subprocess.run([sys.executable, *command[1:]], check=True, capture_output=True, text=True).stdout
    assert run.stdout.partition(")")[2] == here.partition(")")[2]


@pytest.mark.parametrize("interpreter", interpreters())
def test_the_archive_runs_alone(interpreter: str, tmp_path: Path) -> None:
    archive = tmp_path / "agent.pyz"
    build(archive)
    for arguments in (["--version"], ["--help"], *([command, "--help"] for command in ("enrol", "run", "once"))):
        command = [interpreter, "-I", "-S", "-W", "error", str(archive), *arguments]
        run = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path, env={})

        assert run.returncode == 0, run.stderr
        assert "bartizan-agent" in run.stdout


@pytest.mark.parametrize("interpreter", interpreters())
def test_every_module_of_the_archive_can_be_imported(interpreter: str, tmp_path: Path) -> None:
    archive = tmp_path / "agent.pyz"
    build(archive)
    names = [".".join(path.relative_to(SOURCE.parent).with_suffix("").parts) for path in FILES]
    code = "import importlib, sys; sys.path.insert(0, sys.argv[1]); [importlib.import_module(n) for n in sys.argv[2:]]"
    command = [interpreter, "-I", "-S", "-W", "error", "-c", code, str(archive), *names]
    run = subprocess.run(command, check=False, capture_output=True, text=True)

    assert run.returncode == 0, run.stderr


def test_the_archive_is_the_same_whoever_builds_it(tmp_path: Path) -> None:
    build(tmp_path / "one.pyz")
    build(tmp_path / "two.pyz")

    assert (tmp_path / "one.pyz").read_bytes() == (tmp_path / "two.pyz").read_bytes()
    assert (tmp_path / "one.pyz").stat().st_mode & 0o777 == 0o755


def build(out: Path) -> None:
    """The agent as one file."""
    subprocess.run([ROOT / "scripts" / "build-agent", "--out", out], check=True, capture_output=True)


def test_the_agent_says_the_version_of_the_package() -> None:
    assert project()["project"]["version"] == VERSION  # type: ignore[index]  # a table


@pytest.mark.parametrize(
    "source",
    ["import bartizan.model.tpm", "from bartizan import errors", "import cryptography.x509", "from . import tpm"],
)
def test_a_foreign_import_would_be_seen(source: str) -> None:
    assert foreign(source)


def test_collectors_do_not_import_the_agent() -> None:
    assert foreign("from bartizan.agent.cbor import encode")
    assert not foreign("from bartizan.agent.cbor import encode", ("bartizan.agent",))


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
