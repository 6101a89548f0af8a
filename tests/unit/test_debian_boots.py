"""The recorded boots against Reference Values from signed Debian packages: nobody typed a hash.

Their boot chain and the image's own files come from one operator-signed set; files come from packages, byte code and
the loader's cache by the shipped rules. `tests/vectors/debian` was imported from Debian's archive.
"""

import csv
import lzma
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from bartizan.app.learn_reference import propose_from
from bartizan.app.reference_folder import read_reference, write_reference
from bartizan.formats.ima import decode_ima
from tests.unit.cli_runner import BOOTS, Ran, run

DEBIAN = BOOTS.parent / "debian"
ROWS = {row["boot"]: row for row in csv.DictReader((BOOTS / "expected.tsv").read_text().splitlines(), delimiter="\t")}
JUDGED = [boot for boot, row in ROWS.items() if row["level"] != "-"]
OWN = b"/opt/agent/"


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    """Packages, the operator's own set, and the key that signed both."""
    folder = tmp_path_factory.mktemp("sets")
    (folder / "packages").mkdir()
    (folder / "packages" / "reference.json").write_bytes(lzma.decompress((DEBIAN / "reference.json.xz").read_bytes()))
    boot = propose_from(BOOTS / "good")
    own = replace(boot, name="own", files=tuple(file for file in boot.files if file.path.startswith(OWN)))
    write_reference(own, folder / "own")
    key = ed25519.Ed25519PrivateKey.generate()
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (folder / "key.pub").write_bytes(public)
    for name in ("packages", "own"):
        assert run("reference", "sign", folder / name, "--key", folder / "key.pem").code == 0
    return folder / "packages", folder / "own", folder / "key.pub"


def judged(boot: str, sets: tuple[Path, ...]) -> Ran:
    packages, own, key = sets
    options = ("--reference", packages, "--reference", own, "--reference-key", key, "--policy", "packaged")
    return run("appraise", BOOTS / boot, *options, "--roots", BOOTS, "--json")


@pytest.mark.parametrize("boot", JUDGED)
def test_a_recorded_boot_gets_its_verdict_from_packages(boot: str, sets: tuple[Path, ...]) -> None:
    ran, row = judged(boot, sets), ROWS[boot]

    assert (ran.document["level"], ran.document["contraindicated"]) == (
        int(row["level"]),
        row["contraindicated"] == "yes",
    )
    assert ran.code == int(row["exit"])


def test_the_good_boot_says_where_its_files_come_from(sets: tuple[Path, ...]) -> None:
    findings = judged("good", sets).findings
    (known,) = [finding["why"] for finding in findings if finding["id"] == "ima.known-files"]
    generated = [finding["at"]["path"] for finding in findings if finding["id"] == "ima.generated-files"]

    assert known == (
        "all 109 measured files are known: 35 from 25 packages, 71 by rule as generated, 3 from other sets"
    )
    assert len(generated) == 71
    assert [path for path in generated if not path.endswith(".pyc")] == ["/etc/ld.so.cache"]


def test_every_measured_file_of_a_package_is_one_of_its_files(sets: tuple[Path, ...]) -> None:
    known = {(file.path, file.digest): file.origin for file in read_reference(sets[0]).files}
    entries = decode_ima((BOOTS / "good" / "ima_at_quote.bin").read_bytes()).entries
    origins = [known[entry.path, entry.digest] for entry in entries if (entry.path, entry.digest) in known]

    assert len(origins) == 35
    assert all(origin is not None and len(origin.signer) == 40 for origin in origins)
    assert {origin.repository for origin in origins if origin} == {
        "Debian bookworm",
        "Debian Debian-Security bookworm-security",
    }


def test_the_tampered_file_is_the_one_that_is_named(sets: tuple[Path, ...]) -> None:
    findings = judged("attack_disk_tamper", sets).findings

    assert [f["at"]["path"] for f in findings if f["id"] == "ima.known-files"] == ["/usr/bin/cut"]


def test_provenance_is_shown_for_an_entry(sets: tuple[Path, ...]) -> None:
    shown = run("reference", "show", sets[0], "--path", "/usr/bin/cut", "--json").document["files"]

    assert [row["origin"]["package"] for row in shown] == ["coreutils"]
