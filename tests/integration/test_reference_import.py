"""`bartizan reference import deb` on a repository made here: good, and broken at each link."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from bartizan.app.reference_folder import read_reference
from tests.integration.importing import ALL, LIBRARY, SHELL, imported
from tests.simulator.debian_repository import NOW, Keys, Package, Repository
from tests.unit.cli_runner import Ran, run


def refusal(ran: Ran) -> tuple[int, str]:
    """Exit code, and the rule that failed or what could not be used."""
    return ran.code, ran.document["error"]["what"]


class Quiet(SimpleHTTPRequestHandler):
    """A web server that says nothing on the terminal."""

    def log_message(self, *_: object) -> None: ...


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """A folder by http on this machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_signed_suite_becomes_reference_values_with_their_provenance(repository: Repository, keys: Keys) -> None:
    ran = imported(repository)
    found = read_reference(repository.folder.parent / "ref")
    by_path = {file.path: file for file in found.files}

    assert ran.code == 0, ran.out
    assert (ran.document["packages"], ran.document["added"], ran.document["files"]) == (3, 3, len(found.files))
    assert set(by_path) == {
        b"/usr/bin/dash",
        b"/usr/bin/sh",
        b"/usr/share/doc/dash/copyright",
        b"/usr/lib/x86_64-linux-gnu/libc.so.6",
        b"/etc/ld.so.conf.d/x.conf",
        b"/usr/share/zoneinfo/UTC",
    }
    assert by_path[b"/usr/bin/sh"].digest == by_path[b"/usr/bin/dash"].digest
    assert [path for path, file in by_path.items() if file.changeable] == [b"/etc/ld.so.conf.d/x.conf"]
    origin = by_path[b"/usr/lib/x86_64-linux-gnu/libc.so.6"].origin
    assert origin is not None
    assert (origin.package, origin.version, origin.architecture) == ("libc6", "2.36-9", "amd64")
    assert (origin.repository, origin.signer) == ("Test bookworm", keys.fingerprint("archive"))


def test_a_second_import_fetches_nothing_and_gives_the_same_set(repository: Repository) -> None:
    first = imported(repository)
    for package in ALL:
        (repository.folder / package.filename).unlink()
    second = imported(repository)

    assert (second.code, second.document["held"], second.document["fetched_bytes"]) == (0, 3, 0)
    assert second.document["digest"] == first.document["digest"]


def test_the_closure_of_a_node_is_taken_from_every_repository_imported_so_far(
    repository: Repository, tmp_path: Path, keys: Keys
) -> None:
    installed = tmp_path / "installed"
    installed.write_text("dash 1.0-1 amd64\nlibc6 2.36-9+deb12u1 amd64\nhalf-removed  amd64\n")
    first = imported(repository, "--installed", installed)
    security = Repository(
        folder=tmp_path / "security",
        keys=keys,
        codename="bookworm-security",
        packages=(replace(LIBRARY, version="2.36-9+deb12u1"),),
    )
    security.publish()
    second = imported(security, "--installed", installed, "--force", suite="bookworm-security")

    assert (first.code, first.document["missing"]) == (1, ["libc6 2.36-9+deb12u1 amd64"])
    assert (second.code, second.document["missing"], second.document["packages"]) == (0, [], 2)
    origins = {file.origin.repository for file in read_reference(tmp_path / "ref").files if file.origin}
    assert origins == {"Test bookworm", "Test bookworm-security"}


def test_a_limit_takes_the_first_packages_of_the_index(repository: Repository) -> None:
    assert imported(repository, "--limit", "1").document["packages"] == 1


def test_a_repository_signed_by_another_key_is_refused(repository: Repository) -> None:
    repository.publish(key="stranger")

    assert refusal(imported(repository)) == (1, "repository.signature")


def test_a_signature_over_sha1_is_refused(repository: Repository, keys: Keys) -> None:
    packed = (repository.dist / "main/binary-amd64/Packages.xz").read_bytes()
    signed = keys.clearsign(repository.release(packed), key="archive", digest="SHA1")
    (repository.dist / "InRelease").write_bytes(signed)

    assert refusal(imported(repository)) == (1, "repository.signature")


def changed(path: Path, old: bytes, new: bytes) -> None:
    raw = path.read_bytes()
    assert old in raw
    path.write_bytes(raw.replace(old, new, 1))


def test_a_changed_release_is_refused(repository: Repository) -> None:
    changed(repository.dist / "InRelease", b"Origin: Test", b"Origin: Tent")

    assert refusal(imported(repository)) == (1, "repository.signature")


