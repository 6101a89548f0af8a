"""GRUB's script language as far as boot menus use it: words, commands, blocks, `if` and functions. It runs nothing.

GRUB manual, "Shell-like scripting": quoting, parameters, reserved words. Loops are refused: what they run is not known
from the text alone.
"""

import re
from typing import NamedTuple

from bartizan.errors import DecodeError

MAX_SCRIPT = 1024 * 1024
"""Bytes; a menu of many kernels has about 50,000."""
MAX_STATEMENTS = 20_000
MAX_DEPTH = 16
"""Of blocks, conditions and functions in each other; grub-mkconfig's menus have four."""
WHAT = "GRUB script"
MENUS = ("menuentry", "submenu")
LOOPS = ("while", "until", "for", "select", "case")
BLANK = re.compile(r"(?:[ \t]|\\\n)*")
COMMENT = re.compile(r"#[^\n]*")
END = re.compile(r"(?:[ \t\n;]|\\\n|#[^\n]*)*")
PIECE = re.compile(
    r"""'(?P<literal>[^']*)'|"(?P<quoted>(?:[^"\\]|\\.)*)"|\\(?P<escaped>[^\n])|\$(?P<name>\{[\w?*#@]+\}|\w+|[?*#@])"""
    r"""|(?P<plain>[^'"\\ \t\n;#{}$]+|(?<=\S)[#{}]|\$)""",
    re.DOTALL,
)
"""One piece of a word. A brace or # inside a word is a plain character."""
VARIABLE = re.compile(r"\\(?P<escaped>[\\\"$])|\$(?P<name>\{[\w?*#@]+\}|\w+|[?*#@])")


class Piece(NamedTuple):
    """A part of a word: a text, or a variable by its name; a quoted one is not split at blanks."""

    text: str
    variable: bool = False
    quoted: bool = False


Word = tuple[Piece, ...]


class Command(NamedTuple):
    """A command's words; of a menu's command also its block, as written and as statements."""

    words: tuple[Word, ...]
    block: str = ""
    body: "Script" = ()


class Branch(NamedTuple):
    """`if` or `elif`: what is asked, and what is done then."""

    condition: "Script"
    body: "Script"


class Choice(NamedTuple):
    """if … elif … else … fi."""

    branches: tuple[Branch, ...]
    otherwise: "Script"


class Function(NamedTuple):
    """A function's definition."""

    name: str
    body: "Script"


Statement = Command | Choice | Function
Script = tuple[Statement, ...]


def decode_grub_script(raw: bytes) -> Script:
    """The statements of a script; bytes that are not UTF-8 are kept by surrogate escapes.

    Raises:
        DecodeError: too large, too deep, a quote or block that never ends, a loop, or a word out of place.
    """
    if len(raw) > MAX_SCRIPT:
        raise DecodeError(WHAT, 0, f"{len(raw)} bytes are over the limit of {MAX_SCRIPT}")
    parser = _Parser(raw.decode("utf-8", "surrogateescape"))
    found, _ = parser.statements((), depth=0)
    return found


