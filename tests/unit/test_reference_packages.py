"""Reference Values from packages: under the paths that the kernel reports, each with its origin."""

import hashlib

import pytest

from bartizan.errors import DecodeError
from bartizan.formats.reference_file import decode_reference, encode_reference
from bartizan.model.package import PackageContent, PackagedFile, PackagedLink, PackageSource
from bartizan.model.reference import Origin, ReferenceFile, ReferenceSet
from bartizan.reference.packages import files_of, merged, origin_of

SOURCE = PackageSource(repository="Test bookworm", signer="AB" * 20)


def package(
    name: str, files: tuple[str, ...] = (), *, links: dict[str, str] | None = None, version: str = "1"
) -> tuple[Origin, PackageContent]:
    """A package whose files hold their own path."""
    content = PackageContent(
        name=name,
        version=version,
        architecture="amd64",
        files=tuple(PackagedFile(path=path.encode(), sha256=digest(path)) for path in files),
        links=tuple(PackagedLink(path=a.encode(), target=b.encode()) for a, b in (links or {}).items()),
    )
    return origin_of(content, SOURCE), content


def digest(path: str) -> bytes:
    return hashlib.sha256(path.encode()).digest()


def known(*packages: tuple[Origin, PackageContent]) -> dict[str, str]:
    """Path to the path under which its package has the content."""
    names = {digest(file.path.decode()): file.path.decode() for _, content in packages for file in content.files}
    return {file.path.decode(): names[file.digest] for file in files_of(packages)}


def test_the_old_top_folders_are_those_under_usr() -> None:
    assert known(
        package("p", ("/bin/a", "/sbin/b", "/lib/c/d.so", "/lib64/ld.so", "/library/e", "/bin", "/usr/bin/f"))
    ) == {
        "/usr/bin/a": "/bin/a",
        "/usr/sbin/b": "/sbin/b",
        "/usr/lib/c/d.so": "/lib/c/d.so",
        "/usr/lib64/ld.so": "/lib64/ld.so",
        "/library/e": "/library/e",
        "/bin": "/bin",
        "/usr/bin/f": "/usr/bin/f",
    }
    assert merged(b"/lib/x86_64-linux-gnu/libc.so.6") == b"/usr/lib/x86_64-linux-gnu/libc.so.6"


def test_a_link_to_a_file_is_known_under_its_own_path_too() -> None:
    found = known(
        package("p", ("/lib/libz.so.1.2", "/etc/x"), links={"/lib/libz.so.1": "libz.so.1.2", "/usr/x": "/etc/x"})
    )

    assert found["/usr/lib/libz.so.1"] == "/lib/libz.so.1.2"
    assert found["/usr/x"] == "/etc/x"


def test_links_across_packages_and_through_folders_are_followed() -> None:
    found = known(
        package("a", ("/usr/share/real/file",)),
        package("b", links={"/usr/share/alias": "real", "/usr/lib/up": "../share/./alias/file"}),
        package("c", ("/usr/share/alias/other",)),
    )

    assert found["/usr/lib/up"] == "/usr/share/real/file"
    assert found["/usr/share/real/other"] == found["/usr/share/alias/other"] == "/usr/share/alias/other"


def test_links_in_a_circle_and_to_nothing_are_left_out() -> None:
    circle = {"/usr/a": "b", "/usr/b": "a", "/usr/c": "nothing", "/usr/d/e": "/usr/a/x"}

    assert known(package("p", ("/usr/a/file", "/usr/f"), links=circle)) == {
        "/usr/a/file": "/usr/a/file",
        "/usr/f": "/usr/f",
    }


def test_each_version_keeps_its_own_values() -> None:
    files = list(files_of([package("p", ("/usr/a",), version="1"), package("p", ("/usr/a",), version="2")]))

    assert [(file.path, file.origin.version if file.origin else None) for file in files] == [
        (b"/usr/a", "1"),
        (b"/usr/a", "2"),
    ]


def test_origins_stand_once_in_a_document_and_come_back() -> None:
    packages = [package("b", ("/usr/a", "/usr/b")), package("a", ("/usr/c",))]
    own = ReferenceFile(path=b"/opt/x", alg="sha256", digest=bytes(32))
    files = (*files_of(packages), own)
    raw = encode_reference(ReferenceSet(name="n", source="s", events=(), files=files, digest=""))
    found = decode_reference(raw)

    assert raw.count(b'"repository": "Test bookworm"') == 2
    for number in (b"2", b"-1"):
        with pytest.raises(DecodeError, match="there is no origin"):
            decode_reference(raw.replace(b'"origin": 1', b'"origin": ' + number))
    assert set(found.files) == set(files)
    assert encode_reference(found) == raw
