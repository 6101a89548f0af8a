"""GRUB's `[ … ]` as far as its answer can be foretold: strings, numbers and files. It measures nothing."""

from collections.abc import Callable, Sequence

from bartizan.errors import DecodeError
from bartizan.formats.strict import decimal

Ask = Callable[[str, str], bool | None]
"""Answers a question about a file (-e, -f, -s, -d) and its place; None where that is not known."""
COMPARISONS: dict[str, Callable[[str, str], bool]] = {
    "=": lambda left, right: left == right,
    "==": lambda left, right: left == right,
    "!=": lambda left, right: left != right,
}
NUMBERS: dict[str, Callable[[int, int], bool]] = {
    "-eq": lambda left, right: left == right,
    "-ne": lambda left, right: left != right,
    "-lt": lambda left, right: left < right,
    "-le": lambda left, right: left <= right,
    "-gt": lambda left, right: left > right,
    "-ge": lambda left, right: left >= right,
}
FILES = ("-e", "-f", "-s", "-d")
OR, AND = "-o", "-a"


def foretell(words: Sequence[str], ask: Ask) -> bool | None:
    """The answer to these words, without the brackets; None where it cannot be foretold."""
    alternatives = [_all(part, ask) for part in _split(words, OR)]
    if True in alternatives:
        return True
    return None if None in alternatives else False


def _all(words: Sequence[str], ask: Ask) -> bool | None:
    parts = [_one(part, ask) for part in _split(words, AND)]
    if False in parts:
        return False
    return None if None in parts else True


def _split(words: Sequence[str], operator: str) -> list[list[str]]:
    """Words between an operator's places; as a value compared with something it is none."""
    parts: list[list[str]] = [[]]
    for word in words:
        if word == operator and parts[-1] and parts[-1][-1] not in COMPARISONS:
            parts.append([])
        else:
            parts[-1].append(word)
    return parts


def _one(words: Sequence[str], ask: Ask) -> bool | None:
    answer: bool | None = None
    match list(words):
        case []:
            answer = False
        case ["!", *rest]:
            inner = _one(rest, ask)
            answer = None if inner is None else not inner
        case [value] | ["-n", value]:
            answer = bool(value)
        case ["-z", value]:
            answer = not value
        case [question, place] if question in FILES:
            answer = ask(question, place)
        case [left, comparison, right] if comparison in COMPARISONS:
            answer = COMPARISONS[comparison](left, right)
        case [left, comparison, right] if comparison in NUMBERS:
            answer = _numbers(left, comparison, right)
    return answer


def _numbers(left: str, comparison: str, right: str) -> bool | None:
    try:
        return NUMBERS[comparison](decimal(left, "number"), decimal(right, "number"))
    except DecodeError:
        return None
