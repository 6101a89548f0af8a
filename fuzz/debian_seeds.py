"""Seeds for the decoders of Debian and RPM repositories: small texts and packages of every form, some of them real."""

import gzip
import json
from collections.abc import Iterator

from bartizan.formats.reference_signature import FORMAT
from fuzz.seeds import files
from tests.simulator.debian_repository import Package
from tests.simulator.rpm_repository import Rpm, strings

DIGEST = b"ab" * 32
PACKAGE = Package(name="p", files={"/usr/": b"", "/usr/a": b"one", "/usr/l": "a"}, conffiles=("/usr/a",), form="")


def packages() -> Iterator[bytes]:
    """Packages packed in each way."""
    yield PACKAGE.deb()
    yield Package(name="p", files={"/usr/share/" + "long/" * 30 + "name": b"one"}, form="gz").deb()
    yield from files("debian/*.deb")()


def release() -> Iterator[bytes]:
    """A Release with one index."""
    listed = b" " + DIGEST + b" 12 main/binary-amd64/Packages.xz\n"
    yield (
        b"Suite: stable\nDate: Sat, 01 Feb 2026 10:16:37 UTC\nValid-Until: Sun, 1 Mar 2026 00:00:00 GMT\nSHA256:\n"
        + listed
    )


def index() -> Iterator[bytes]:
    """An index of two packages."""
    yield PACKAGE.paragraph(PACKAGE.deb()) * 2


def installed() -> Iterator[bytes]:
    """What a node has."""
    yield b"dash 0.5.12-2 amd64\nlibc6 1:2.36-9+deb12u14 amd64\ngone  amd64\n"


def clearsigned() -> Iterator[bytes]:
    """A frame with everything that one may hold."""
    yield (
        b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\nOrigin: Test\n- -----dashes\n"
        b"-----BEGIN PGP SIGNATURE-----\n\niQIz\n-----END PGP SIGNATURE-----\n"
    )


def status() -> Iterator[bytes]:
    """One good signature, and one whose key is missing."""
    valid = b"VALIDSIG AA 2026-07-11 1783765031 0 4 0 1 8 01 BB"
    for line in (b"GOODSIG CC Somebody\n[GNUPG:] " + valid, b"ERRSIG DD 1 8 01 1783765031 9 EE\n[GNUPG:] NO_PUBKEY DD"):
        yield b"[GNUPG:] NEWSIG\n[GNUPG:] " + line + b"\n"


def signatures() -> Iterator[bytes]:
    """Signatures beside a set."""
    row = {"key": "ab" * 32, "algorithm": "ed25519", "signature": "AAAA"}
    yield json.dumps({"format": FORMAT, "signatures": [row]}).encode()


IMA = bytes.fromhex("0302040102030400017a")


def rpms() -> Iterator[bytes]:
    """Packages of rpmbuild, and a small one with everything that is looked at."""
    yield from files("rpm/noarch/*.rpm")()
    contents: dict[bytes, bytes | str | None] = {b"/usr/a": b"one", b"/usr/l": "a", b"/usr": None}
    yield Rpm(files=contents, protection={274: strings([b"", IMA.hex().encode(), b""])}).encode()


def ima_signatures() -> Iterator[bytes]:
    """A signature in security.ima."""
    yield IMA


def rpm_lists() -> Iterator[bytes]:
    """A list of packages as createrepo_c writes it."""
    yield from map(gzip.decompress, files("rpm/repodata/primary.xml.gz")())


def installed_rpms() -> Iterator[bytes]:
    """What a node has, in both forms."""
    yield b"bash-5.1.8-9.el9.x86_64\nvim-common 2:9.0-1.el9 noarch\ngpg-pubkey-1-2.(none)\n"
