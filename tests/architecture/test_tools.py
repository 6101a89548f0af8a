"""The tools that judge the code pass: format, lint, types, layers."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT

BIN = Path(sys.executable).parent
AGENT = ["src/bartizan/agent", "src/bartizan/collect"]
"""What runs on a host's own Python 3.9."""
TOOLS = {
    "format": ["ruff", "format", "--check", "--diff", "."],
    "lint": ["ruff", "check", "."],
    "types": ["mypy"],
    "layers": ["lint-imports", "--no-logo", "--no-cache"],
    "lint as Python 3.9": ["ruff", "check", "--target-version", "py39", *AGENT],
    "features of Python 3.9": ["vermin", "-t=3.9-", "--eval-annotations", "--violations", *AGENT],
}


@pytest.mark.parametrize("name", TOOLS)
def test_the_tool_finds_nothing(name: str) -> None:
    tool, *arguments = TOOLS[name]

    run = subprocess.run([BIN / tool, *arguments], cwd=ROOT, check=False, capture_output=True, text=True)

    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-2000:]
