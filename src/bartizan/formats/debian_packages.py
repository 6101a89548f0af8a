"""The Packages index of a Debian suite, and a node's list of installed packages. Neither is believed here."""

import re

from bartizan.errors import DecodeError
from bartizan.formats.deb822 import fields, paragraphs
from bartizan.formats.strict import decimal, hex_bytes
from bartizan.model.package import IndexedPackage, InstalledPackage

MAX_INDEX = 512 * 1024 * 1024
"""Bytes, unpacked; Debian's main for one architecture has about 50 MiB."""
MAX_PACKAGES = 500_000
"""Packages of one index; Debian's main for one architecture has about 65,000."""
MAX_INSTALLED = 64 * 1024 * 1024
SHA256_BYTES = 32
MAX_TEXT = 512
"""Characters of a name, version or file name."""
NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9+.-]*")
VERSION = re.compile(r"[0-9A-Za-z.+:~-]+")
"""Debian Policy 5.6.1 and 5.6.12; names in the wild hold capitals too."""
ARCHITECTURE = re.compile(r"[a-z0-9-]+")
FILENAME = re.compile(r"[A-Za-z0-9_+.~%:-]+(?:/[A-Za-z0-9_+.~%:-]+)*")
WHAT = "Packages"


def decode_packages(raw: bytes) -> tuple[IndexedPackage, ...]:
    """Every package of an index.

    Raises:
        DecodeError: a paragraph without name, version, architecture, file name, size and SHA-256, or with one that
            cannot be; too many of them.
    """
    if len(raw) > MAX_INDEX:
        raise DecodeError(WHAT, 0, f"{len(raw)} bytes are over the limit of {MAX_INDEX}")
    found: list[IndexedPackage] = []
    for offset, paragraph in paragraphs(raw, WHAT):
        if len(found) >= MAX_PACKAGES:
            raise DecodeError(WHAT, offset, f"more than {MAX_PACKAGES} packages")
        found.append(_package(fields(paragraph, offset=offset, what=WHAT), offset))
    return tuple(found)


def _package(said: dict[str, str], offset: int) -> IndexedPackage:
    try:
        name, version, architecture = said["package"], said["version"], said["architecture"]
        filename, size, sha256 = said["filename"].removeprefix("./"), said["size"], said["sha256"]
    except KeyError as error:
        raise DecodeError(WHAT, offset, f"a package without the field {error}") from error
    for text, form in ((name, NAME), (version, VERSION), (architecture, ARCHITECTURE), (filename, FILENAME)):
        _formed(text, form, offset)
    digest = hex_bytes(sha256, WHAT)
    if len(digest) != SHA256_BYTES or ".." in filename.split("/"):
        raise DecodeError(WHAT, offset, f"{name}: a SHA-256 digest and a file below the mirror expected")
    return IndexedPackage(
        name=name,
        version=version,
        architecture=architecture,
        filename=filename,
        size=decimal(size, WHAT),
        sha256=digest,
    )


def _formed(text: str, form: re.Pattern[str], offset: int) -> None:
    if len(text) > MAX_TEXT or not form.fullmatch(text):
        raise DecodeError(WHAT, offset, f"{text[:80]!a} is not a name, version, architecture or file of a package")


def decode_installed(raw: bytes) -> tuple[InstalledPackage, ...]:
    r"""A node's packages, as `dpkg-query -W -f '${Package} ${Version} ${Architecture}\n'` prints them.

    Packages that are known to dpkg but not installed have no version; those lines are left out.

    Raises:
        DecodeError: a line of another form, or too many of them.
    """
    what = "list of installed packages"
    if len(raw) > MAX_INSTALLED:
        raise DecodeError(what, 0, f"{len(raw)} bytes are over the limit of {MAX_INSTALLED}")
    found: dict[InstalledPackage, None] = {}
    offset = 0
    for line in raw.split(b"\n"):
        parts = line.decode("ascii", "replace").split()
        if len(parts) == len(("name", "version", "architecture")):
            for text, form in zip(parts, (NAME, VERSION, ARCHITECTURE), strict=True):
                _formed(text, form, offset)
            found[InstalledPackage(name=parts[0], version=parts[1], architecture=parts[2])] = None
        elif not (len(parts) == len(("name", "architecture")) and b"  " in line) and parts:
            raise DecodeError(what, offset, f"`name version architecture` expected, found {line[:80]!a}")
        if len(found) > MAX_PACKAGES:
            raise DecodeError(what, offset, f"more than {MAX_PACKAGES} packages")
        offset += len(line) + 1
    return tuple(found)
