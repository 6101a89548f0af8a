"""Holds branch coverage against its floors: all of it where a gap could let a forgery pass, most of it elsewhere."""

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

WHOLE = ("formats", "verify", "appraise")
ELSEWHERE = 90.0
SOURCE = "src/bartizan/"


def folder_of(name: str) -> str:
    """The folder of a source file by which it is judged."""
    parts = name.removeprefix(SOURCE).split("/")
    return parts[0] if len(parts) > 1 else "the top"


def percent(summaries: list[dict[str, Any]]) -> float:
    """Covered lines and branches of some files, of 100."""
    covered = sum(part["covered_lines"] + part["covered_branches"] for part in summaries)
    total = sum(part["num_statements"] + part["num_branches"] for part in summaries)
    return 100.0 * covered / total if total else 100.0


def gaps(name: str, file: dict[str, Any]) -> str:
    """What a file misses, for a person to go and look."""
    branches = [f"{start}->{stop}" for start, stop in file["missing_branches"]]
    return f"  {name}: lines {file['missing_lines'] or 'none'}, branches {', '.join(branches) or 'none'}"


def main() -> int:
    files = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["files"]
    folders: dict[str, dict[str, Any]] = defaultdict(dict)
    for name, file in files.items():
        folders[folder_of(name)][name] = file
    failed = False
    for folder, found in sorted(folders.items()):
        floor = 100.0 if folder in WHOLE else ELSEWHERE
        reached = percent([file["summary"] for file in found.values()])
        short = reached < floor
        failed |= short
        print(f"{folder:<12} {reached:6.2f} % of lines and branches, {floor:.0f} % wanted{'  SHORT' if short else ''}")
        if short:
            print(*(gaps(name, file) for name, file in found.items() if percent([file["summary"]]) < floor), sep="\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