class _Parser:
    """Reads statements from a text, forward only."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._count = 0

    def refuse(self, why: str) -> DecodeError:
        """An error at the present character."""
        return DecodeError(WHAT, self._at, why)

    def statements(self, ends: tuple[str, ...], *, depth: int) -> tuple[Script, str]:
        """Statements up to one of these reserved words, which is consumed, or to the end."""
        if depth > MAX_DEPTH:
            raise self.refuse(f"more than {MAX_DEPTH} levels")
        found: list[Statement] = []
        while True:
            self._skip(END)
            if self._at == len(self._text):
                if ends:
                    raise self.refuse(f"the end of a block ({' or '.join(ends)}) is missing")
                return tuple(found), ""
            word = self._reserved()
            if word in ends or word in ("}", "fi", "then", "else", "elif", "done"):
                if word not in ends:
                    raise self.refuse(f"{word!a} without a beginning")
                self._at += len(word)
                return tuple(found), word
            self._count += 1
            if self._count > MAX_STATEMENTS:
                raise self.refuse(f"more than {MAX_STATEMENTS} statements")
            found.append(self._statement(word, depth=depth))

    def _skip(self, form: re.Pattern[str]) -> None:
        found = form.match(self._text, self._at)
        self._at = found.end() if found is not None else self._at

    def _reserved(self) -> str:
        """The bare word ahead, without moving on."""
        found = re.compile(r"[A-Za-z]+(?=[ \t\n;{]|\Z)|[{}]").match(self._text, self._at)
        return found[0] if found is not None else ""

    def _statement(self, word: str, *, depth: int) -> Statement:
        if word in LOOPS or word == "{":
            raise self.refuse(f"{word!a} cannot be foretold")
        if word == "if":
            self._at += len(word)
            return self._choice(depth=depth)
        if word == "function":
            self._at += len(word)
            return self._function(depth=depth)
        return self._command(menu=word in MENUS, depth=depth)

    def _choice(self, *, depth: int) -> Choice:
        branches: list[Branch] = []
        ended = "if"
        while ended in ("if", "elif"):
            condition, _ = self.statements(("then",), depth=depth + 1)
            body, ended = self.statements(("elif", "else", "fi"), depth=depth + 1)
            branches.append(Branch(condition, body))
        otherwise: Script = ()
        if ended == "else":
            otherwise, _ = self.statements(("fi",), depth=depth + 1)
        return Choice(tuple(branches), otherwise)

    def _function(self, *, depth: int) -> Function:
        self._skip(BLANK)
        name = "".join(piece.text for piece in self._word())
        self._skip(END)
        if not name or self._reserved() != "{":
            raise self.refuse("a function's name and block expected")
        self._at += 1
        body, _ = self.statements(("}",), depth=depth + 1)
        return Function(name, body)

    def _command(self, *, menu: bool, depth: int) -> Command:
        words: list[Word] = []
        while True:
            self._skip(BLANK)
            ahead = self._text[self._at : self._at + 1]
            if menu and ahead == "{":
                begun = self._at
                self._at += 1
                body, _ = self.statements(("}",), depth=depth + 1)
                return Command(tuple(words), self._text[begun : self._at], body)
            if ahead in ("", "\n", ";", "}", "#"):
                break
            words.append(self._word())
        if menu or not words:
            raise self.refuse("a menu entry without a block" if menu else f"{ahead!a} is out of place")
        return Command(tuple(words))

    def _word(self) -> Word:
        pieces: list[Piece] = []
        begun = self._at
        while (found := PIECE.match(self._text, self._at)) is not None:
            self._at = found.end()
            pieces += _pieces(found)
            self._skip(re.compile(r"(?:\\\n)*"))
        if self._at == begun:
            raise self.refuse("a word expected: a quote that never ends, or a character out of place")
        return tuple(pieces)


def _pieces(found: re.Match[str]) -> list[Piece]:
    if found["quoted"] is not None:
        return _quoted(found["quoted"])
    if found["name"] is not None:
        return [Piece(found["name"].strip("{}"), variable=True)]
    quoted = found["plain"] is None
    text = next(some for some in (found["literal"], found["escaped"], found["plain"]) if some is not None)
    return [Piece(text, quoted=quoted)]


def _quoted(text: str) -> list[Piece]:
    """Inside double quotes variables count, and a backslash before one of three characters."""
    pieces = [Piece("", quoted=True)]
    place = 0
    for found in VARIABLE.finditer(text):
        pieces.append(Piece(text[place : found.start()], quoted=True))
        if found["name"] is not None:
            pieces.append(Piece(found["name"].strip("{}"), variable=True, quoted=True))
        else:
            pieces.append(Piece(found["escaped"], quoted=True))
        place = found.end()
    return [*pieces, Piece(text[place:], quoted=True)]
