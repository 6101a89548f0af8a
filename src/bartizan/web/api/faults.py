"""What is wrong with a request, in words: what was expected, where, and what came. It checks nothing itself.

The framework and the decoder below it say it in their own terms: types of Python, regular expressions.
"""

import re
from collections.abc import Mapping
from typing import Any

from bartizan.formats.inert import inert
from bartizan.web.api.asked import Asked
from bartizan.web.api.shapes import NAME_PATTERN, NONCE_PATTERN, SCOPE_PATTERN, TEXT_PATTERN, WILD_PATTERN

PATTERNS: Mapping[str, str] = {
    NAME_PATTERN: "1 to 128 characters of A-Z a-z 0-9 . _ -",
    WILD_PATTERN: "at most 128 characters of A-Z a-z 0-9 . _ -, with or without a * at the end",
    TEXT_PATTERN: "text on one line, without control characters",
    SCOPE_PATTERN: "all, node:NAME or role:ROLE",
    NONCE_PATTERN: "8 to 88 characters of A-Z a-z 0-9 + / = _ . -",
}
"""What every pattern of the API asks for."""
TYPES: Mapping[str, str] = {
    "str": "text",
    "int": "a whole number",
    "bool": "true or false",
    "object": "an object",
    "array": "a list",
    "null": "null",
    "datetime": "a time such as 2026-12-24T18:00:00Z",
    "float": "a number",
    "bytes": "bytes",
}
MAX_SHOWN = 60
RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"Expected `str` of length >= 1"), "some text expected, found none"),
    (re.compile(r"Expected `str` of length <= (\d+)"), r"at most \1 characters expected"),
    (re.compile(r"Expected `str` of length >= (\d+)"), r"at least \1 characters expected"),
    (re.compile(r"Expected `int` <= (-?\d+)"), r"at most \1 expected"),
    (re.compile(r"Expected `int` >= (-?\d+)"), r"at least \1 expected"),
    (re.compile(r"Object missing required field `([^`]*)`"), r"the field \1 is missing"),
    (re.compile(r"Object contains unknown field `([^`]*)`"), r"\1 is no field of it"),
    (re.compile(r"Invalid enum value (.*)"), r"\1 is none of the values that there are"),
    (re.compile(r"Expected `datetime` with a timezone component"), f"{TYPES['datetime']} expected, with its time zone"),
    (re.compile(r"Invalid RFC3339 encoded datetime"), f"{TYPES['datetime']} expected"),
    (re.compile(r"Input data was truncated"), "the body is no JSON: it ends too soon"),
    (re.compile(r"JSON is malformed: (.*)"), r"the body is no JSON: \1"),
)
MATCHING = re.compile(r"Expected `str` matching regex (.*)", re.DOTALL)
KIND = re.compile(r"Expected `([^`]*)`, got `([^`]*)`")
UNDERSTOOD = "the request is not as it should be"


def said(message: str) -> str:
    """A message of the decoder, in the words of whoever sent the request."""
    matching = MATCHING.match(message)
    if matching is not None:
        return f"{_pattern(matching.group(1))} expected"
    kind = KIND.match(message)
    if kind is not None:
        return f"{_kinds(kind.group(1))} expected, found {_kinds(kind.group(2))}"
    return next((match.expand(words) for rule, words in RULES if (match := rule.match(message))), message)


def fault(row: Mapping[str, Any], request: Asked) -> str:
    """A line of a refusal: where, what was expected, and what came, where that stood in the address."""
    key, words = str(row.get("key") or ""), said(str(row.get("message") or ""))
    place = "" if key == "data" else f"{key}: " if key else ""
    came = request.path_params.get(key, request.query_params.get(key)) if row.get("source") != "body" else None
    found = (
        f", found {inert(str(came), limit=MAX_SHOWN)!r}"
        if came is not None and ", found" not in words and str(came) not in words
        else ""
    )
    return f"{place}{words}{found}"


def _pattern(shown: str) -> str:
    """The words of a pattern as the decoder shows it, quoted and escaped."""
    return next((words for pattern, words in PATTERNS.items() if repr(pattern) == shown), "another form")


def _kinds(text: str) -> str:
    return " or ".join(TYPES.get(one, one) for one in text.split(" | "))
