"""GRUB's script language: what it is read as, and what is refused with its place."""

import pytest

from bartizan.errors import DecodeError
from bartizan.formats import grub_script, rpm
from bartizan.formats.grub_script import Choice, Command, Function, Piece, decode_grub_script
from bartizan.formats.rpm import decode_rpm


def only(text: str) -> Command:
    (found,) = decode_grub_script(text.encode())
    assert isinstance(found, Command)
    return found


def test_words_keep_what_is_quoted_and_what_varies() -> None:
    assert only('a \'b $c\' "d\\"$e\\n" f${g}\\ h').words == (
        (Piece("a"),),
        (Piece("b $c", quoted=True),),
        (
            *(Piece("", quoted=True), Piece("d", quoted=True), Piece('"', quoted=True), Piece("", quoted=True)),
            *(Piece("e", variable=True, quoted=True), Piece("\\n", quoted=True)),
        ),
        (Piece("f"), Piece("g", variable=True), Piece(" ", quoted=True), Piece("h")),
    )


def test_statements_end_at_lines_semicolons_and_comments() -> None:
    assert len(decode_grub_script(b"a;b\nc # d; e\n;;\\\n f")) == 4


def test_a_dollar_alone_is_a_dollar() -> None:
    assert only("a $ b").words[1] == (Piece("$"),)


def test_blocks_conditions_and_functions() -> None:
    choice, function, menu = decode_grub_script(
        b"if a; then b; elif c; then d; else e; fi\nfunction f { g; }\nmenuentry 'x' {\n h }"
    )

    assert isinstance(choice, Choice)
    assert (len(choice.branches), len(choice.otherwise)) == (2, 1)
    assert isinstance(function, Function)
    assert function.name == "f"
    assert isinstance(menu, Command)
    assert (menu.block, len(menu.body)) == ("{\n h }", 1)


def test_bytes_that_are_no_utf8_are_kept() -> None:
    assert only("a").words[0] == (Piece("a"),)
    (found,) = decode_grub_script(b"\xff")
    assert isinstance(found, Command)
    assert found.words[0][0].text.encode("utf-8", "surrogateescape") == b"\xff"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("fi", "'fi' without a beginning"),
        ("}", "'}' without a beginning"),
        ("if a; then b; }", "'}' without a beginning"),
        ("if a; then b", "elif or else or fi"),
        ("if a", "(then) is missing"),
        ("function f {", "(}) is missing"),
        ("function { a; }", "out of place"),
        ("function '' { a; }", "name and block"),
        ("function f a", "name and block"),
        ("menuentry 'x'", "without a block"),
        ("menuentry 'x' ;", "without a block"),
        ("for a in b; do c; done", "cannot be foretold"),
        ("while a; do b; done", "cannot be foretold"),
        ("{ a; }", "cannot be foretold"),
        ("'a", "quote that never ends"),
        ('a "b', "quote that never ends"),
        ("a {", "out of place"),
        ("a\\", "out of place"),
        ("if a; then " * 17, "more than 16 levels"),
        ("menuentry x { " * 17, "more than 16 levels"),
    ],
)
def test_what_is_no_script_is_refused(text: str, why: str) -> None:
    with pytest.raises(DecodeError) as refused:
        decode_grub_script(text.encode())

    assert why in str(refused.value)


@pytest.mark.parametrize(("limit", "raw"), [("MAX_SCRIPT", b"abc"), ("MAX_STATEMENTS", b"a;b;c")])
def test_limits_hold(limit: str, raw: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grub_script, limit, 2)

    with pytest.raises(DecodeError, match=r"limit of 2|more than 2"):
        decode_grub_script(raw)


def test_the_limit_of_a_package_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpm, "MAX_RPM", 2)

    with pytest.raises(DecodeError, match="limit of 2"):
        decode_rpm(b"abc")
