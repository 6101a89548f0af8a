"""What the architecture tests look at: the files of this repository, as git lists them."""

import subprocess
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
VECTORS = ROOT / "tests" / "vectors"


def listed_files() -> list[Path]:
    """Every file git tracks or would add, so that a new file is judged before its commit."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    names = listing.stdout.decode().split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def python_files() -> list[Path]:
    """Every Python file of the repository."""
    return [path for path in listed_files() if path.suffix == ".py"]


def text_files() -> list[tuple[Path, str]]:
    """Every text file with its text; recorded evidence is not ours to word and is left out."""
    found = []
    for path in listed_files():
        if path.is_relative_to(VECTORS) and path.suffix not in {".md", ".py", ".toml"}:
            continue
        try:
            found.append((path, path.read_text(encoding="utf-8")))
        except UnicodeDecodeError:
            continue
    return found


def project() -> dict[str, object]:
    """`pyproject.toml` as a mapping."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
