"""The keys that sign results: one in use, one announced before its time, older ones kept while tokens of them are out.

Each key is a file named for the time it was made. A new one is published at once and signs only after the announced
time, so that a Relying Party's copy of the key set has it before it meets a token of it; one that a newer key has
replaced stays published until its last token has expired. What is in use follows from file names and the clock alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from bartizan.app.service.clock import Now
from bartizan.app.service.keys import read_secret, write_secret
from bartizan.errors import ConfigError, DecodeError
from bartizan.formats.ear import ear_claims, public_jwks, sign_ear
from bartizan.model.result import AttestationResult

ANNOUNCED = 3600
"""Seconds between a new key's publication and its first signature: what Relying Parties may cache the key set."""
SUFFIX = ".pem"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Key:
    """made: milliseconds since 1970 UTC; the first key ever signs at once."""

    made: int
    pem: bytes
    from_: int


@dataclass(slots=True, kw_only=True)
class Signer:
    """Signs results. folder: where the keys are; own: the operator's own key instead; lifetime: seconds of a token."""

    folder: Path
    lifetime: int
    own: Path | None = None
    announced: int = ANNOUNCED

    def rotate(self, now: Now) -> None:
        """Make a new key; it signs after its announcement, and is newer than every other also by a clock set back.

        Raises:
            ConfigError: the folder cannot be written to, or the operator's own key signs.
        """
        if self.own is not None:
            raise ConfigError(f"trust.ear_key: {self.own} signs results; to change it, put another file there")
        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        newest = max(map(_made, self._names()), default=0)
        write_secret(self.folder / f"{max(now.milliseconds, newest + 1):015d}{SUFFIX}", pem)

    def announcing(self, now: Now) -> bool:
        """A key is published that does not sign yet.

        Raises:
            ConfigError: the keys cannot be read.
        """
        return any(key.from_ > now.milliseconds for key in self._keys(now))

    def sign(self, result: AttestationResult, *, subject: str, nonce: str | None, expires: int, now: Now) -> str:
        """An EAR of this result. expires: seconds since 1970 UTC when it holds no longer than the state.

        Raises:
            ConfigError: the keys cannot be read or used.
        """
        issued = now.milliseconds // 1000
        end = min(expires, issued + self.lifetime)
        claims = ear_claims(result, issued_at=issued, expires=end, nonce=nonce, submodule=subject)
        key = _in_use(self._keys(now), now)
        try:
            return sign_ear(claims, key.pem)
        except DecodeError as error:
            raise _unusable(key, self.folder, error) from error

    def jwks(self, now: Now) -> dict[str, Any]:
        """The published keys: the one in use, those announced, those whose tokens may be out.

        Raises:
            ConfigError: the keys cannot be read.
        """
        keys = self._keys(now)
        in_use = _in_use(keys, now)
        kept = [
            key
            for key, successor in zip(keys, [*keys[1:], None], strict=True)
            if key.made >= in_use.made
            or (successor is not None and successor.from_ + self.lifetime * 1000 >= now.milliseconds)
        ]
        return {"keys": [published for key in kept for published in _published(key, self.folder)]}

    def _keys(self, now: Now) -> list[_Key]:
        """Every key, the oldest first; one is made where there is none."""
        if self.own is not None:
            pem = read_secret(self.own)
            if pem is None:
                raise ConfigError(f"trust.ear_key: {self.own}: no such file")
            return [_Key(made=0, pem=pem, from_=0)]
        names = self._names()
        if not names:
            self.rotate(now)
            names = self._names()
        keys: list[_Key] = []
        for name in names:
            made = _made(name)
            pem = read_secret(self.folder / name)
            if pem is not None:
                keys.append(_Key(made=made, pem=pem, from_=made + self.announced * 1000 if keys else made))
        return keys

    def _names(self) -> list[str]:
        names = [path.name for path in self.folder.glob(f"*{SUFFIX}")]
        return sorted(name for name in names if name.removesuffix(SUFFIX).isdecimal())


def _in_use(keys: Sequence[_Key], now: Now) -> _Key:
    return max((key for key in keys if key.from_ <= now.milliseconds), key=lambda key: key.made, default=keys[0])


def _made(name: str) -> int:
    return int(name.removesuffix(SUFFIX))


def _unusable(key: _Key, folder: Path, error: DecodeError) -> ConfigError:
    return ConfigError(f"{folder / f'{key.made:015d}{SUFFIX}'}: {error.why}")


def _published(key: _Key, folder: Path) -> list[dict[str, Any]]:
    try:
        found: list[dict[str, Any]] = public_jwks(key.pem)["keys"]
    except DecodeError as error:
        raise _unusable(key, folder, error) from error
    return found
