"""JWS in compact serialisation (RFC 7515, 7.1), taken apart. It verifies nothing and uses no key from a header."""

import re
from typing import Any

from bartizan.errors import DecodeError
from bartizan.formats.strict import base64url, json_value
from bartizan.model.jws import Jws

MAX_TOKEN = 4 * 1024 * 1024
"""Characters; tokens that carry their Evidence have some hundred KB."""
FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*")


def decode_jws(raw: bytes) -> Jws:
    """A token's parts; white space around it is passed over.

    Raises:
        DecodeError: not three parts of base64url, a header that is no object, or one that asks for extensions.
    """
    if len(raw) > MAX_TOKEN:
        raise DecodeError("JWS", 0, f"{len(raw)} bytes are over the limit of {MAX_TOKEN}")
    token = raw.strip(b" \t\r\n").decode("ascii", "replace")
    if not FORM.fullmatch(token):
        raise DecodeError("JWS", 0, "three parts of base64url with dots between them expected")
    head, payload, signature = token.split(".")
    header = json_value(base64url(head, "JWS header"), "JWS header")
    base64url(signature, "JWS signature")
    if not isinstance(header, dict) or not isinstance(header.get("alg"), str):
        raise DecodeError("JWS header", 0, "an object with `alg` expected")
    if "crit" in header or "b64" in header:
        raise DecodeError("JWS header", 0, "an extension is marked as critical, and none is understood here")
    return Jws(token=token, alg=header["alg"], kid=_kid(header), payload=base64url(payload, "JWS payload"))


def _kid(header: dict[str, Any]) -> str | None:
    kid = header.get("kid")
    return kid if isinstance(kid, str) else None
