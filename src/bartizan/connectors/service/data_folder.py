"""What a running service leaves in its data folder for whoever may read it: address, pin, API tokens."""

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from bartizan.errors import ConfigError
from bartizan.model.node import Role

CLIENT_FILE = "client.json"
TOKEN_FILES: Mapping[Role, str] = {
    Role.OPERATOR: "operator.token",
    Role.SECURITY_OFFICER: "admin.token",
    Role.AUDITOR: "auditor.token",
}
MAX_TOKEN = 4096


class ClientFile(msgspec.Struct, frozen=True, kw_only=True):
    """Where the service is reached, and what its key is known by; None without TLS."""

    url: str
    pin: str | None = None


def read_client_file(folder: Path) -> ClientFile:
    """What the service that uses this folder left there.

    Raises:
        ConfigError: nothing, or nothing that can be read.
    """
    path = folder / CLIENT_FILE
    raw = _read(path)
    if raw is None:
        raise ConfigError(f"{path}: no such file: has `bartizan serve --data {folder}` been started?")
    try:
        return msgspec.json.decode(raw, type=ClientFile)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be used: {error}; the service writes it anew at its next start") from error


def read_token(path: Path) -> str | None:
    """A token in a file; None where there is no such file.

    Raises:
        ConfigError: it cannot be read, or is none.
    """
    raw = _read(path)
    if raw is None:
        return None
    token = raw.strip()
    if not 0 < len(token) <= MAX_TOKEN or not token.isascii() or not token.decode().isprintable() or b" " in token:
        raise ConfigError(f"{path}: an API token on one line expected")
    return token.decode()


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}; who runs the service can") from error


def write_token(path: Path, token: str) -> None:
    """Write a token into a new file that its owner alone can read.

    Raises:
        ConfigError: it is there already, or cannot be written.
    """
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as stream:
            stream.write(token + "\n")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from error
