"""Text from evidence made harmless to look at. It changes how text is shown, never what is compared or stored."""

from unicodedata import bidirectional, category

ELLIPSIS = "…"
RIGHT_TO_LEFT = frozenset({"R", "AL", "AN"})
SURROGATE_BASE = 0xDC00


def inert(text: str, *, limit: int = 200) -> str:
    r"""One line of printable characters; everything else becomes an escape such as `\x1b`, `\n` or `\u202e`.

    Escaped are control characters, line breaks, every direction mark, letters that run from right to left and
    combining marks (both move what stands beside them), unassigned and private characters; a byte that was
    not UTF-8 shows as `\x80` to `\xff`. A backslash stays one, so an escape is for reading, not for parsing back.

    limit: longest result in characters, without the ellipsis that marks a cut; an escape is never cut in two.
    `<` and `[` stay as they are: whoever prints to a browser or through a markup library escapes for that himself.
    """
    if len(text) <= limit and text.isascii() and text.isprintable():
        return text
    shown: list[str] = []
    room = limit
    for char in text:
        piece = _shown(char)
        room -= len(piece)
        if room < 0:
            return "".join(shown) + ELLIPSIS
        shown.append(piece)
    return "".join(shown)


def _shown(char: str) -> str:
    if " " <= char <= "~" or _is_plain(char):
        return char
    if "\udc80" <= char <= "\udcff":  # surrogateescape: a byte that was not UTF-8
        return f"\\x{ord(char) - SURROGATE_BASE:02x}"
    return char.encode("unicode_escape").decode("ascii")


def _is_plain(char: str) -> bool:
    return char.isprintable() and not category(char).startswith("M") and bidirectional(char) not in RIGHT_TO_LEFT
