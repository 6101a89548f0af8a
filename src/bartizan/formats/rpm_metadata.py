"""RPM repositories: repomd.xml, the list of packages (primary.xml), and a node's packages. Nothing is believed here.

createrepo_c(8), http://linux.duke.edu/metadata/repo and …/common. The list has hundreds of megabytes at times, so it is
read as it comes and only what is needed is kept.
"""

import re
from datetime import UTC, datetime
from typing import NoReturn
from xml.parsers import expat

from bartizan.errors import DecodeError
from bartizan.formats.debian_packages import MAX_INDEX, MAX_INSTALLED, MAX_PACKAGES
from bartizan.formats.strict import decimal, hex_bytes
from bartizan.formats.xml_tree import decode_xml
from bartizan.model.package import IndexedPackage, InstalledPackage, ListedFile
from bartizan.model.rpm import RpmMetadata
from bartizan.model.xml import XmlElement

REPO, COMMON = "http://linux.duke.edu/metadata/repo", "http://linux.duke.edu/metadata/common"
MAX_DATA = 64
"""Kinds of data in a repomd.xml; createrepo_c writes up to a dozen."""
MAX_DEPTH = 16
MAX_TEXT = 512
SHA256_BYTES = 32
LAST_SECOND = 253402300799
"""Of the year 9999."""
NAME = re.compile(r"[A-Za-z0-9_.+~^%{}-]{1,256}")
LOCATION = re.compile(r"[A-Za-z0-9_+.~^%:{}-]+(?:/[A-Za-z0-9_+.~^%:{}-]+)*")
EPOCH = re.compile(r"(?:[0-9]+|\(none\)):")
PUBLIC_KEYS = "gpg-pubkey"
"""What rpm lists among packages: keys."""
WHAT, LIST = "repomd.xml", "primary.xml"
SEPARATOR = " "
"""Between namespace and name, as expat hands them out; no name has one."""
WANTED = frozenset({"name", "arch", "checksum"})
"""Elements of a package whose text is kept."""


def decode_repomd(raw: bytes) -> RpmMetadata:
    """What a repository says of itself; data without a SHA-256 is left out.

    Raises:
        DecodeError: not such a document, no data at all, or a file that cannot be.
    """
    root = decode_xml(raw)
    if (root.namespace, root.local) != (REPO, "repomd"):
        raise DecodeError(WHAT, 0, f"repomd expected, found {root.local[:40]!a}")
    parts = [child for child in root.children if isinstance(child, XmlElement) and child.local == "data"]
    if not 0 < len(parts) <= MAX_DATA:
        raise DecodeError(WHAT, 0, f"1 to {MAX_DATA} kinds of data expected, found {len(parts)}")
    files: dict[str, tuple[str, ListedFile]] = {}
    newest = 0
    for part in parts:
        kind = _attribute(part, "type")
        if kind in files:
            raise DecodeError(WHAT, part.offset, f"{kind[:40]!a} stands twice")
        newest = max(newest, decimal(_text(part, "timestamp").partition(".")[0], WHAT))
        checksum = _child(part, "checksum")
        if _attribute(checksum, "type") == "sha256":
            path = _location(_attribute(_child(part, "location"), "href"), WHAT, part.offset)
            listed = ListedFile(
                size=decimal(_text(part, "size"), WHAT), sha256=_sha256(_joined(checksum), WHAT, part.offset)
            )
            files[kind] = (path, listed)
    if newest > LAST_SECOND:
        raise DecodeError(WHAT, 0, f"{newest} is no time")
    return RpmMetadata(date=datetime.fromtimestamp(newest, UTC), files=files)


def _child(element: XmlElement, local: str) -> XmlElement:
    found = [child for child in element.children if isinstance(child, XmlElement) and child.local == local]
    if len(found) != 1:
        raise DecodeError(WHAT, element.offset, f"one {local} expected, found {len(found)}")
    return found[0]


def _text(element: XmlElement, local: str) -> str:
    return _joined(_child(element, local))


def _joined(element: XmlElement) -> str:
    return "".join(child for child in element.children if isinstance(child, str)).strip()


def _attribute(element: XmlElement, local: str) -> str:
    found = next((one.value for one in element.attributes if one.local == local), None)
    if found is None:
        raise DecodeError(WHAT, element.offset, f"{element.local[:40]!a} without {local}")
    return found


def _location(text: str, what: str, offset: int) -> str:
    if len(text) > MAX_TEXT or not LOCATION.fullmatch(text) or ".." in text.split("/"):
        raise DecodeError(what, offset, f"{text[:80]!a} is no file below the repository")
    return text


def _sha256(text: str, what: str, offset: int) -> bytes:
    digest = hex_bytes(text, what)
    if len(digest) != SHA256_BYTES:
        raise DecodeError(what, offset, "a SHA-256 digest expected")
    return digest


