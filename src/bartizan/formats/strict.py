"""Strict readings of text forms for which Python's own are too generous. Nothing is trimmed, folded or guessed."""

import base64
import binascii
import json
import re
from typing import Any

from bartizan.errors import DecodeError

HEX = re.compile(r"(?:[0-9a-f]{2})*")
DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")
BASE64URL = re.compile(r"[A-Za-z0-9_-]*")
JSON_DEPTH = 32
"""Deepest nesting accepted; no document of ours goes beyond six."""


def hex_bytes(text: str, what: str) -> bytes:
    """Bytes from lower-case hexadecimal digits.

    Raises:
        DecodeError: upper case, white space, an odd count or another character.
    """
    if not HEX.fullmatch(text):
        raise DecodeError(what, 0, f"lower-case hexadecimal expected, found {text[:40]!a}")
    return bytes.fromhex(text)


def decimal(text: str, what: str) -> int:
    """A number from plain decimal digits without sign, underscore or leading zero.

    Raises:
        DecodeError: anything else.
    """
    if not DECIMAL.fullmatch(text):
        raise DecodeError(what, 0, f"decimal number expected, found {text[:40]!a}")
    return int(text)


def base64url(text: str, what: str) -> bytes:
    """Bytes from base64url without padding; RFC 7515, 2. Each text has one reading and each value one text.

    Raises:
        DecodeError: padding, white space, another alphabet, or bits left over.
    """
    padded = text + "=" * (-len(text) % 4)
    found = base64.urlsafe_b64decode(padded) if BASE64URL.fullmatch(text) and len(text) % 4 != 1 else None
    if found is None or base64.urlsafe_b64encode(found).decode() != padded:
        raise DecodeError(what, 0, f"base64url without padding expected, found {text[:40]!a}")
    return found


def base64_text(text: str, what: str) -> bytes:
    """Bytes from padded base64 that may be broken into lines, as in XML; XML Schema 1.1 part 2, 3.3.16.

    Raises:
        DecodeError: anything but base64 and XML's white space.
    """
    try:
        return binascii.a2b_base64(re.sub(r"[ \t\r\n]", "", text), strict_mode=True)
    except (binascii.Error, ValueError) as error:
        raise DecodeError(what, 0, f"base64 expected, found {text[:40]!a}") from error


def _unique(what: str) -> Any:
    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(items)
        if len(found) != len(items):
            raise DecodeError(what, 0, "a JSON object names a key twice")
        return found

    return pairs


def _depth_of(text: str) -> int:
    deepest = depth = 0
    in_string = escaped = False
    for char in text:
        if in_string:
            escaped, in_string = (char == "\\" and not escaped), (char != '"' or escaped)
        elif char == '"':
            in_string = True
        elif char in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif char in "]}":
            depth -= 1
    return deepest


def json_value(raw: bytes, what: str) -> Any:
    """A JSON document in UTF-8 with unique keys, no NaN and bounded nesting.

    Raises:
        DecodeError: anything else.
    """

    def refuse(constant: str) -> Any:
        raise DecodeError(what, 0, f"{constant} is not JSON")

    try:
        text = raw.decode("utf-8")
        if _depth_of(text) > JSON_DEPTH:
            raise DecodeError(what, 0, f"nested deeper than {JSON_DEPTH}")
        return json.loads(text, object_pairs_hook=_unique(what), parse_constant=refuse)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        offset = error.start if isinstance(error, UnicodeDecodeError) else getattr(error, "pos", 0)
        raise DecodeError(what, offset, f"not JSON: {error}") from error
    except ValueError as error:
        raise DecodeError(what, 0, f"not JSON: {error}") from error
