"""`bartizan reference import rpm`: signed repository → list of packages → packages → the digest of every file.

The digests are those that each package's header states, which the kernel's IMA computes alike; payloads stay packed.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from cryptography.x509 import load_der_x509_certificate, load_pem_x509_certificate

from bartizan.app.evidence_folder import read_file
from bartizan.app.import_packages import Imported, Progress, Task, import_packages
from bartizan.connectors.repository.gpgv import run_gpgv_beside
from bartizan.connectors.repository.mirror import Mirror
from bartizan.errors import ConfigError
from bartizan.formats.debian_packages import MAX_INDEX
from bartizan.formats.gpgv_status import decode_gpgv_status
from bartizan.formats.inert import inert
from bartizan.formats.rpm import MAX_RPM, decode_rpm
from bartizan.formats.rpm_metadata import decode_primary
from bartizan.formats.unpack import unpack
from bartizan.formats.xml_tree import MAX_XML
from bartizan.model.package import IndexedPackage, InstalledPackage, PackageContent, PackageSource
from bartizan.store.package_store import PackageStore
from bartizan.verify.repository import verify_content, verify_index, verify_package
from bartizan.verify.rpm_repository import (
    FileKey,
    choose_list,
    refuse_older,
    verify_file_signatures,
    verify_header_signature,
    verify_parts,
    verify_repomd,
)

REPOMD, SIGNATURE = "repodata/repomd.xml", "repodata/repomd.xml.asc"
MAX_SIGNATURE = 64 * 1024
MAX_KEY = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedRpms:
    """What to import: of which repository, and which of its packages.

    name: what the repository is called in provenance, and under which its newest state is remembered; file_keys: whose
    IMA signature every file must have, none: no matter; installed, limit: as for Debian packages.
    """

    mirror: Mirror
    keyring: Path
    name: str
    file_keys: tuple[Path, ...] = ()
    installed: tuple[InstalledPackage, ...] | None = None
    limit: int | None = None


def import_rpms(wanted: WantedRpms, store: PackageStore, *, now: datetime, progress: Progress) -> Imported:
    """Verify a repository and put the wanted packages into the store.

    A package that is refused is named and left out; the others go on.

    Raises:
        VerifyError, DecodeError: the repository's metadata. ConnectorError: mirror or gpgv.
        ConfigError: keyring, key or store.
    """
    keys = tuple(read_file_key(path) for path in wanted.file_keys)
    raw = wanted.mirror.fetch(REPOMD, limit=MAX_XML)
    beside = wanted.mirror.fetch(SIGNATURE, limit=MAX_SIGNATURE)
    vouched = decode_gpgv_status(run_gpgv_beside(raw, beside, wanted.keyring))
    metadata, signer = verify_repomd(raw, vouched, now=now)
    name = inert(wanted.name)
    refuse_older(metadata, store.newest(name))
    path, listed = choose_list(metadata)
    packed = wanted.mirror.fetch(path, limit=min(listed.size + 1, MAX_INDEX))
    verify_index(packed, listed, path=path)
    ending = path.rpartition(".")[2]
    form = "" if ending == "xml" else ending
    indexed = decode_primary(unpack(packed, form=form, limit=MAX_INDEX, what=path))
    reader = _Reader(keyring=wanted.keyring, keys=keys)
    task = Task(
        mirror=wanted.mirror,
        source=PackageSource(repository=name, signer=signer),
        date=metadata.date,
        read=reader.read,
        largest=MAX_RPM,
        installed=wanted.installed,
        most=wanted.limit,
    )
    return import_packages(list(indexed), task, store, progress=progress)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reader:
    """Verifies and decodes one package after the other."""

    keyring: Path
    keys: tuple[FileKey, ...]

    def read(self, raw: bytes, listed: IndexedPackage) -> PackageContent:
        verify_package(raw, listed)
        package = decode_rpm(raw)
        verify_content(package.content, listed)
        verify_parts(package, filename=listed.filename)
        if package.signature is not None:
            said = decode_gpgv_status(run_gpgv_beside(package.header, package.signature, self.keyring))
            verify_header_signature(said, filename=listed.filename)
        if self.keys:
            verify_file_signatures(package, self.keys, filename=listed.filename)
        return package.content


def read_file_key(path: Path) -> FileKey:
    """The key that signs files, from a certificate (PEM or DER, as in /etc/keys) or a public key (PEM).

    Raises:
        ConfigError: the file cannot be read, or holds no RSA or EC key.
    """
    raw = read_file(path, limit=MAX_KEY)
    for load in (_of_pem, _of_der, load_pem_public_key):
        try:
            key = load(raw)
        except (ValueError, UnsupportedAlgorithm):
            continue
        if isinstance(key, (rsa.RSAPublicKey, ec.EllipticCurvePublicKey)):
            return key
    raise ConfigError(f"{path}: a certificate or public key (RSA or EC) of whoever signs files expected")


def _of_pem(raw: bytes) -> object:
    return load_pem_x509_certificate(raw).public_key()


def _of_der(raw: bytes) -> object:
    return load_der_x509_certificate(raw).public_key()
