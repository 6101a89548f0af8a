"""Challenges that need no memory: a nonce says when and for which node it was made, and only this service can make one.

A nonce is used once because the one of each accepted quote must be newer than that of the last; asking for challenges
so changes nothing, whoever asks. Layout: 16 random bytes, issue time (8 bytes, microseconds since 1970 UTC),
HMAC-SHA256 over these and the node's id.
"""

import hmac
import os
from dataclasses import dataclass, field

from bartizan.app.service.refusals import NonceError

RANDOM = 16
STAMP = 8
MAC = 32
NONCE_BYTES = RANDOM + STAMP + MAC
KEY_BYTES = 32
SLACK = 1_000_000
"""Microseconds that a nonce may lie in the future: clocks are steered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Nonces:
    """Makes and checks nonces. key: 32 secret bytes; lifetime: seconds until a nonce expires."""

    key: bytes
    lifetime: int
    _keyed: hmac.HMAC = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_keyed", hmac.new(self.key, digestmod="sha256"))

    def issue(self, uid: str, *, now: int, after: int) -> bytes:
        """A new nonce for a node. now: microseconds; after: the issue time of its last accepted one.

        It is newer than the last accepted one also when the clock was set back meanwhile.
        """
        head = os.urandom(RANDOM) + max(now, after + 1).to_bytes(STAMP, "big")
        return head + self._mac(uid, head)

    def check(self, uid: str, nonce: bytes, *, now: int, after: int) -> int:
        """The issue time in microseconds of a nonce that still counts.

        Raises:
            NonceError: it was not made here for this node, was used, or has expired.
        """
        head, mac = nonce[: RANDOM + STAMP], nonce[RANDOM + STAMP :]
        if len(nonce) != NONCE_BYTES or not hmac.compare_digest(mac, self._mac(uid, head)):
            raise NonceError("the nonce was not made here for this node, or before the keys were changed")
        issued = int.from_bytes(head[RANDOM:], "big")
        if issued <= after:
            raise NonceError("the nonce was used already, or is older than one that was")
        if issued > max(now, after) + SLACK:
            raise NonceError("the nonce was made while the service's clock was ahead")
        if now - issued > self.lifetime * 1_000_000:
            raise NonceError(f"the nonce expired: it was made more than {self.lifetime} s ago")
        return issued

    def _mac(self, uid: str, head: bytes) -> bytes:
        mac = self._keyed.copy()  # `hmac.digest` lets go of the interpreter, and has to wait for it again
        mac.update(head + uid.encode())
        return mac.digest()
