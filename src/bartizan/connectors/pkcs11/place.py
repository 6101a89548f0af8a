"""Which key in which token, and the PIN that opens it. The PIN is read when it is needed and kept nowhere."""

import stat
from dataclasses import dataclass
from pathlib import Path

from bartizan.errors import ConfigError

MAX_PIN = 255
"""Bytes; CK_TOKEN_INFO's ulMaxPinLen is 255 at the tokens that state most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPlace:
    """module: the token's library; token: its label; label: of the keys; pin_file: holds the user's PIN."""

    module: Path
    token: str
    label: str
    pin_file: Path


def read_pin(path: Path) -> str:
    """The PIN in a file, without the end of its line.

    Raises:
        ConfigError: the file cannot be read, others can read it too, or it holds no PIN.
    """
    try:
        with path.open("rb") as stream:
            if path.stat().st_mode & stat.S_IRWXO:
                raise ConfigError(f"trust.pkcs11.pin_file: {path} can be read by everybody here: chmod o= {path}")
            raw = stream.read(MAX_PIN + 2)
        pin = raw.decode().removesuffix("\n").removesuffix("\r")
    except OSError as error:
        raise ConfigError(f"trust.pkcs11.pin_file: {path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise ConfigError(f"trust.pkcs11.pin_file: {path}: text in UTF-8 expected") from None  # it would show the PIN
    if not 0 < len(pin) <= MAX_PIN or "\n" in pin:
        raise ConfigError(f"trust.pkcs11.pin_file: {path}: one line of 1 to {MAX_PIN} characters expected")
    return pin