def test_text_around_the_signed_part_is_refused(repository: Repository) -> None:
    path = repository.dist / "InRelease"
    path.write_bytes(b"Origin: Test\n" + path.read_bytes())

    assert refusal(imported(repository)) == (2, "InRelease")


def test_a_release_of_another_suite_is_refused(repository: Repository) -> None:
    repository.dist.rename(repository.folder / "dists" / "trixie")

    assert refusal(imported(repository, suite="trixie")) == (1, "repository.suite")


def test_an_expired_release_is_refused(repository: Repository) -> None:
    repository.valid_until = NOW - timedelta(seconds=1)
    repository.publish()

    assert refusal(imported(repository)) == (1, "repository.freshness")


def test_a_release_that_is_still_valid_is_accepted(repository: Repository) -> None:
    repository.valid_until = NOW + timedelta(seconds=1)
    repository.publish()

    assert imported(repository).code == 0


def test_a_release_from_the_future_is_refused(repository: Repository) -> None:
    repository.date = NOW + timedelta(days=1)
    repository.publish()

    assert refusal(imported(repository)) == (1, "repository.freshness")


def test_a_release_older_than_one_seen_before_is_refused(repository: Repository) -> None:
    assert imported(repository).code == 0
    repository.date -= timedelta(seconds=1)
    repository.publish()

    assert refusal(imported(repository)) == (1, "repository.rollback")


def test_a_changed_index_is_refused(repository: Repository) -> None:
    path = repository.dist / "main/binary-amd64/Packages.xz"
    path.write_bytes(path.read_bytes()[:-1] + b"!")

    assert refusal(imported(repository)) == (1, "repository.index")


def test_an_index_that_is_longer_than_listed_is_not_read_on(repository: Repository) -> None:
    path = repository.dist / "main/binary-amd64/Packages.xz"
    path.write_bytes(path.read_bytes() + bytes(1000))

    assert imported(repository).code == 3


def test_a_component_that_is_not_there_is_refused(repository: Repository) -> None:
    assert refusal(imported(repository, "--component", "contrib")) == (1, "repository.index")


def test_a_changed_package_is_named_and_left_out(repository: Repository) -> None:
    changed(repository.folder / SHELL.filename, b"data.tar", b"dada.tar")
    ran = imported(repository)

    assert ran.code == 1
    (refused,) = ran.document["refused"]
    assert refused["package"] == SHELL.filename
    assert refused["why"].startswith("repository.package: ")
    assert all(file.path != b"/usr/bin/dash" for file in read_reference(repository.folder.parent / "ref").files)


def test_a_package_that_is_gone_is_named_and_fetched_next_time(repository: Repository) -> None:
    target = repository.folder / LIBRARY.filename
    raw = target.read_bytes()
    target.unlink()
    first = imported(repository)
    target.write_bytes(raw)
    unforced = imported(repository)
    second = imported(repository, "--force")

    assert (unforced.code, "another set is there" in unforced.document["error"]["why"]) == (2, True)
    assert (first.code, [row["package"] for row in first.document["refused"]]) == (1, [LIBRARY.filename])
    assert (second.code, second.document["added"], second.document["held"]) == (0, 0, 3)


def test_a_package_that_calls_itself_otherwise_is_left_out(repository: Repository) -> None:
    class Liar(Package):
        def control(self) -> bytes:
            return super().control().replace(b"1.0-1", b"9.9-9")

        def paragraph(self, raw: bytes) -> bytes:
            return super().paragraph(raw).replace(b"9.9-9", b"1.0-1")

    repository.packages = (Liar(name="liar"),)
    repository.publish()

    assert "calls itself" in imported(repository).document["refused"][0]["why"]


def test_a_mirror_is_read_by_http_and_its_errors_are_said(repository: Repository) -> None:
    with served(repository.folder) as url:
        good, missing = imported(repository, mirror=url), imported(repository, mirror=f"{url}nowhere")

    assert good.code == 0
    assert missing.code == 3
    assert "404" in missing.document["error"]["what"]


def test_a_mirror_that_is_not_there_is_an_outside_failure(repository: Repository) -> None:
    assert imported(repository, mirror="http://127.0.0.1:9/").code == 3


@pytest.mark.parametrize("mirror", ["ftp://127.0.0.1/debian", "/nowhere/at/all", "file:/nowhere", "http://"])
def test_a_mirror_that_cannot_be_one_is_refused(repository: Repository, mirror: str) -> None:
    assert imported(repository, mirror=mirror).code == 2


