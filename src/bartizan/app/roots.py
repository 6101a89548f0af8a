"""Which TPM CAs are accepted: read from an operator's folder, or those that ship with Bartizan. It verifies no node."""

from importlib.resources import as_file, files
from pathlib import Path

from bartizan.errors import ConfigError, DecodeError
from bartizan.formats.pem import pem_blocks
from bartizan.formats.stored import is_stored
from bartizan.formats.x509 import PEM_LABEL, decode_certificates
from bartizan.model.certificate import Certificate, RootKind, TrustAnchors
from bartizan.verify.x509_signature import is_self_signed

SUFFIXES = frozenset({".pem", ".crt", ".cer", ".der"})
KIND_FOLDERS = {"hardware": RootKind.HARDWARE, "virtual": RootKind.VIRTUAL}
MAX_FILE = 1 << 20
"""Bytes of one certificate file."""
MAX_FILES = 4096
"""Certificate files of one folder."""


def load_roots(folder: Path) -> TrustAnchors:
    """The CAs of a folder: self-signed certificates are anchors, all others intermediates.

    The subfolders `hardware` and `virtual` give the kind; what lies directly in the folder is the operator's own. Only
    files named `*.pem`, `*.crt`, `*.cer` or `*.der` are read; PEM files without a certificate (keys) are passed over.

    Raises:
        ConfigError: the folder or a file cannot be read, a certificate is malformed, or there is no anchor.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder}: no such folder of CA certificates")
    found = _read_folder(folder, RootKind.OPERATOR)
    for name, kind in KIND_FOLDERS.items():
        if (folder / name).is_dir():
            found += _read_folder(folder / name, kind)
    anchors = tuple((kind, certificate) for kind, certificate in found if is_self_signed(certificate))
    if not anchors:
        raise ConfigError(f"{folder}: no self-signed CA certificate in it, so that no EK could be accepted")
    trusted = {certificate.raw for _, certificate in anchors}
    intermediates = tuple(certificate for _, certificate in found if certificate.raw not in trusted)
    return TrustAnchors(anchors=anchors, intermediates=intermediates)


def built_in_roots() -> TrustAnchors:
    """The CAs of TPM makers and clouds that ship with Bartizan; `data/roots/ATTRIBUTION.md` says whence."""
    with as_file(files("bartizan") / "data" / "roots") as folder:
        return load_roots(folder)


def _read_folder(folder: Path, kind: RootKind) -> list[tuple[RootKind, Certificate]]:
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())
    if len(paths) > MAX_FILES:
        raise ConfigError(f"{folder}: {len(paths)} certificate files are over the limit of {MAX_FILES}")
    return [(kind, certificate) for path in paths for certificate in _read_file(path)]


def _read_file(path: Path) -> tuple[Certificate, ...]:
    try:
        if path.stat().st_size > MAX_FILE:
            raise ConfigError(f"{path}: over the limit of {MAX_FILE} bytes for a certificate file")
        raw = path.read_bytes()
        return decode_certificates(raw) if _holds_certificates(raw) else ()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except DecodeError as error:
        raise ConfigError(f"{path}: {error}") from error


def _holds_certificates(raw: bytes) -> bool:
    """False only for PEM whose blocks are all of other kinds: a private key beside the CAs is no mistake of form."""
    if is_stored(raw):
        return True
    labels = {block.label for block in pem_blocks(raw)}
    return not labels or PEM_LABEL in labels
