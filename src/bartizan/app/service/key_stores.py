"""Where the keys that sign results are kept: files of the service's own, one file of the operator's, a PKCS#11 token.

Each names its keys by the time they were made; which of them signs when is for `signing` to say.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from bartizan.app.service.keys import read_secret, write_secret
from bartizan.app.service.settings import Settings
from bartizan.connectors.pkcs11.place import KeyPlace
from bartizan.errors import ConfigError, DecodeError
from bartizan.formats.ear import COORDINATE, EarKey, decode_signing_key, thumbprint

SUFFIX = ".pem"
EXTRA = "trust.pkcs11 needs the package python-pkcs11: install requirements/pkcs11.txt, or bartizan[pkcs11]"


class KeyStore(Protocol):
    """A place of signing keys. Every call may take as long as a network HSM does, from any thread."""

    @property
    def fixed(self) -> str | None:
        """Why no key can be made here; None where one can."""

    def every(self) -> list[tuple[int, EarKey]]:
        """Every key with the time it was made, in milliseconds since 1970 UTC, the oldest first.

        Raises:
            ConfigError, ConnectorError: they cannot be read.
        """

    def make(self, made: int) -> None:
        """Another key, made at this time.

        Raises:
            ConfigError, ConnectorError: it cannot be made.
        """

    def proof(self) -> EarKey | None:
        """A key to show that signing works; None where that goes without saying.

        Raises:
            ConfigError, ConnectorError: there is none.
        """


@dataclass(frozen=True, slots=True)
class FolderKeys:
    """Key files named for the time they were made."""

    folder: Path

    @property
    def fixed(self) -> str | None:
        """None: the folder is the service's own."""
        return None

    def every(self) -> list[tuple[int, EarKey]]:
        """As `KeyStore` says; a file that goes away meanwhile is passed over."""
        names = [path.name for path in self.folder.glob(f"*{SUFFIX}")]
        found: list[tuple[int, EarKey]] = []
        for name in sorted(name for name in names if name.removesuffix(SUFFIX).isdecimal()):
            pem = read_secret(self.folder / name)
            if pem is not None:
                found.append((int(name.removesuffix(SUFFIX)), _decoded(pem, self.folder / name)))
        return found

    def make(self, made: int) -> None:
        """As `KeyStore` says."""
        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        write_secret(self.folder / f"{made:015d}{SUFFIX}", pem)

    def proof(self) -> None:
        """None: whoever may write the folder can sign."""


@dataclass(frozen=True, slots=True)
class OwnKey:
    """One file of the operator's."""

    path: Path

    @property
    def fixed(self) -> str | None:
        """The setting that names the key."""
        return f"trust.ear_key: {self.path} signs results; to change it, put another file there"

    def every(self) -> list[tuple[int, EarKey]]:
        """As `KeyStore` says: this one."""
        pem = read_secret(self.path)
        if pem is None:
            raise ConfigError(f"trust.ear_key: {self.path}: no such file")
        return [(0, _decoded(pem, self.path))]

    def make(self, made: int) -> None:  # noqa: ARG002  the port's
        """Nothing is made here.

        Raises:
            ConfigError: always.
        """
        raise ConfigError(self.fixed)

    def proof(self) -> EarKey:
        """The key."""
        return self.every()[0][1]


def _decoded(pem: bytes, path: Path) -> EarKey:
    try:
        return decode_signing_key(pem)
    except DecodeError as error:
        raise ConfigError(f"{path}: {error.why}") from error


def key_store(settings: Settings) -> KeyStore:
    """Where the settings say that the keys are.

    Raises:
        ConfigError: what a PKCS#11 token needs is not installed.
    """
    trust = settings.trust
    if not trust.pkcs11.module:
        return OwnKey(Path(trust.ear_key)) if trust.ear_key else FolderKeys(settings.folder / "keys" / "ear")
    try:
        from bartizan.connectors.pkcs11.token import TokenKeys  # noqa: PLC0415  an extra
    except ImportError as error:
        raise ConfigError(EXTRA) from error
    given = trust.pkcs11
    place = KeyPlace(module=Path(given.module), token=given.token, label=given.label, pin_file=Path(given.pin_file))
    return TokenKeys(place)


def proved(settings: Settings) -> str | None:
    """The name of the configured key that has just signed, and verified; None where the service makes its own files.

    Raises:
        ConfigError, ConnectorError: it does not sign, or not with the key that it shows.
    """
    key = key_store(settings).proof()
    return None if key is None else _shown(key)


def _shown(key: EarKey) -> str:
    challenge = os.urandom(COORDINATE)
    signature = key.sign(challenge)
    r, s = (int.from_bytes(signature[at : at + COORDINATE], "big") for at in (0, COORDINATE))
    try:
        key.public.verify(encode_dss_signature(r, s), challenge, ec.ECDSA(SHA256()))
    except InvalidSignature as error:
        raise ConfigError("the key that signs results does not belong to the public key beside it") from error
    return thumbprint(key.public)
