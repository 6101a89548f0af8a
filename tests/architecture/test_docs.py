"""The documentation: every link leads somewhere, every page can be reached, generated pages are current."""

import ast
import re
import subprocess
import sys
from pathlib import Path

from bartizan.cli.main import app
from tests.architecture.tree import ROOT, listed_files

LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def pages() -> list[Path]:
    """Every page that people read."""
    return [path for path in listed_files() if path.suffix == ".md" and "vectors" not in path.parts]


def targets(page: Path) -> list[Path]:
    """The files of this repository that a page links to."""
    links = LINK.findall(page.read_text(encoding="utf-8"))
    return [(page.parent / link).resolve() for link in links if not re.match(r"[a-z]+:", link)]


def test_every_link_leads_to_a_file() -> None:
    broken = [
        f"{page.relative_to(ROOT)} -> {target}" for page in pages() for target in targets(page) if not target.exists()
    ]

    assert not broken


def test_every_page_of_docs_can_be_reached_from_the_index() -> None:
    index = ROOT / "docs" / "index.md"
    seen, waiting = {index}, [index]
    while waiting:
        found = {target for target in targets(waiting.pop()) if target.suffix == ".md" and target.exists()} - seen
        seen |= found
        waiting += found

    assert not {page for page in pages() if page.is_relative_to(ROOT / "docs")} - seen


def test_every_page_has_one_title() -> None:
    for page in pages():
        text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)

        assert len(re.findall(r"^# ", text, re.MULTILINE)) == 1, page


def test_the_readme_opens_with_the_two_commands() -> None:
    opening = (ROOT / "README.md").read_text(encoding="utf-8").split("```")[1]

    assert re.findall(r"^make \w+", opening, re.MULTILINE) == ["make demo", "make test"]


def test_the_readme_lists_the_commands_that_there_are() -> None:
    listed = set(re.findall(r"`(?:bartizan )?([a-z-]+(?: [a-z]+)?)`", readme_table()))
    groups = {group.name: group.typer_instance.registered_commands for group in app.registered_groups}
    there = {command_name(command) for command in app.registered_commands}
    there |= {f"{group} {command_name(command)}" for group, commands in groups.items() for command in commands}

    assert listed == there


def readme_table() -> str:
    """The first column of README's table of commands."""
    rows = re.findall(r"^\| (`bartizan [^|]*)\|", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    return "\n".join(rows)


def command_name(command: object) -> str:
    """A command's name as it is typed."""
    callback = getattr(command, "callback", None)
    return getattr(command, "name", None) or getattr(callback, "__name__", "").rstrip("_")


def test_every_member_of_a_json_document_is_in_the_docs() -> None:
    page = (ROOT / "docs" / "reference" / "json.md").read_text(encoding="utf-8")
    members = {
        key.value
        for path in (ROOT / "src" / "bartizan" / "cli").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Dict)
        for key in node.keys
        if isinstance(key, ast.Constant) and isinstance(key.value, str)
    }

    assert members
    assert not {member for member in members if f"`{member}`" not in page and f'"{member}"' not in page}


def test_the_generated_pages_are_current() -> None:
    script = ROOT / "scripts" / "generate_docs.py"

    run = subprocess.run([sys.executable, script, "--check"], cwd=ROOT, check=False, capture_output=True, text=True)

    assert run.returncode == 0, run.stdout + run.stderr
