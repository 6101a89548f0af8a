"""Import the packages of the recorded boots from Debian's archive, for tests without a network.

    python import_debian_packages.py MIRROR SECURITY_MIRROR KEYRINGS OUT

MIRROR and SECURITY_MIRROR are the archive's URLs (or folders), KEYRINGS the folder of Debian's keyrings. OUT has
`installed.txt` and `earlier.txt` already and gets both `InRelease` files, the keyrings that vouch for them, and a set
for each list: the digest of every file with its provenance, as `bartizan reference import deb` made it. `earlier.txt`
has packages that the archive still holds an earlier version of, from which the recorded one was an update. The archive
drops superseded versions: what is no longer there is named, and nothing is written.
"""

import lzma
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from bartizan.connectors.repository.mirror import open_mirror

SUITES = ("bookworm", "bookworm-security")
KEYRING = "debian-archive-{}-automatic.gpg"
LISTS = {
    "installed.txt": ("debian-packages", "reference.json.xz"),
    "earlier.txt": ("debian-earlier", "earlier.json.xz"),
}
"""Lists of packages: what the set made of each is called, and where it is kept."""
SAMPLE = "pool/main/b/bzip2/libbz2-1.0_1.0.8-5+b1_amd64.deb"
"""A package as Debian built it, small and free to hand on, for the decoder's tests."""


def imported(work: Path, mirrors: tuple[str, str], keyrings: Path, *, installed: Path, name: str) -> bytes | None:
    """The set of the packages in a list, from both suites; None where one is not to be had."""
    for mirror, suite in zip(mirrors, SUITES, strict=True):
        options = ["--mirror", mirror, "--suite", suite, "--keyring", keyrings / KEYRING.format(suite), "--name", name]
        options += ["--store", work / "store.db", "--installed", installed, "--out", work / name, "--force"]
        run = subprocess.run([sys.executable, "-m", "bartizan", "reference", "import", "deb", *options], check=False)
    return None if run.returncode else (work / name / "reference.json").read_bytes()


def main(mirrors: tuple[str, str], keyrings: Path, out: Path) -> int:
    with tempfile.TemporaryDirectory() as work:
        for listed, (name, kept) in LISTS.items():
            raw = imported(Path(work), mirrors, keyrings, installed=out / listed, name=name)
            if raw is None:
                return 1
            (out / kept).write_bytes(lzma.compress(raw, preset=9))
    for mirror, suite in zip(mirrors, SUITES, strict=True):
        (out / f"InRelease.{suite}").write_bytes(open_mirror(mirror).fetch(f"dists/{suite}/InRelease", limit=1 << 24))
        shutil.copyfile(keyrings / KEYRING.format(suite), out / f"keyring.{suite}.gpg")
    (out / Path(SAMPLE).name).write_bytes(open_mirror(mirrors[0]).fetch(SAMPLE, limit=1 << 20))
    return 0


if __name__ == "__main__":
    sys.exit(main((sys.argv[1], sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4])))
