"""A grub.cfg's menu as GRUB measures it: held against a recorded log, and each form that cannot be foretold."""

import pytest

from bartizan.errors import DecodeError
from bartizan.formats import grub_config
from bartizan.formats.grub_config import decode_grub_config
from bartizan.formats.tcg_log import decode_boot_log
from tests.simulator.boot_images import VECTORS

UBUNTU = (
    VECTORS.parent / "boot_logs" / "google_go-eventlog" / "testdata__eventlogs__tpm__ubuntu-2104-no-secure-boot.bin"
)
MEASURED_MENU = (68, 69)
PREFIX = "grub_cmd: "


def menu(text: str) -> list[tuple[str, str]]:
    return [(command.identity, command.text) for command in decode_grub_config(text.encode()).menu]


def measured() -> list[str]:
    """The menu as a real GRUB measured it."""
    events = decode_boot_log(UBUNTU.read_bytes()).events
    return [events[index].data.decode().removeprefix(PREFIX).rstrip("\0") for index in MEASURED_MENU]


def as_written(command: str) -> str:
    """What grub-mkconfig wrote to have this measured: titles in quotes, the option's name in a variable."""
    words, brace, block = command.partition(" {")
    title, _, options = words.partition(" --")
    kind, _, title = title.partition(" ")
    options = f" --{options}" if options else ""
    return f"{kind} '{title}'{options.replace('--id ', '$menuentry_id_option ')}{brace}{block}"


def test_a_real_menu_is_foretold_byte_for_byte() -> None:
    text = "set default=0\n" + "\n".join(map(as_written, measured())) + "\nif true; then\n  true\nfi\n"

    assert [command for _, command in menu(text)] == measured()


def test_an_entry_is_told_by_its_id_or_by_its_title() -> None:
    assert menu("menuentry 'A title' --class os --id some-id {\n}\n") == [
        ("some-id", "menuentry A title --class os --id some-id {\n}")
    ]
    assert menu('submenu "A \\"title\\"" {\n}\n') == [('A "title"', 'submenu A "title" {\n}')]


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("menuentry a\\ b {\n}", "menuentry a b {\n}"),
        ("menuentry 'a'\"b\"c {\n}", "menuentry abc {\n}"),
        ('menuentry "${menuentry_id_option}x" {\n}', "menuentry --idx {\n}"),
        ("menuentry x \\\n  y {\n}", "menuentry x y {\n}"),
        ("\tmenuentry x{\n}", "menuentry x {\n}"),
    ],
    ids=["escaped blank", "quotes within a word", "variable in quotes", "continued line", "no blank before the block"],
)
def test_words_are_as_grub_expands_them(written: str, words: str) -> None:
    assert menu(written)[0][1] == words


@pytest.mark.parametrize("title", ["$title", '"the ${title}"'])
def test_what_an_unknown_variable_holds_is_not_guessed(title: str) -> None:
    assert menu(f"menuentry {title} --id x {{\n}}\nmenuentry y {{\n}}") == [("y", "menuentry y {\n}")]


@pytest.mark.parametrize(
    "block",
    ["{ echo '}' }", '{ echo "}" }', "{ echo \\} }", "{\n# a } comment\n}", "{ if a; { b } fi }", "{ echo a#} "],
    ids=["single quotes", "double quotes", "escaped", "comment", "nested", "no comment within a word"],
)
def test_braces_are_matched_as_grub_does(block: str) -> None:
    assert menu(f"menuentry x {block}\nset y=1\n") == [("x", f"menuentry x {block.rstrip()}")]


def test_entries_within_a_submenu_are_part_of_its_block() -> None:
    assert [identity for identity, _ in menu("submenu s {\nmenuentry t {\n}\n}\nmenuentry u {\n}\n")] == ["s", "u"]


@pytest.mark.parametrize("text", ["menuentry x\n", "menuentry 'x {\n", "menuentry x {\n", "menuentry x"])
def test_a_menu_that_never_ends_is_refused(text: str) -> None:
    with pytest.raises(DecodeError, match=r"grub\.cfg"):
        decode_grub_config(text.encode())


def test_lines_that_load_a_kernel_are_found_with_single_blanks() -> None:
    text = "linux\t/boot/vmlinuz-6.1  root=/dev/sda1   ro \n  linuxefi /vmlinuz\nlinux_gfx /x\n# linux /y z\n"
    found = decode_grub_config(text.encode()).kernels

    assert [(line.path, line.arguments) for line in found] == [
        ("/boot/vmlinuz-6.1", "root=/dev/sda1 ro"),
        ("/vmlinuz", ""),
    ]


def test_bytes_that_are_no_text_are_kept() -> None:
    found = decode_grub_config(b"menuentry \xff {\n}\n").menu

    assert found[0].text.encode("utf-8", "surrogateescape") == b"menuentry \xff {\n}"


def test_a_file_over_the_limit_is_refused() -> None:
    with pytest.raises(DecodeError, match="over the limit"):
        decode_grub_config(bytes(grub_config.MAX_CONFIG + 1))


def test_too_many_entries_are_refused() -> None:
    with pytest.raises(DecodeError, match="more than"):
        decode_grub_config(b"menuentry x {\n}\n" * (grub_config.MAX_ENTRIES + 1))
