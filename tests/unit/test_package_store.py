"""The package store: whole packages or none, each once, whoever puts them in."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bartizan.errors import ConfigError
from bartizan.model.package import (
    IndexedPackage,
    InstalledPackage,
    PackageContent,
    PackagedFile,
    PackagedLink,
    PackageSource,
)
from bartizan.store.package_store import StoreSize, open_store

SOURCE = PackageSource(repository="Test bookworm", signer="AB" * 20)
THEN = datetime(2026, 1, 1, tzinfo=UTC)
CONTENT = PackageContent(
    name="p",
    version="1",
    architecture="all",
    files=(PackagedFile(path=b"/a", sha256=bytes(32), conffile=True), PackagedFile(path=b"/b\xff", sha256=bytes(32))),
    links=(PackagedLink(path=b"/c", target=b"a"),),
)
LISTED = IndexedPackage(name="p", version="1", architecture="all", filename="p.deb", size=1, sha256=b"\1" * 32)
INSTALLED = InstalledPackage(name="p", version="1", architecture="all")


def test_a_package_comes_back_as_it_was_put_in(tmp_path: Path) -> None:
    with open_store(tmp_path / "store.db") as store:
        assert store.add(LISTED, CONTENT, source_id=store.accept_release(SOURCE, THEN))
    with open_store(tmp_path / "store.db") as store:
        (found,) = store.packages([b"\2" * 32, LISTED.sha256])

        assert (found.content, found.source) == (CONTENT, SOURCE)
        assert store.holds() == {LISTED.sha256}
        assert store.find([INSTALLED]) == {INSTALLED: (LISTED.sha256,)}
        assert store.size() == StoreSize(packages=1, files=2, shared=1)


def test_a_package_that_another_process_put_in_meanwhile_is_not_put_in_twice(tmp_path: Path) -> None:
    with open_store(tmp_path / "store.db") as one, open_store(tmp_path / "store.db") as other:
        number = one.accept_release(SOURCE, THEN)

        assert one.add(LISTED, CONTENT, source_id=number)
        assert not other.add(LISTED, CONTENT, source_id=other.accept_release(SOURCE, THEN))
        assert other.size().files == 2


def test_the_newest_release_of_a_suite_is_remembered_and_never_goes_back(tmp_path: Path) -> None:
    with open_store(tmp_path / "store.db") as store:
        assert store.newest(SOURCE.repository) is None
        for days in (0, 2, 1):
            store.accept_release(SOURCE, THEN + timedelta(days=days))

        assert store.newest(SOURCE.repository) == THEN + timedelta(days=2)
        assert store.newest("another") is None


def test_a_store_that_cannot_be_made_is_a_mistake_of_the_operator(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be used"), open_store(tmp_path / "none" / "store.db"):
        pass