def test_a_keyring_in_armour_is_refused_with_the_command_that_helps(repository: Repository, tmp_path: Path) -> None:
    armoured = tmp_path / "key.asc"
    armoured.write_text("-----BEGIN PGP PUBLIC KEY BLOCK-----\n")

    assert "gpg --dearmor" in imported(repository, "--keyring", armoured).document["error"]["why"]
    assert imported(repository, "--keyring", tmp_path / "none").code == 2


def test_a_missing_gpgv_is_said_with_its_package(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")

    assert "apt install gpgv" in imported(repository).document["error"]["why"]


def test_a_file_that_is_no_store_is_refused(repository: Repository, tmp_path: Path) -> None:
    (tmp_path / "store.db").write_bytes(b"certainly not a database, but long enough for one" * 40)

    assert imported(repository).code == 2


def test_another_database_and_another_version_are_refused(repository: Repository, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "store.db") as other:
        other.execute("CREATE TABLE mine (x)")
    other.close()
    first = imported(repository)
    (tmp_path / "store.db").unlink()
    imported(repository)
    with sqlite3.connect(tmp_path / "store.db") as changed_store:
        changed_store.execute("UPDATE store_version SET version = 99")
    changed_store.close()

    assert "not a package store" in first.document["error"]["why"]
    assert "version 99" in imported(repository).document["error"]["why"]


def test_a_list_of_packages_that_is_none_is_named_in_few_words(repository: Repository, tmp_path: Path) -> None:
    (tmp_path / "noise").write_bytes(bytes(range(200, 256)) * 5)

    error = imported(repository, "--installed", tmp_path / "noise").document["error"]

    assert error["what"] == f"{tmp_path / 'noise'}: list of installed packages"
    assert len(error["why"]) < 120


def test_the_terminal_gets_the_same_in_words(repository: Repository, tmp_path: Path) -> None:
    installed = tmp_path / "installed"
    installed.write_text("".join(f"gone{number} 1.0 amd64\n" for number in range(12)) + "dash 1.0-1 amd64\n")
    changed(repository.folder / SHELL.filename, b"data.tar", b"dada.tar")
    options = ["--mirror", repository.folder, "--suite", "bookworm", "--keyring", repository.keys.keyring("archive")]
    options += ["--store", tmp_path / "store.db", "--out", tmp_path / "ref", "--installed", installed]
    shown = run("reference", "import", "deb", *options)

    assert shown.code == 1
    for text in (
        "left out: dash 1.0-1",
        "no repository imported so far: gone0",
        "and 3 more",
        "Test bookworm of 2026-05-31",
    ):
        assert text in shown.out


def test_an_import_may_sign_its_set(repository: Repository, tmp_path: Path) -> None:
    key = ed25519.Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "key.pem").write_bytes(key)

    assert imported(repository, "--key", tmp_path / "key.pem").code == 0
    assert (tmp_path / "ref" / "reference.sig.json").is_file()


def test_more_files_than_a_set_may_hold_are_refused_after_they_are_stored(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bartizan.app.import_packages.MAX_FILES", 3)

    assert "--installed" in imported(repository).document["error"]["why"]
    assert imported(repository, "--limit", "1").document["held"] == 1


def test_an_index_is_asked_for_under_its_digest_where_the_release_says_so(repository: Repository) -> None:
    text = repository.release((repository.dist / "main/binary-amd64/Packages.xz").read_bytes())
    signed = repository.keys.clearsign(text.replace(b"SHA256:", b"Acquire-By-Hash: yes\nSHA256:"), key="archive")
    (repository.dist / "InRelease").write_bytes(signed)

    with served(repository.folder) as url:
        assert "by-hash/SHA256/" in imported(repository, mirror=url).document["error"]["what"]


def test_a_link_out_of_the_mirrors_folder_is_not_followed(repository: Repository, tmp_path: Path) -> None:
    target = repository.dist / "InRelease"
    target.rename(tmp_path / "InRelease")
    target.symlink_to(tmp_path / "InRelease")

    assert "leads out" in imported(repository).document["error"]["what"]


def test_large_files_are_fetched_one_by_one(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bartizan.connectors.repository.mirror.LARGE", 100)

    assert imported(repository).document["added"] == 3


def test_an_empty_package_and_an_empty_set_are_fine(repository: Repository) -> None:
    repository.packages = (Package(name="meta"), Package(name="links", files={"/usr/l": "nothing"}))
    repository.publish()

    assert imported(repository).document["files"] == 0
