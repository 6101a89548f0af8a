"""A COSE_Sign1 message as it came; nothing in it is verified."""

from dataclasses import dataclass

from bartizan.model.cbor import Map


@dataclass(frozen=True, slots=True, kw_only=True)
class CoseSign1:
    """COSE_Sign1; RFC 9052, 4.2.

    protected: the exact bytes that were signed; headers: what they hold; untrusted: the unprotected headers;
    payload: None when it travels apart; tagged: tag 18 stood before it.
    """

    protected: bytes
    headers: Map
    untrusted: Map
    payload: bytes | None
    signature: bytes
    tagged: bool
