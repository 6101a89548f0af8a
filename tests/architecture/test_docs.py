"""The documentation: every link leads somewhere, every page can be reached, generated pages are current."""

import re
import subprocess
import sys
from pathlib import Path

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


def test_the_generated_pages_are_current() -> None:
    script = ROOT / "scripts" / "generate_docs.py"

    run = subprocess.run([sys.executable, script, "--check"], cwd=ROOT, check=False, capture_output=True, text=True)

    assert run.returncode == 0, run.stdout + run.stderr
