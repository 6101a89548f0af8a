"""The command line run inside this process. Not a test."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from bartizan.cli.main import app

BOOTS = Path(__file__).parent.parent / "vectors" / "boots"


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What a command did: exit code, standard output, standard error."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on standard output."""
        found: dict[str, Any] = json.loads(self.out)
        return found

    @property
    def findings(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.document["findings"]
        return found


def run(*arguments: str | Path) -> Ran:
    """`bartizan` with these arguments; any exception that is not an exit is ours and comes out."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    return Ran(code=result.exit_code, out=result.stdout, err=result.stderr)


def judge(boot: str | Path, reference: Path, *more: str | Path, command: str = "appraise") -> Ran:
    """A recorded boot (by name) or a folder, against the recorded CA and these Reference Values."""
    folder = BOOTS / boot if isinstance(boot, str) else boot
    return run(command, folder, "--roots", BOOTS, "--reference", reference, *more)


def ids(findings: Sequence[dict[str, Any]]) -> set[str]:
    return {finding["id"] for finding in findings}
