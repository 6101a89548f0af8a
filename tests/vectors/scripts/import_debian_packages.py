"""Import the packages of the recorded boots from Debian's archive, for tests without a network.

    python import_debian_packages.py MIRROR SECURITY_MIRROR KEYRINGS OUT

MIRROR and SECURITY_MIRROR are the archive's URLs (or folders), KEYRINGS the folder of Debian's keyrings. OUT has
`installed.txt` already and gets both `InRelease` files, the keyrings that vouch for them, and `reference.json.xz`: the
digest of every file with its provenance, as `bartizan reference import deb` made it. The archive drops superseded
versions: what is no longer there is named, and nothing is written.
"""

import lzma
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from bartizan.connectors.debian.mirror import open_mirror

SUITES = ("bookworm", "bookworm-security")
SAMPLE = "pool/main/b/bzip2/libbz2-1.0_1.0.8-5+b1_amd64.deb"
"""A package as Debian built it, small and free to hand on, for the decoder's tests."""


def main(mirrors: tuple[str, str], keyrings: Path, out: Path) -> int:
    with tempfile.TemporaryDirectory() as work:
        for mirror, suite in zip(mirrors, SUITES, strict=True):
            automatic = keyrings / f"debian-archive-{suite}-automatic.gpg"
            options = ["--mirror", mirror, "--suite", suite, "--keyring", automatic, "--name", "debian-packages"]
            options += ["--store", f"{work}/store.db", "--installed", out / "installed.txt", "--out", f"{work}/set"]
            run = subprocess.run(
                [sys.executable, "-m", "bartizan", "reference", "import", "deb", *options], check=False
            )
            (out / f"InRelease.{suite}").write_bytes(
                open_mirror(mirror).fetch(f"dists/{suite}/InRelease", limit=1 << 24)
            )
            shutil.copyfile(automatic, out / f"keyring.{suite}.gpg")
        if run.returncode:
            return run.returncode
        raw = Path(work, "set", "reference.json").read_bytes()
        (out / "reference.json.xz").write_bytes(lzma.compress(raw, preset=9))
    (out / Path(SAMPLE).name).write_bytes(open_mirror(mirrors[0]).fetch(SAMPLE, limit=1 << 20))
    return 0


if __name__ == "__main__":
    sys.exit(main((sys.argv[1], sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4])))
