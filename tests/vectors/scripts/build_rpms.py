"""Build the signed RPM repository of the tests with rpmbuild, rpmsign, createrepo_c and gpg (apt: rpm, createrepo-c).

    python build_rpms.py OUT

OUT gets the repository, the keyring that vouches for it, and `dump.txt`: what `rpm -qp --dump` says of each package,
as a second opinion. The key is made for this and thrown away, so that a new run gives other bytes of the same meaning.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SPEC = """
Name: {name}
Version: 1.0
Release: {release}
{epoch}
Summary: A package of the tests
License: Apache-2.0
BuildArch: {arch}
%description
A package of the tests.
%install
mkdir -p %{{buildroot}}/usr/bin %{{buildroot}}/etc %{{buildroot}}/usr/share/{name}
echo {name} {release} > %{{buildroot}}/usr/bin/{name}
echo setting > %{{buildroot}}/etc/{name}.conf
ln -s {name} %{{buildroot}}/usr/bin/{name}-link
ln %{{buildroot}}/usr/bin/{name} %{{buildroot}}/usr/bin/{name}-hard
%files
/usr/bin/*
%config(noreplace) /etc/{name}.conf
%dir /usr/share/{name}
%ghost /usr/share/{name}/made-later
"""
PACKAGES = (
    {"name": "tiny", "release": "1", "epoch": "", "arch": "noarch"},
    {"name": "tiny", "release": "2", "epoch": "Epoch: 3", "arch": "noarch"},
    {"name": "old", "release": "1", "epoch": "", "arch": "noarch"},
)
OLD = ("--define", "_source_filedigest_algorithm 1", "--define", "_binary_filedigest_algorithm 1")
"""How packages were built before 2009: MD5 of each file, which nothing can be compared with."""
MAIL = "rpm@example.org"


def run(*command: str | Path, **more: str) -> str:
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ | more)
    return done.stdout


def build(work: Path, package: dict[str, str], out: Path) -> None:
    spec = work / f"{package['name']}.spec"
    spec.write_text(SPEC.format(**package), encoding="ascii")
    defined = ("--define", f"_topdir {work}", "--define", "_buildhost example.org", "--define", "_rpmdir " + str(out))
    run("rpmbuild", "-bb", *defined, *(OLD if package["name"] == "old" else ()), spec)


def main(out: Path) -> None:
    with tempfile.TemporaryDirectory() as made:
        work, home = Path(made), Path(made, "gnupg")
        home.mkdir(mode=0o700)
        gpg = ("gpg", "--batch", "--homedir", home)
        run(*gpg, "--passphrase", "", "--quick-gen-key", f"rpm <{MAIL}>", "rsa2048", "sign", "never")
        for package in PACKAGES:
            build(work, package, out)
        packages = sorted(out.glob("noarch/*.rpm"))
        macros = (f"_gpg_name {MAIL}", f"_gpg_path {home}", f"__gpg {shutil.which('gpg')}")
        defined = [word for macro in macros for word in ("--define", macro)]
        run("rpmsign", "--addsign", *defined, *(path for path in packages if "tiny" in path.name))
        run("createrepo_c", "--no-database", "--simple-md-filenames", out)
        run(*gpg, "--armor", "--detach-sign", out / "repodata" / "repomd.xml")
        for unused in ("filelists", "other"):
            (out / "repodata" / f"{unused}.xml.gz").unlink()
        exported = subprocess.run([*gpg, "--export"], check=True, capture_output=True).stdout
        (out / "keyring.gpg").write_bytes(exported)
        dumps = (f"{path.name}\n{run('rpm', '-qp', '--dump', path)}" for path in packages)
        (out / "dump.txt").write_text("".join(dumps), encoding="ascii")
        subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=False)


if __name__ == "__main__":
    shutil.rmtree(sys.argv[1], ignore_errors=True)
    main(Path(sys.argv[1]))
