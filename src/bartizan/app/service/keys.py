"""The service's secrets in its data folder: the nonce key, the keys that sign results, the TLS key. Made when missing.

Each file is written whole or not at all, readable by its owner alone.
"""

import hashlib
import hmac
import ipaddress
import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import NameOID

from bartizan.app.service.nonces import KEY_BYTES
from bartizan.errors import ConfigError

CERTIFICATE_DAYS = 3650
"""Of the certificate that is made: agents pin its key, so that its end only matters to browsers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """Certificate and key of the service, PEM files."""

    certificate: Path
    key: Path


def write_secret(path: Path, content: bytes, *, replace: bool = True) -> None:
    """Write a file that only its owner can read, whole or not at all; without `replace`, only if there is none.

    Raises:
        ConfigError: the folder cannot be written to.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            if replace:
                Path(name).rename(path)
            else:
                with suppress(FileExistsError):
                    path.hardlink_to(name)
                Path(name).unlink()
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from error


def read_secret(path: Path) -> bytes | None:
    """A file's content; None where there is none.

    Raises:
        ConfigError: it is there and cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error


def nonce_key(folder: Path) -> bytes:
    """The key that the keys of nonces are made from; of several Verifiers that start together one makes it.

    Raises:
        ConfigError: it cannot be read or made, or is not one.
    """
    path = folder / "nonce.key"
    found = read_secret(path)
    if found is None:
        write_secret(path, os.urandom(KEY_BYTES), replace=False)
        found = read_secret(path) or b""
    if len(found) != KEY_BYTES:
        raise ConfigError(f"{path}: {KEY_BYTES} bytes expected, found {len(found)}; remove it, and a new one is made")
    return found


def key_of_generation(key: bytes, generation: int) -> bytes:
    """The key that nonces are made with: another one after each time that those which are out were voided."""
    return hmac.digest(key, b"bartizan nonces" + generation.to_bytes(8, "big"), "sha256")


def key_name(key: bytes) -> bytes:
    """What a key may be told from another by, without telling it."""
    return hmac.digest(key, b"bartizan name", "sha256")


def new_nonce_key(folder: Path) -> None:
    """Void every nonce that is out.

    Raises:
        ConfigError: the folder cannot be written to.
    """
    write_secret(folder / "nonce.key", os.urandom(KEY_BYTES))


def tls_files(folder: Path, host: str) -> TlsFiles:
    """A key and a certificate for this host that signs itself.

    Raises:
        ConfigError: they cannot be read or made.
    """
    files = TlsFiles(certificate=folder / "tls.crt", key=folder / "tls.key")
    if read_secret(files.certificate) is None or read_secret(files.key) is None:
        key = ec.generate_private_key(ec.SECP256R1())
        write_secret(files.key, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        write_secret(files.certificate, _self_signed(key, host).public_bytes(Encoding.PEM))
    return files


def _self_signed(key: ec.EllipticCurvePrivateKey, host: str) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Bartizan Verifier")])
    now = datetime.now(UTC)
    names: list[x509.GeneralName] = [x509.DNSName("localhost")]
    try:
        names.append(x509.IPAddress(ipaddress.ip_address(host)))
    except ValueError:
        names.append(x509.DNSName(host))
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=CERTIFICATE_DAYS))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, SHA256())
    )


def pin_of(certificate: Path) -> str:
    """What agents are given to know the service by: `sha256:` and the hash of its SubjectPublicKeyInfo.

    Raises:
        ConfigError: the file is no certificate in PEM.
    """
    raw = read_secret(certificate)
    try:
        if raw is None:
            raise ConfigError(f"{certificate}: no such file")
        key = x509.load_pem_x509_certificate(raw).public_key()
        spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"{certificate}: a certificate in PEM expected: {error}") from error
    return f"sha256:{hashlib.sha256(spki).hexdigest()}"
