"""Text from evidence cannot steer the screen it is shown on."""

import pytest

from bartizan.formats.inert import inert


def test_plain_text_stays_as_it_is() -> None:
    assert inert(r"\EFI\BOOT\BOOTX64.EFI <b>[red] é 鸡 → ‖") == r"\EFI\BOOT\BOOTX64.EFI <b>[red] é 鸡 → ‖"


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[31mred", r"\x1b[31mred"),
        ("a\nb\r\tc", r"a\nb\r\tc"),
        ("\x00\x07\x7f\x9b", r"\x00\x07\x7f\x9b"),
        ("\u202egpj.exe", r"\u202egpj.exe"),
        ("\u2066\u200f\u061c\ufeff\u00ad", r"\u2066\u200f\u061c\ufeff\xad"),
        ("\u2028\u2029\u0085", r"\u2028\u2029\x85"),
        ("\u05d0\u0627", r"\u05d0\u0627"),
        ("e\u0301\u20dd", r"e\u0301\u20dd"),
        ("\U000e0041\ue000", r"\U000e0041\ue000"),
        ("\u00a0", r"\xa0"),
        (b"\x80\xff".decode("utf-8", "surrogateescape"), r"\x80\xff"),
        ("\ud800", r"\ud800"),
    ],
)
def test_what_could_steer_a_screen_becomes_an_escape(hostile: str, shown: str) -> None:
    assert inert(hostile) == shown


def test_a_long_text_is_cut_and_marked() -> None:
    assert inert("a" * 300) == "a" * 200 + "…"
    assert inert("a" * 200) == "a" * 200
    assert inert("abc", limit=2) == "ab…"


def test_an_escape_is_never_cut_in_two() -> None:
    assert inert("ab\u202e", limit=7) == "ab…"
    assert inert("ab\u202e", limit=8) == r"ab\u202e"
