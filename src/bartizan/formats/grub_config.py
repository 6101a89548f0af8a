"""A grub.cfg as far as it tells what GRUB will measure: the commands of its menu, and which kernels they load.

GRUB manual, "Writing full configuration files directly" and "Measured Boot". GRUB measures `menuentry` and `submenu` as
the words they have after expansion, and their block as it is written. It runs nothing: what a variable holds is not
known here, but for the one that grub-mkconfig's menus use.
"""

import re
from dataclasses import dataclass

from bartizan.errors import DecodeError

MAX_CONFIG = 1024 * 1024
"""Bytes; a menu of many kernels has about 50,000."""
MAX_ENTRIES = 512
"""Menu entries of one file."""
MENU = re.compile(r"^[ \t]*(?:menuentry|submenu)[ \t]", re.MULTILINE)
KERNEL = re.compile(r"^[ \t]*(?:linux|linuxefi|linux16)[ \t]+(\S+)[ \t]*(.*?)[ \t]*$", re.MULTILINE)
VARIABLES = {"menuentry_id_option": "--id"}
"""Set by grub-mkconfig's header where GRUB knows the option, which it does since 2.00."""
VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
WORD = re.compile(
    r"""'(?P<literal>[^']*)'|"(?P<quoted>(?:[^"\\]|\\.)*)"|\\(?P<escaped>[^\n])|(?P<variable>\$(?:\{\w+\}|\w+))"""
    r"""|(?P<blank>(?:[ \t]|\\\n)+)|(?P<brace>\{)|(?P<plain>[^'"\\ \t\n{])""",
    re.DOTALL,
)
"""The pieces that words of a command consist of, and what ends them."""
ESCAPE = re.compile(r'\\(["\\$])')
BLOCK = re.compile(r"""'[^']*'|"(?:[^"\\]|\\.)*"|\\.|(?<=[\s;])\#[^\n]*|[{}]""", re.DOTALL)
"""What may hold a brace that is none, and braces."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MenuCommand:
    """A `menuentry` or `submenu` as GRUB measures it; `identity` is its --id, or its title without one."""

    identity: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelLine:
    """A command that loads a kernel; `arguments` with single blanks, as GRUB measures them."""

    path: str
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GrubConfig:
    """The menu's outermost commands that can be foretold, and every line that loads a kernel."""

    menu: tuple[MenuCommand, ...]
    kernels: tuple[KernelLine, ...]


def decode_grub_config(raw: bytes) -> GrubConfig:
    """A grub.cfg; bytes that are not UTF-8 are kept by surrogate escapes.

    Raises:
        DecodeError: it is too large, has too many entries, or a block or quote of its menu never ends.
    """
    if len(raw) > MAX_CONFIG:
        raise DecodeError("grub.cfg", 0, f"{len(raw)} bytes are over the limit of {MAX_CONFIG}")
    text = raw.decode("utf-8", "surrogateescape")
    menu: list[MenuCommand] = []
    position, count = 0, 0
    while (found := MENU.search(text, position)) is not None:
        count += 1
        if count > MAX_ENTRIES:
            raise DecodeError("grub.cfg", found.start(), f"more than {MAX_ENTRIES} menu entries")
        words, brace = _words(text, found.start())
        position = _block_end(text, brace)
        if words is not None:
            menu.append(_command(words, text[brace:position]))
    kernels = (KernelLine(path=line[1], arguments=" ".join(line[2].split())) for line in KERNEL.finditer(text))
    return GrubConfig(menu=tuple(menu), kernels=tuple(kernels))


def _command(words: list[str], block: str) -> MenuCommand:
    after = words[words.index("--id") + 1 :] if "--id" in words else words[1:]
    return MenuCommand(identity=(after or words)[0], text=" ".join([*words, block]))


def _words(text: str, start: int) -> tuple[list[str] | None, int]:
    """The words up to the block, None where one holds a variable that is not known, and where the block begins."""
    words: list[str] = []
    pieces: list[str | None] = []
    known = True
    place = start
    while (found := WORD.match(text, place)) is not None:
        if found["blank"] is None and found["brace"] is None:
            pieces.append(_piece(found))
        elif pieces:
            known = known and None not in pieces
            words.append("".join(piece or "" for piece in pieces))
            pieces = []
        if found["brace"] is not None:
            return (words if known else None), place
        place = found.end()
    raise DecodeError("grub.cfg", start, "a menu entry without a block")


def _piece(found: re.Match[str]) -> str | None:
    """What a piece of a word stands for; None for a variable that is not known."""
    if found["variable"] is not None:
        return _expanded(found["variable"])
    if found["quoted"] is not None:
        expanded = _expanded(found["quoted"])
        return None if expanded is None else ESCAPE.sub(r"\1", expanded)
    return next(piece for piece in (found["literal"], found["escaped"], found["plain"]) if piece is not None)


def _expanded(text: str) -> str | None:
    names = [braced or bare for braced, bare in VARIABLE.findall(text)]
    if any(name not in VARIABLES for name in names):
        return None
    return VARIABLE.sub(lambda found: VARIABLES[found[1] or found[2]], text)


def _block_end(text: str, brace: int) -> int:
    """Just past the brace that closes this one."""
    depth = 0
    for found in BLOCK.finditer(text, brace):
        depth += {"{": 1, "}": -1}.get(found[0], 0)
        if not depth:
            return found.end()
    raise DecodeError("grub.cfg", brace, "a block of the menu never ends")
