"""A JWS in compact form as it came; nothing in it is verified."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Jws:
    """Header members that matter, the payload, and the whole token that `verify` gets."""

    token: str
    alg: str
    kid: str | None
    payload: bytes
