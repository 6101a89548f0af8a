"""`bartizan reference import rpm` on the real repository of the vectors, and on made ones broken at each link."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bartizan.app.reference_folder import read_reference
from tests.architecture.tree import ROOT
from tests.integration.importing import Clock
from tests.simulator.debian_repository import Keys
from tests.simulator.rpm_repository import CONFIGURATION, Rpm, RpmRepository, string, strings
from tests.simulator.tpm_ca import ca, ec_key, issue
from tests.unit.cli_runner import Ran, run
from tests.unit.test_rpm import ima

REAL = ROOT / "tests" / "vectors" / "rpm"
BASH = Rpm(
    name="bash",
    version="5.1",
    files={b"/bin/bash": b"a shell", b"/bin/sh": "bash", b"/etc/bashrc": b"setting"},
    flags={b"/etc/bashrc": CONFIGURATION},
)
GLIBC = Rpm(name="glibc", version="2.34", files={b"/lib64/libc.so.6": b"a library"})
ALL = (BASH, GLIBC, Rpm(name="tzdata", arch="noarch", files={b"/usr/share/zoneinfo/UTC": b"time"}))


@pytest.fixture
def made(tmp_path: Path, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> Iterator[RpmRepository]:
    """A small signed repository, current by the clock of the command that imports it."""
    monkeypatch.setattr("bartizan.cli.commands.reference_import.datetime", Clock)
    repository = RpmRepository(folder=tmp_path / "mirror", keys=keys, packages=ALL)
    repository.publish()
    return repository


def imported(repository: RpmRepository, *more: str | Path) -> Ran:
    where = repository.folder.parent
    return run(
        *("reference", "import", "rpm", "--json", "--mirror", repository.folder, "--repository", "test"),
        *(
            "--keyring",
            repository.keys.keyring("archive"),
            "--store",
            where / "store.db",
            "--out",
            where / "ref",
            *more,
        ),
    )


def refusal(ran: Ran) -> tuple[int, str]:
    return ran.code, ran.document["error"]["what"]


def test_a_real_repository_becomes_reference_values(tmp_path: Path) -> None:
    words = ("--mirror", REAL, "--repository", "vectors", "--keyring", REAL / "keyring.gpg")
    ran = run("reference", "import", "rpm", *words, "--store", tmp_path / "s.db", "--out", tmp_path / "ref", "--json")
    found = read_reference(tmp_path / "ref")

    assert (ran.code, ran.document["added"]) == (1, 2)
    assert [row["package"] for row in ran.document["refused"]] == ["noarch/old-1.0-1.noarch.rpm"]
    by_path = {file.path: file for file in found.files if file.origin and file.origin.version == "1.0-1"}
    assert set(by_path) == {b"/etc/tiny.conf", b"/usr/bin/tiny", b"/usr/bin/tiny-hard", b"/usr/bin/tiny-link"}
    assert by_path[b"/usr/bin/tiny"].digest == hashlib.sha256(b"tiny 1\n").digest()
    assert by_path[b"/etc/tiny.conf"].changeable


def test_a_signed_repository_becomes_reference_values_with_their_provenance(made: RpmRepository, keys: Keys) -> None:
    ran = imported(made)
    by_path = {file.path: file for file in read_reference(made.folder.parent / "ref").files}

    assert (ran.code, ran.document["packages"], ran.document["added"]) == (0, 3, 3)
    assert set(by_path) == {
        *(b"/usr/bin/bash", b"/usr/bin/sh", b"/etc/bashrc", b"/usr/lib64/libc.so.6", b"/usr/share/zoneinfo/UTC")
    }
    origin = by_path[b"/usr/lib64/libc.so.6"].origin
    assert origin is not None
    assert (origin.package, origin.version, origin.architecture) == ("glibc", "2.34-1", "x86_64")
    assert (origin.repository, origin.signer) == ("test", keys.fingerprint("archive"))


def test_an_import_goes_on_where_it_stopped(made: RpmRepository) -> None:
    first = imported(made, "--limit", "2")
    (made.folder / BASH.filename).unlink()
    second = imported(made, "--force")

    assert (first.document["added"], second.document["held"], second.document["added"]) == (2, 2, 1)
    assert (second.code, second.document["packages"]) == (0, 3)


def test_the_closure_of_a_node_is_what_rpm_qa_names(made: RpmRepository, tmp_path: Path) -> None:
    installed = tmp_path / "installed"
    installed.write_text("bash-5.1-1.x86_64\nglibc-2.35-1.x86_64\ngpg-pubkey-1-2.(none)\n")
    first = imported(made, "--installed", installed)
    made.packages = (replace(GLIBC, version="2.35"),)
    made.date += 1
    made.publish()
    second = imported(made, "--installed", installed, "--force")

    assert (first.code, first.document["missing"]) == (1, ["glibc 2.35-1 x86_64"])
    assert (second.code, second.document["missing"], second.document["packages"]) == (0, [], 2)


@pytest.mark.parametrize("form", ["xz", ""])
def test_the_list_may_be_packed_otherwise(made: RpmRepository, form: str) -> None:
    made.form = form
    made.publish()

    assert imported(made).code == 0


def test_a_list_packed_with_zstd_is_refused_with_its_reason(made: RpmRepository) -> None:
    made.form = "zst"
    made.publish()
    ran = imported(made)

    assert ran.code == 2
    assert "only xz, gz and not packed can be read" in ran.document["error"]["why"]


def changed(path: Path, old: bytes, new: bytes) -> None:
    raw = path.read_bytes()
    assert old in raw
    path.write_bytes(raw.replace(old, new, 1))


def test_a_repository_signed_by_another_key_is_refused(made: RpmRepository) -> None:
    made.publish(key="stranger")

    assert refusal(imported(made)) == (1, "repository.signature")


def test_a_changed_repomd_is_refused(made: RpmRepository) -> None:
    changed(made.folder / "repodata" / "repomd.xml", b"<revision>1", b"<revision>2")

    assert refusal(imported(made)) == (1, "repository.signature")


def test_a_repository_that_is_not_signed_is_an_outside_failure(made: RpmRepository) -> None:
    (made.folder / "repodata" / "repomd.xml.asc").unlink()

    assert imported(made).code == 3


def test_a_changed_list_is_refused(made: RpmRepository) -> None:
    changed(made.folder / "repodata" / "primary.xml.gz", b"\x1f\x8b", b"\x1f\x8c")

    assert refusal(imported(made)) == (1, "repository.index")


def test_a_list_under_a_weaker_digest_is_refused(made: RpmRepository) -> None:
    made.checksum = "sha"
    made.publish()

    assert refusal(imported(made)) == (1, "repository.index")


def test_a_repository_older_than_one_seen_before_is_refused(made: RpmRepository) -> None:
    assert imported(made).code == 0
    made.date -= 1
    made.publish()

    assert refusal(imported(made)) == (1, "repository.rollback")


def test_a_repository_from_the_future_is_refused(made: RpmRepository) -> None:
    made.date += 86_400
    made.publish()

    assert refusal(imported(made)) == (1, "repository.freshness")


def test_a_changed_package_is_named_and_left_out(made: RpmRepository) -> None:
    changed(made.folder / BASH.filename, b"payload", b"paylaod")
    ran = imported(made)

    assert ran.code == 1
    (refused,) = ran.document["refused"]
    assert refused["package"] == BASH.filename
    assert refused["why"].startswith("repository.package: ")


def refused_one(repository: RpmRepository, package: Rpm, *more: str | Path) -> str:
    """Why the only package of a repository is left out."""
    repository.packages = (package,)
    repository.publish()
    ran = imported(repository, *more)
    assert (ran.code, ran.document["packages"]) == (1, 0)
    why: str = ran.document["refused"][0]["why"]
    return why


def test_a_package_that_belies_itself_is_left_out(made: RpmRepository) -> None:
    assert "its own digest of its payload" in refused_one(made, replace(BASH, tags={5092: strings([b"ab" * 32])}))
    assert "calls itself" in refused_one(made, replace(BASH, tags={1001: string("9.9")}), "--force")


def test_a_packages_own_signature_must_not_be_bad(made: RpmRepository, keys: Keys) -> None:
    made.packages = (
        replace(BASH, sign=lambda raw: keys.detached(raw, key="archive")),
        replace(GLIBC, sign=lambda raw: keys.detached(raw, key="stranger")),
    )
    made.publish()

    assert (imported(made).code, imported(made).document["packages"]) == (0, 2)
    bad = replace(ALL[2], sign=lambda raw: keys.detached(raw + b"x", key="archive"))
    assert "its own signature is bad" in refused_one(made, bad, "--force")


FILE_KEY = rsa.generate_private_key(65537, 2048)


def signed_files(package: Rpm, key: rsa.RSAPrivateKey) -> Rpm:
    contents = [package.files[path] for path in sorted(package.files)]
    texts = [
        ima(key.sign(some, padding.PKCS1v15(), hashes.SHA256())).hex().encode() if isinstance(some, bytes) else b""
        for some in contents
    ]
    return replace(package, protection={274: strings(texts)})


def test_ima_signatures_are_demanded_by_key(made: RpmRepository, tmp_path: Path) -> None:
    public = tmp_path / "ima.pem"
    public.write_bytes(FILE_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    other = rsa.generate_private_key(65537, 2048)
    made.packages = (signed_files(BASH, FILE_KEY), signed_files(GLIBC, other), ALL[2])
    made.publish()
    ran = imported(made, "--ima-key", public)

    assert (ran.code, ran.document["packages"]) == (1, 1)
    assert [row["why"] for row in ran.document["refused"]] == [
        f"repository.ima-signature: {GLIBC.filename}: no given key made the IMA signature of /lib64/libc.so.6",
        f"repository.ima-signature: {ALL[2].filename}: /usr/share/zoneinfo/UTC has no IMA signature",
    ]


@pytest.mark.parametrize("form", [Encoding.DER, Encoding.PEM])
def test_a_file_key_may_be_a_certificate(made: RpmRepository, tmp_path: Path, form: Encoding) -> None:
    from cryptography.x509 import load_der_x509_certificate  # noqa: PLC0415  # of one test only

    raw = load_der_x509_certificate(issue(ca(), ec_key("Test TPM CA"))).public_bytes(form)
    (tmp_path / "ima.crt").write_bytes(raw)
    ran = imported(made, "--ima-key", tmp_path / "ima.crt")

    assert {row["why"].rpartition(" has ")[2] for row in ran.document["refused"]} == {"no IMA signature"}


@pytest.mark.parametrize("kind", ["junk", "Ed25519"])
def test_what_can_sign_no_file_is_refused(made: RpmRepository, tmp_path: Path, kind: str) -> None:
    key = ed25519.Ed25519PrivateKey.generate().public_key()
    raw = b"junk" if kind == "junk" else key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "key").write_bytes(raw)

    assert imported(made, "--ima-key", tmp_path / "key").code == 2


def test_people_read_the_same(made: RpmRepository) -> None:
    where = made.folder.parent
    ran = run(
        *("reference", "import", "rpm", "--mirror", made.folder, "--keyring", made.keys.keyring("archive")),
        *("--store", where / "store.db", "--out", where / "ref"),
    )

    assert ran.code == 0
    assert "3 packages added" in ran.out
