"""The keys that sign results: one in use, one announced before its time, older ones kept while tokens of them are out.

A new key is published at once and signs only after the announced time, so that a Relying Party's copy of the key set
has it before it meets a token of it; one that a newer key has replaced stays published until its last token has
expired. What is in use follows from when the keys were made and the clock alone; where they are kept is `key_stores`'.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bartizan.app.service.clock import Now
from bartizan.app.service.key_stores import KeyStore
from bartizan.errors import ConfigError
from bartizan.formats.ear import ALGORITHM, EarKey, ear_claims, public_jwk, sign_claims, sign_ear, thumbprint
from bartizan.formats.key_file import NamedKey
from bartizan.model.result import AttestationResult

ANNOUNCED = 3600
"""Seconds between a new key's publication and its first signature: what Relying Parties may cache the key set."""
STATEMENT = "bartizan-statement+jws"
"""The `typ` of what is signed beside results: no reader of results takes it for one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Key:
    """made, from_: milliseconds since 1970 UTC; the first key ever signs at once."""

    made: int
    key: EarKey
    from_: int


@dataclass(slots=True, kw_only=True)
class Signer:
    """Signs results. lifetime: seconds of a token. From any thread; a call may wait for a token on the network."""

    store: KeyStore
    lifetime: int
    announced: int = ANNOUNCED
    _making: threading.Lock = field(default_factory=threading.Lock)

    def announce(self, now: Now) -> bool:
        """Rotate, unless a key is announced already: False then. Of two wishes at once one is refused.

        Raises:
            ConfigError, ConnectorError: as for `rotate`.
        """
        with self._making:
            if any(key.from_ > now.milliseconds for key in self._in_order()):
                return False
            self.rotate(now)
            return True

    def rotate(self, now: Now) -> None:
        """Make a new key; it signs after its announcement, and is newer than every other also by a clock set back.

        Raises:
            ConfigError, ConnectorError: it cannot be made.
        """
        newest = max((made for made, _ in self.store.every()), default=0)
        self.store.make(max(now.milliseconds, newest + 1))

    def sign(self, result: AttestationResult, *, subject: str, nonce: str | None, expires: int, now: Now) -> str:
        """An EAR of this result. expires: seconds since 1970 UTC when it holds no longer than the state.

        Raises:
            ConfigError, ConnectorError: the keys cannot be read or used.
        """
        issued = now.milliseconds // 1000
        end = min(expires, issued + self.lifetime)
        claims = ear_claims(result, issued_at=issued, expires=end, nonce=nonce, submodule=subject)
        return sign_ear(claims, _in_use(self._keys(now), now).key)

    def state(self, said: dict[str, str | int | None], now: Now) -> str:
        """A signature over something that is no result, as a JWS that has it inside.

        Raises:
            ConfigError, ConnectorError: the keys cannot be read or used.
        """
        return sign_claims(said, _in_use(self._keys(now), now).key, typ=STATEMENT)

    def known(self) -> dict[str, NamedKey]:
        """Every key that there is, by its name: what was ever signed here and its key still kept.

        Raises:
            ConfigError, ConnectorError: the keys cannot be read.
        """
        publics = [key.public for _, key in self.store.every()]
        return {thumbprint(one): NamedKey(key=one, kid=thumbprint(one), alg=ALGORITHM) for one in publics}

    def jwks(self, now: Now) -> dict[str, Any]:
        """The published keys: the one in use, those announced, those whose tokens may be out.

        Raises:
            ConfigError, ConnectorError: the keys cannot be read.
        """
        keys = self._keys(now)
        in_use = _in_use(keys, now)
        kept = [
            key
            for key, successor in zip(keys, [*keys[1:], None], strict=True)
            if key.made >= in_use.made
            or (successor is not None and successor.from_ + self.lifetime * 1000 >= now.milliseconds)
        ]
        return {"keys": [public_jwk(key.key.public) for key in kept]}

    def _keys(self, now: Now) -> list[_Key]:
        """Every key, the oldest first; one is made where there is none."""
        found = self._in_order()
        if not found:
            with self._making:
                if not self.store.every():
                    self.rotate(now)
            found = self._in_order()
        if not found:
            raise ConfigError("the key that signs results was made and is not there")
        return found

    def _in_order(self) -> list[_Key]:
        """Every key with the time from which it signs."""
        return [
            _Key(made=made, key=key, from_=made + self.announced * 1000 if number else made)
            for number, (made, key) in enumerate(self.store.every())
        ]


def _in_use(keys: Sequence[_Key], now: Now) -> _Key:
    return max((key for key in keys if key.from_ <= now.milliseconds), key=lambda key: key.made, default=keys[0])
