"""A command line is taken apart at what is blank to the kernel, outside quotes, up to where init's part begins."""

import pytest

from bartizan.formats.kernel_cmdline import kernel_words, parse_cmdline


@pytest.mark.parametrize("blank", [*" \t\n\v\f\r", "  \t "])
def test_the_kernel_s_blanks_end_a_word(blank: str) -> None:
    assert kernel_words(f"a{blank}b=1{blank}") == ["a", "b=1"]


@pytest.mark.parametrize("other", ["\x1c", "\x1f", "\x85", "\u2028", "\u3000"])
def test_what_is_blank_to_others_only_ends_none(other: str) -> None:
    assert kernel_words(f"a{other}b") == [f"a{other}b"]
    assert parse_cmdline(f"quiet{other}lockdown=integrity").keys() == {f"quiet{other}lockdown"}


def test_a_byte_that_is_a_no_break_space_ends_one_wherever_it_stands() -> None:
    assert kernel_words("à lockdown=integrity\xa0x")[1:] == [r"lockdown=integrity\xc2", "x"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('a="b c" d', ['a="b c"', "d"]),
        ('"a b=c" d', ['"a b=c"', "d"]),
        ('a" b c', ['a" b c']),
        ('a" b\n c', ['a" b\n c']),
        ("a -- b", ["a"]),
        ('a "--" b', ["a"]),
        ("a --b", ["a", "--b"]),
        ("", []),
    ],
)
def test_quotes_go_on_and_two_dashes_end_what_is_the_kernel_s(text: str, words: list[str]) -> None:
    assert kernel_words(text) == words


def test_parameters_have_their_values_in_order() -> None:
    assert parse_cmdline('console=ttyS0 "a-b=c d" console="tty 1" quiet -- quiet=no') == {
        "console": ("ttyS0", "tty 1"),
        "a_b": ("c d",),
        "quiet": ("",),
    }
