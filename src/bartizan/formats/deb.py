"""A Debian binary package (deb(5)): the digest of every file, its links and conffiles. Scripts are not looked at."""

import re
from collections.abc import Iterator
from struct import Struct

from bartizan.errors import DecodeError
from bartizan.formats.deb822 import fields, paragraphs
from bartizan.formats.reader import Reader
from bartizan.formats.strict import decimal
from bartizan.formats.tar import FOLDER, HARD_LINK, REGULAR, SYMBOLIC_LINK, TarMember, tar_members
from bartizan.formats.unpack import Unpacked
from bartizan.model.package import PackageContent, PackagedFile, PackagedLink

MAX_DEB = 2 * 1024 * 1024 * 1024
"""Bytes of one package file; Debian's largest have about 1.3 GiB."""
MAX_UNPACKED = 16 * 1024 * 1024 * 1024
"""Bytes that a package may unpack to; it is hashed as it passes and never held."""
MAX_CONTROL = 64 * 1024 * 1024
"""Bytes of control.tar: maintainer scripts and lists."""
MAX_CONTROL_FILE = 4 * 1024 * 1024
MAX_MEMBERS = 16
"""Members of the outer archive; there are three, and signatures may be added."""
MAGIC = b"!<arch>\n"
MEMBER = Struct("16s12s6s6s8s10s2s")
MEMBER_END = b"`\n"
VERSION = re.compile(rb"2\.[0-9]{1,3}\n")
IGNORED = b"_"
"""Members whose name starts so may stand before the data and say nothing to dpkg."""
CONTROL, CONFFILES = b"/control", b"/conffiles"
WHAT = "package"


def decode_deb(raw: bytes) -> PackageContent:
    """The content of a package.

    Regular files and hard links are given with the SHA-256 of their content, under their path in the package; symbolic
    links as they are. Folders and devices are left out: nothing is ever read from them.

    Raises:
        DecodeError: not such a package, packed in a form that cannot be read, over a limit, a path that stands twice
            or leaves the root, a hard link to nothing.
    """
    if len(raw) > MAX_DEB:
        raise DecodeError(WHAT, 0, f"{len(raw)} bytes are over the limit of {MAX_DEB}")
    reader = Reader(raw)
    if reader.take(len(MAGIC), WHAT) != MAGIC:
        raise DecodeError(WHAT, 0, "not a Debian package: the archive's magic is missing")
    members = list(_members(reader))
    if not members or members[0][0] != b"debian-binary" or not VERSION.match(members[0][1]):
        raise DecodeError(WHAT, len(MAGIC), "debian-binary with version 2 expected first")
    parts = [(name, content) for name, content in members[1:] if not name.startswith(IGNORED)]
    stems = [name.split(b".")[0] + b".tar" for name, _ in parts]
    if stems != [b"control.tar", b"data.tar"]:
        raise DecodeError(WHAT, 0, f"control.tar and data.tar expected, found {[name for name, _ in parts]!a}")
    control, conffiles = _control(*parts[0])
    files, links = _data(*parts[1], conffiles)
    return PackageContent(
        name=control["package"],
        version=control["version"],
        architecture=control["architecture"],
        files=files,
        links=links,
    )


def _members(reader: Reader) -> Iterator[tuple[bytes, bytes]]:
    """The members of an ar archive."""
    count = 0
    while reader.remaining:
        count += 1
        if count > MAX_MEMBERS:
            raise reader.refuse(WHAT, f"more than {MAX_MEMBERS} archive members")
        name, _, _, _, _, size, end = reader.unpack(MEMBER, WHAT)
        if end != MEMBER_END:
            raise reader.refuse(WHAT, "the end of an archive member's header is missing")
        length = decimal(size.rstrip(b" ").decode("ascii", "replace"), WHAT)
        content = reader.take(length, WHAT)
        if length % 2 and reader.remaining and reader.take(1, WHAT) != b"\n":
            raise reader.refuse(WHAT, "padding between archive members")
        yield name.rstrip(b" ").removesuffix(b"/"), content


def _stream(name: bytes, content: bytes, *, limit: int) -> Unpacked:
    what = name.decode("ascii", "replace")
    return Unpacked(content, form=what.partition(".tar")[2].removeprefix("."), limit=limit, what=what[:20])


def _control(name: bytes, content: bytes) -> tuple[dict[str, str], frozenset[bytes]]:
    """The control file's fields and the paths of conffiles."""
    found: dict[bytes, bytes] = {}
    stream = _stream(name, content, limit=MAX_CONTROL)
    keep = frozenset((CONTROL, CONFFILES))
    for member in tar_members(stream, what="control.tar", keep=keep, keep_limit=MAX_CONTROL_FILE):
        if member.path in keep and found.setdefault(member.path, member.content) is not member.content:
            raise DecodeError("control.tar", 0, f"{member.path!a} stands twice")
    sections = list(paragraphs(found.get(CONTROL, b""), "control"))
    said = fields(sections[0][1], offset=0, what="control") if len(sections) == 1 else {}
    if not {"package", "version", "architecture"} <= said.keys():
        raise DecodeError("control", 0, "one paragraph with Package, Version and Architecture expected")
    lines = found.get(CONFFILES, b"").split(b"\n")
    return said, frozenset(line.removeprefix(b"remove-on-upgrade ").strip() for line in lines if line.strip())


def _data(
    name: bytes, content: bytes, conffiles: frozenset[bytes]
) -> tuple[tuple[PackagedFile, ...], tuple[PackagedLink, ...]]:
    digests: dict[bytes, bytes] = {}
    links: dict[bytes, bytes] = {}
    for member in tar_members(_stream(name, content, limit=MAX_UNPACKED), what="data.tar"):
        if member.kind == FOLDER:
            continue
        if member.path in digests or member.path in links:
            raise DecodeError("data.tar", 0, f"{member.path[:80]!a} stands twice")
        if member.kind == SYMBOLIC_LINK:
            links[member.path] = member.target
        elif member.kind in (REGULAR, HARD_LINK):
            digests[member.path] = _digest(member, digests)
    files = (PackagedFile(path=path, sha256=sha256, conffile=path in conffiles) for path, sha256 in digests.items())
    return tuple(files), tuple(PackagedLink(path=path, target=target) for path, target in links.items())


def _digest(member: TarMember, digests: dict[bytes, bytes]) -> bytes:
    if member.kind == REGULAR:
        return member.sha256
    if member.target not in digests:
        raise DecodeError("data.tar", 0, f"a hard link to {member.target[:80]!a}, which does not stand before it")
    return digests[member.target]
