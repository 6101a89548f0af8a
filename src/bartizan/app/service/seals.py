"""Judged states under the service's own seal: the database can lose one, and cannot make one.

A seal says that this service, or another Verifier with the same key, came to a result from all evidence of a boot. What
it does not say is that nothing newer was sealed since: who puts a whole former row back is believed, as with every row.
Layout: the fields as a CBOR array, then HMAC-SHA256 (32 bytes) over label, node id and that array.
"""

import hmac
from dataclasses import dataclass, field, fields

from bartizan.errors import DecodeError
from bartizan.formats.cbor import decode_cbor, encode_cbor
from bartizan.model.sealed import SealedState

LABEL = b"bartizan-state-1\0"
MAC_BYTES = 32
NAMES = tuple(each.name for each in fields(SealedState))


@dataclass(frozen=True, slots=True, kw_only=True)
class Seals:
    """Makes and opens seals. secret: the key of challenges; the one of seals is derived from it."""

    secret: bytes
    _key: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_key", hmac.digest(self.secret, LABEL, "sha256"))

    def seal(self, uid: str, state: SealedState) -> bytes:
        """A node's state as it is kept."""
        return self._sealed(uid, encode_cbor([getattr(state, name) for name in NAMES]))

    def open(self, uid: str, raw: bytes) -> SealedState | None:
        """The state of this node that was sealed; None if it was not sealed here for it."""
        body, mac = raw[:-MAC_BYTES], raw[-MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(uid, body)):
            return None
        try:
            values = decode_cbor(body)
        except DecodeError:
            return None
        if not isinstance(values, list) or len(values) != len(NAMES):  # sealed by another version
            return None
        return SealedState(**dict(zip(NAMES, values, strict=True)))

    def _sealed(self, uid: str, body: bytes) -> bytes:
        return body + self._mac(uid, body)

    def _mac(self, uid: str, body: bytes) -> bytes:
        name = uid.encode()
        return hmac.digest(self._key, LABEL + len(name).to_bytes(2, "big") + name + body, "sha256")