def decode_primary(raw: bytes) -> tuple[IndexedPackage, ...]:
    """Every binary package of a list. The version is version and release; the epoch says nothing here and is left out.

    Raises:
        DecodeError: not such a list, a package without a name, version, architecture, location, size or SHA-256, or
            with one that cannot be; too many of them.
    """
    if len(raw) > MAX_INDEX:
        raise DecodeError(LIST, 0, f"{len(raw)} bytes are over the limit of {MAX_INDEX}")
    if 0 in raw:  # expat would take it for UTF-16
        raise DecodeError(LIST, raw.index(0), "UTF-8 without NUL expected")
    reader = _PrimaryReader()
    try:
        reader.parser.Parse(raw, True)
    except expat.ExpatError as error:
        why = expat.errors.messages.get(error.code, "malformed")
        raise DecodeError(LIST, max(reader.parser.ErrorByteIndex, 0), f"not XML: {why}") from error
    return tuple(reader.found)


class _PrimaryReader:
    """Turns expat's events into packages."""

    def __init__(self) -> None:
        self.found: list[IndexedPackage] = []
        self._depth = 0
        self._said: dict[str, str] = {}
        self._pieces: list[str] | None = None
        parser = self.parser = expat.ParserCreate("utf-8", SEPARATOR)
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._document_type
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text

    def _refuse(self, why: str) -> NoReturn:
        raise DecodeError(LIST, max(self.parser.CurrentByteIndex, 0), why)

    def _document_type(self, *_arguments: object) -> None:
        self._refuse("a document type is not accepted")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        namespace, _, local = name.rpartition(SEPARATOR)
        if self._depth == 0 and (namespace, local) != (COMMON, "metadata"):
            self._refuse(f"metadata expected, found {local[:40]!a}")
        if self._depth == 1:
            self._said = {"type": attributes.get("type", "")} if local == "package" else {}
        if self._depth == MAX_DEPTH:
            self._refuse(f"more than {MAX_DEPTH} levels")
        self._depth += 1
        if self._depth == len(("metadata", "package", "part")) and namespace == COMMON:
            self._part(local, attributes)

    def _part(self, local: str, attributes: dict[str, str]) -> None:
        for name, value in attributes.items():
            self._said[f"{local} {name}"] = value
        if local in WANTED:
            if local in self._said:
                self._refuse(f"{local} stands twice")
            self._pieces = []

    def _text(self, text: str) -> None:
        if self._pieces is not None:
            self._pieces.append(text)

    def _end(self, name: str) -> None:
        self._depth -= 1
        if self._pieces is not None:
            self._said[name.rpartition(SEPARATOR)[2]] = "".join(self._pieces)
            self._pieces = None
        if self._depth == 1 and self._said.get("type") == "rpm" and self._said.get("arch") not in ("src", "nosrc"):
            if len(self.found) >= MAX_PACKAGES:
                self._refuse(f"more than {MAX_PACKAGES} packages")
            self.found.append(self._package())

    def _package(self) -> IndexedPackage:
        said = self._said
        try:
            version = f"{said['version ver']}-{said['version rel']}"
            name, architecture, location = said["name"], said["arch"], said["location href"]
            size, kind, checksum = said["size package"], said["checksum type"], said["checksum"]
        except KeyError as error:
            self._refuse(f"a package without {error}")
        for text in (name, version, architecture):
            if not NAME.fullmatch(text):
                self._refuse(f"{text[:80]!a} is not a name, version or architecture of a package")
        if kind != "sha256":
            self._refuse(f"{name}: SHA-256 expected, found {kind[:40]!a}")
        return IndexedPackage(
            name=name,
            version=version,
            architecture=architecture,
            filename=_location(location, LIST, max(self.parser.CurrentByteIndex, 0)),
            size=decimal(size, LIST),
            sha256=_sha256(checksum, LIST, max(self.parser.CurrentByteIndex, 0)),
        )


def decode_installed_rpms(raw: bytes) -> tuple[InstalledPackage, ...]:
    r"""A node's packages, as `rpm -qa` prints them, or with `--qf '%{NAME} %{EVR} %{ARCH}\n'`; epochs are left out.

    Raises:
        DecodeError: a line of another form, or too many of them.
    """
    what = "list of installed packages"
    if len(raw) > MAX_INSTALLED:
        raise DecodeError(what, 0, f"{len(raw)} bytes are over the limit of {MAX_INSTALLED}")
    found: dict[InstalledPackage, None] = {}
    offset = 0
    for line in raw.split(b"\n"):
        words = line.decode("ascii", "replace").split()
        if words and not words[0].startswith(PUBLIC_KEYS):
            found[_installed(words, what, offset, line)] = None
        if len(found) > MAX_PACKAGES:
            raise DecodeError(what, offset, f"more than {MAX_PACKAGES} packages")
        offset += len(line) + 1
    return tuple(found)


def _installed(words: list[str], what: str, offset: int, line: bytes) -> InstalledPackage:
    if len(words) == 1:
        rest, _, architecture = words[0].rpartition(".")
        words = [*rest.rsplit("-", 2), architecture]
        words = [words[0], "-".join(words[1:-1]), words[-1]]
    if len(words) != len(("name", "version", "architecture")):
        raise DecodeError(what, offset, f"`name-version-release.architecture` expected, found {line[:80]!a}")
    name, version, architecture = words[0], EPOCH.sub("", words[1], count=1), words[2]
    if not all(NAME.fullmatch(text) for text in (name, version, architecture)) or "-" not in version:
        raise DecodeError(what, offset, f"`name-version-release.architecture` expected, found {line[:80]!a}")
    return InstalledPackage(name=name, version=version, architecture=architecture)
