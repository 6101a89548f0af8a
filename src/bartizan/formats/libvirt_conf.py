"""libvirt's configuration files (`name = value`), as far as rules need them. It does not know any setting's meaning."""

import re
from collections.abc import Mapping

Value = str | tuple[str, ...]
SETTING = re.compile(r"^[ \t]*(?P<name>[A-Za-z0-9_]+)[ \t]*=[ \t]*", re.MULTILINE)
SCALAR = re.compile(r"\"(?P<double>[^\"\n]*)\"|'(?P<single>[^'\n]*)'|(?P<number>-?[0-9]+)")
GAP = re.compile(r"(?:[\s,]|#[^\n]*)*")


def parse_libvirt_conf(text: str) -> Mapping[str, Value]:
    """Setting to its value, a text or a list of texts; what does not have this form is left out, the last one counts.

    libvirt src/util/virconf.c: strings in single or double quotes, whole numbers, lists in brackets, `#` comments.
    """
    found: dict[str, Value] = {}
    for setting in SETTING.finditer(text):
        value = _value(text, setting.end())
        if value is not None:
            found[setting["name"]] = value
    return found


def _value(text: str, at: int) -> Value | None:
    if text[at : at + 1] != "[":
        scalar = SCALAR.match(text, at)
        return _text(scalar) if scalar else None
    items: list[str] = []
    at = _skip(text, at + 1)
    while scalar := SCALAR.match(text, at):
        items.append(_text(scalar))
        at = _skip(text, scalar.end())
    return tuple(items) if text[at : at + 1] == "]" else None


def _skip(text: str, at: int) -> int:
    gap = GAP.match(text, at)
    return gap.end() if gap else at


def _text(scalar: re.Match[str]) -> str:
    return next(part for part in scalar.groups() if part is not None)
