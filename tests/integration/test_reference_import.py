"""`bartizan reference import deb` on a repository made here: good, and broken at each link."""

import sqlite3
import threading
from dataclasses import replace
from datetime import timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bartizan.app.reference_folder import read_reference
from tests.integration.importing import ALL, LIBRARY, SHELL, imported
from tests.simulator.debian_repository import NOW, Keys, Package, Repository
from tests.unit.cli_runner import Ran


def refusal(ran: Ran) -> tuple[int, str]:
    """Exit code, and the rule that failed or what could not be used."""
    return ran.code, ran.document["error"]["what"]


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
    second = imported(security, "--installed", installed, suite="bookworm-security")

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
    second = imported(repository)

    assert (first.code, [row["package"] for row in first.document["refused"]]) == (1, [LIBRARY.filename])
    assert (second.code, second.document["added"], second.document["held"]) == (0, 1, 2)


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
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(repository.folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_address[1]}/"
        good, missing = imported(repository, mirror=url), imported(repository, mirror=f"{url}nowhere")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

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
