"""The recorded boots against Reference Values that nobody proposed and for which nobody typed a hash.

Files come from signed Debian packages, byte code and the loader's cache by the shipped rules, boot images from Debian's
packages, and the image's own parts (grub.cfg, GRUB's commands, command line, /opt/agent) from its files. The firmware
is the platform's: its values come from a RIM as its maker would give it, made here of the log's firmware events, since
no maker gives one for an emulated machine. `tests/vectors/debian` was imported from Debian's archive.
"""

import csv
import hashlib
import lzma
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from bartizan.app.reference_folder import read_reference, write_reference
from bartizan.formats.ima import decode_ima
from bartizan.formats.tcg_log import decode_boot_log
from bartizan.model.reference import ReferenceFile, ReferenceSet
from tests.simulator.machine import log_bytes
from tests.unit import xml_signing
from tests.unit.cli_runner import BOOTS, Ran, run
from tests.unit.image_disks import recorded_boot
from tests.unit.test_swid import tag

DEBIAN = BOOTS.parent / "debian"
ROWS = {row["boot"]: row for row in csv.DictReader((BOOTS / "expected.tsv").read_text().splitlines(), delimiter="\t")}
JUDGED = [boot for boot, row in ROWS.items() if row["level"] != "-"]
OWN = b"/opt/agent/"


FIRMWARE = frozenset({0, 1, 2, 3, 6, 7})
"""PCRs of the platform: what no operating system's image changes."""


RIM = "https://trustedcomputinggroup.org/wp-content/uploads/TCG_RIM_Model"


def firmware(folder: Path) -> None:
    """A set imported from a signed RIM of the platform."""
    log = decode_boot_log((BOOTS / "good" / "bios_at_quote.bin").read_bytes())
    raw = log_bytes(event for event in log.events if event.pcr in FIRMWARE)
    listed = f'<File name="f.rimel" size="{len(raw)}" a:hash="{hashlib.sha256(raw).hexdigest()}"/>'
    meta = f'<Meta xmlns:rim="{RIM}" rim:bindingSpec="PC Client RIM" rim:bindingSpecVersion="1.2"/>'
    maker = ec.derive_private_key(5, ec.SECP256R1())
    (folder / "f.rimel").write_bytes(raw)
    (folder / "f.swidtag").write_bytes(xml_signing.sign(tag(f"{meta}<Payload>{listed}</Payload>"), maker))
    public = maker.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (folder / "maker.pem").write_bytes(public)
    words = ("reference", "import", "rim", folder / "f.swidtag", "--support", folder / "f.rimel")
    ran = run(*words, "--cert", folder / "maker.pem", "--out", folder / "firmware")
    assert ran.code == 0, ran.err


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    """Packages, the image's own set, the platform's, and the key that signed all three."""
    folder = tmp_path_factory.mktemp("sets")
    (folder / "packages").mkdir()
    (folder / "packages" / "reference.json").write_bytes(lzma.decompress((DEBIAN / "reference.json.xz").read_bytes()))
    own = ReferenceSet(name="own", source="the image", events=recorded_boot().events, files=agent(), digest="")
    write_reference(own, folder / "own")
    firmware(folder)
    key = ed25519.Ed25519PrivateKey.generate()
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (folder / "key.pub").write_bytes(public)
    for name in ("packages", "own", "firmware"):
        assert run("reference", "sign", folder / name, "--key", folder / "key.pem").code == 0
    return folder / "packages", folder / "own", folder / "firmware", folder / "key.pub"


def agent() -> tuple[ReferenceFile, ...]:
    """The image's own programs, by the digests that stand in the list: the files are not kept."""
    entries = decode_ima((BOOTS / "good" / "ima_at_quote.bin").read_bytes()).entries
    return tuple(
        ReferenceFile(path=entry.path, alg=entry.digest_alg, digest=entry.digest)
        for entry in entries
        if entry.path.startswith(OWN)
    )


def judged(boot: str, sets: tuple[Path, ...]) -> Ran:
    *folders, key = sets
    named = [word for folder in folders for word in ("--reference", folder)]
    options = ("--reference-key", key, "--policy", "packaged")
    return run("appraise", BOOTS / boot, *named, *options, "--roots", BOOTS, "--json")


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


def test_provenance_is_shown_for_every_boot_event(sets: tuple[Path, ...]) -> None:
    for folder in sets[1:3]:
        rows = run("reference", "show", folder, "--json").document["events"]
        assert rows
        assert all(row["provenance"] for row in rows)
    said = {row["label"]: row["provenance"] for row in run("reference", "show", sets[1], "--json").document["events"]}
    assert said["kernel 6.1.0-56-cloud-amd64"] == "linux-image-6.1.0-56-cloud-amd64 6.1.192-2"
    assert said["file: (hd0,gpt1)/EFI/debian/grub.cfg"] == "configuration that GRUB reads, a file of the image"
