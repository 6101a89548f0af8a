"""Debian packages and a signed repository, made in a moment and broken at will, with throw-away keys."""

import gzip
import hashlib
import io
import lzma
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

NOW = datetime(2026, 6, 1, 12, 0, 0, tzinfo=UTC)


def ar(members: Mapping[str, bytes]) -> bytes:
    """An ar archive."""
    pieces = [b"!<arch>\n"]
    for name, content in members.items():
        pieces.append(f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode())
        pieces.append(content + b"\n" * (len(content) % 2))
    return b"".join(pieces)


def tar(files: Mapping[str, bytes | str], *, hard_links: Mapping[str, str] = {}) -> bytes:
    """A tar archive in GNU format; a text stands for a symbolic link to it, a name that ends in / for a folder."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f".{name}")
            if name.endswith("/"):
                member.type = tarfile.DIRTYPE
            elif isinstance(content, str):
                member.type, member.linkname = tarfile.SYMTYPE, content
            else:
                member.size = len(content)
            archive.addfile(member, io.BytesIO(content) if isinstance(content, bytes) else None)
        for name, target in hard_links.items():
            member = tarfile.TarInfo(f".{name}")
            member.type, member.linkname = tarfile.LNKTYPE, f".{target}"
            archive.addfile(member)
    return stream.getvalue()


@dataclass(frozen=True, kw_only=True)
class Package:
    """A package to be: its files by absolute path."""

    name: str
    version: str = "1.0-1"
    architecture: str = "amd64"
    files: Mapping[str, bytes | str] = field(default_factory=dict)
    conffiles: tuple[str, ...] = ()
    form: str = "xz"

    @property
    def filename(self) -> str:
        return f"pool/main/{self.name[0]}/{self.name}_{self.version}_{self.architecture}.deb"

    def control(self) -> bytes:
        return f"Package: {self.name}\nVersion: {self.version}\nArchitecture: {self.architecture}\n".encode()

    def deb(self) -> bytes:
        """The package file."""
        about: dict[str, bytes | str] = {"/": b"", "/control": self.control()}
        if self.conffiles:
            about["/conffiles"] = "".join(f"{path}\n" for path in self.conffiles).encode()
        pack = {"xz": lambda raw: lzma.compress(raw, preset=0), "gz": gzip.compress, "": bytes}[self.form]
        ending = f".{self.form}" if self.form else ""
        return ar(
            {
                "debian-binary": b"2.0\n",
                f"control.tar{ending}": pack(tar(about)),
                f"data.tar{ending}": pack(tar({"/": b"", **self.files})),
            }
        )

    def paragraph(self, raw: bytes) -> bytes:
        """Its entry in the index."""
        digest = hashlib.sha256(raw).hexdigest()
        return self.control() + f"Filename: {self.filename}\nSize: {len(raw)}\nSHA256: {digest}\n\n".encode()


@dataclass(kw_only=True)
class Repository:
    """A repository in a folder, signed anew by `publish`."""

    folder: Path
    keys: "Keys"
    origin: str = "Test"
    suite: str = "stable"
    codename: str = "bookworm"
    date: datetime = NOW - timedelta(days=1)
    valid_until: datetime | None = None
    packages: tuple[Package, ...] = ()

    @property
    def dist(self) -> Path:
        return self.folder / "dists" / self.codename

    def publish(self, *, key: str = "archive") -> None:
        """Write packages, index and a signed Release."""
        index = b""
        for package in self.packages:
            raw = package.deb()
            target = self.folder / package.filename
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(raw)
            index += package.paragraph(raw)
        packed = lzma.compress(index, preset=0)
        path = self.dist / "main" / "binary-amd64" / "Packages.xz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(packed)
        (self.dist / "InRelease").write_bytes(self.keys.clearsign(self.release(packed), key=key))

    def release(self, packed: bytes) -> bytes:
        """The text of the Release."""
        lines = [
            f"Origin: {self.origin}",
            f"Label: {self.origin}",
            f"Suite: {self.suite}",
            f"Codename: {self.codename}",
            f"Date: {format_datetime(self.date).replace('+0000', 'UTC')}",
        ]
        if self.valid_until is not None:
            lines.append(f"Valid-Until: {format_datetime(self.valid_until).replace('+0000', 'UTC')}")
        digest = hashlib.sha256(packed).hexdigest()
        lines += ["SHA256:", f" {digest} {len(packed)} main/binary-amd64/Packages.xz"]
        return ("\n".join(lines) + "\n").encode()


@dataclass(frozen=True, kw_only=True)
class Keys:
    """Throw-away signing keys by name, and a keyring for each."""

    home: Path

    def make(self, name: str) -> None:
        self._gpg("--passphrase", "", "--quick-gen-key", f"{name} <{name}@example.org>", "ed25519", "sign", "never")
        self.keyring(name).write_bytes(self._gpg("--export", f"{name}@example.org").stdout)

    def keyring(self, name: str) -> Path:
        return self.home / f"{name}.gpg"

    def fingerprint(self, name: str) -> str:
        listed = self._gpg("--with-colons", "--fingerprint", f"{name}@example.org").stdout.decode()
        return next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr:"))

    def clearsign(self, text: bytes, *, key: str, digest: str = "SHA512") -> bytes:
        options = ["--local-user", f"{key}@example.org", "--digest-algo", digest, "--clearsign"]
        return self._gpg(*options, given=text).stdout

    def detached(self, raw: bytes, *, key: str, armour: bool = False) -> bytes:
        """A signature in a file of its own."""
        options = ["--local-user", f"{key}@example.org", "--detach-sign", *(["--armor"] if armour else [])]
        return self._gpg(*options, given=raw).stdout

    def _gpg(self, *arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            ["gpg", "--batch", "--quiet", "--homedir", self.home, *arguments],
            input=given,
            capture_output=True,
            check=True,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
        )


@contextmanager
def throw_away_keys(*names: str) -> Iterator[Keys]:
    """Keys in a folder of their own, gone afterwards with gpg's agent."""
    home = Path(tempfile.mkdtemp(prefix="bartizan-gpg-"))
    try:
        keys = Keys(home=home)
        for name in names:
            keys.make(name)
        yield keys
    finally:
        subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=False, capture_output=True)
        shutil.rmtree(home, ignore_errors=True)
