"""A repository's signature, read by GnuPG's `gpgv`. It reports what gpgv said; `verify` decides what that is worth."""

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bartizan.errors import ConfigError, ConnectorError
from bartizan.formats.clearsigned import MAX_CLEARSIGNED
from bartizan.formats.gpgv_status import MAX_STATUS

PROGRAM = "gpgv"
SECONDS = 60.0
WEAK_HASHES = ("MD5", "SHA1", "RIPEMD160")
ARMOUR = b"-----BEGIN PGP PUBLIC KEY BLOCK-----"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vouched:
    """What gpgv wrote: the text without its armour, and its status lines."""

    text: bytes
    status: bytes


def run_gpgv(signed: bytes, keyring: Path) -> Vouched:
    """Let gpgv read a clear-signed text with the keys of one keyring and no others.

    Its exit status is not looked at: it is a failure as soon as one of several signatures is by a key that the keyring
    does not hold. The status lines say which ones are good.

    Raises:
        ConfigError: the keyring cannot be used. ConnectorError: gpgv is missing, hangs or writes no status.
    """
    with tempfile.TemporaryDirectory(prefix="bartizan-gpgv-") as folder:
        message, text = Path(folder, "message"), Path(folder, "text")
        message.write_bytes(signed)
        status = _status(Path(folder), keyring, ["--output", str(text), str(message)])
        return Vouched(text=_read(text, MAX_CLEARSIGNED), status=status)


def run_gpgv_beside(signed: bytes, signature: bytes, keyring: Path) -> bytes:
    """Let gpgv check a signature that stands in a file of its own; returns its status lines.

    Raises:
        ConfigError: the keyring cannot be used. ConnectorError: gpgv is missing, hangs or writes no status.
    """
    with tempfile.TemporaryDirectory(prefix="bartizan-gpgv-") as folder:
        message, beside = Path(folder, "message"), Path(folder, "signature")
        message.write_bytes(signed)
        beside.write_bytes(signature)
        return _status(Path(folder), keyring, [str(beside), str(message)])


def _status(folder: Path, keyring: Path, arguments: list[str]) -> bytes:
    """What gpgv says about some files."""
    program = shutil.which(PROGRAM)
    if program is None:
        raise ConnectorError("gpgv is not installed: it checks a repository's signature (Debian: apt install gpgv)")
    _check_keyring(keyring)
    weak = [word for name in WEAK_HASHES for word in ("--weak-digest", name)]
    status = folder / "status"
    with status.open("wb") as stream:
        command = [program, *weak, "--homedir", str(folder), "--keyring", str(keyring.resolve())]
        _run([*command, "--status-fd", str(stream.fileno()), *arguments], stream.fileno())
    if not status.stat().st_size:
        raise ConnectorError("gpgv said nothing about the signature")
    return _read(status, MAX_STATUS)


def _run(command: list[str], descriptor: int) -> None:
    try:
        subprocess.run(  # noqa: S603  # the program's path is resolved, the arguments are ours
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(descriptor,),
            timeout=SECONDS,
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
        )
    except subprocess.TimeoutExpired as error:
        raise ConnectorError(f"gpgv did not answer within {SECONDS:.0f} seconds") from error
    except OSError as error:
        raise ConnectorError(f"gpgv cannot be run: {error.strerror}") from error


def _check_keyring(keyring: Path) -> None:
    try:
        with keyring.open("rb") as stream:
            start = stream.read(len(ARMOUR))
    except OSError as error:
        raise ConfigError(f"{keyring}: the keyring cannot be read: {error.strerror}") from error
    if start == ARMOUR:
        why = f"gpgv reads binary keyrings only: gpg --dearmor < {keyring} > {keyring.with_suffix('.gpg')}"
        raise ConfigError(f"{keyring}: {why}")


def _read(path: Path, limit: int) -> bytes:
    """A file that gpgv wrote, one byte over the limit at most; none is empty."""
    if not path.exists():
        return b""
    with path.open("rb") as stream:
        return stream.read(limit + 1)
