"""Decoders of boot images and their companions are total: any input is read or refused, and nothing else happens."""

import contextlib
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bartizan.errors import DecodeError, VerifyError
from bartizan.formats.authenticode import decode_authenticode
from bartizan.formats.boot_image import decode_boot_image
from bartizan.formats.grub_config import decode_grub_config
from bartizan.formats.grub_script import decode_grub_script
from bartizan.formats.pe import authenticode_digest, decode_pe
from bartizan.formats.uki import decode_uki
from bartizan.model.digest import HashAlg
from bartizan.reference.grub_run import GrubRun, entry
from tests.simulator.boot_images import Pe, Signing
from tests.unit.image_disks import MemoryDisks

SBAT = b"sbat,1,SBAT Version,sbat,1,https://example.org\n"
MAGIC = b"#### LoaderInfo: systemd-stub 257 ####"
IMAGE = (
    Pe(sections={".sdmagic": MAGIC, ".linux": b"kernel", ".osrel": b"ID=a", ".sbat": SBAT}).signed(Signing()).encode()
)
SIGNATURE = Signing().of(bytes(32))
CONFIG = b"menuentry 'a \\' \"$x b\" --id c {\n\tlinux /vmlinuz ro # }\n}\nsubmenu d {\n}\n"
SCRIPT = (
    b"if [ \"$a\" = 'b c' ]; then set d=${e}; elif ! f; then g $1; else linux /vmlinuz a\\ b; fi # no\n"
    b'function h { source $prefix/x; }\nmenuentry "i $j" --id k {\n\tinitrd /i\n}\nboot; exit\n'
)

Decoder = Callable[[bytes], object]
CASES: dict[str, tuple[Decoder, bytes]] = {
    "pe": (decode_pe, IMAGE),
    "boot_image": (decode_boot_image, IMAGE),
    "uki": (decode_uki, IMAGE),
    "authenticode": (decode_authenticode, SIGNATURE),
    "grub_config": (decode_grub_config, CONFIG),
    "grub_script": (decode_grub_script, SCRIPT),
}
INTERESTING = tuple(range(0x100)) + tuple(range(0x180, 0x240)) + tuple(range(len(IMAGE) - 64, len(IMAGE)))
"""Offsets of headers and the certificate table of the image."""


@pytest.mark.parametrize("name", CASES)
@given(raw=st.binary(max_size=300))
@settings(max_examples=60, deadline=None)
def test_any_bytes_are_read_or_refused(name: str, raw: bytes) -> None:
    decode, good = CASES[name]

    for some in (raw, good[:64] + raw, good + raw):
        with contextlib.suppress(DecodeError):
            decode(some)


@pytest.mark.parametrize("name", CASES)
@given(data=st.data())
@settings(max_examples=120, deadline=None)
def test_any_change_of_a_good_one_is_read_or_refused(name: str, data: st.DataObject) -> None:
    decode, good = CASES[name]
    changed = bytearray(good)
    places = st.sampled_from([at for at in INTERESTING if at < len(good)]) | st.integers(0, len(good) - 1)
    for at in data.draw(st.lists(places, min_size=1, max_size=4)):
        changed[at] = data.draw(st.integers(0, 255))

    with contextlib.suppress(DecodeError):
        decode(bytes(changed))


@pytest.mark.parametrize("name", CASES)
def test_every_truncation_is_read_or_refused(name: str) -> None:
    decode, good = CASES[name]

    for size in range(0, len(good), 1 if len(good) < 2048 else 7):
        with contextlib.suppress(DecodeError):
            decode(good[:size])


@given(
    st.dictionaries(st.sampled_from([".text", ".data", ".osrel", ".initrd"]), st.binary(min_size=1, max_size=2000)),
    st.binary(max_size=64),
    st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_the_digest_of_any_image_is_that_of_the_file_without_what_does_not_count(
    sections: dict[str, bytes], trailing: bytes, plus: bool
) -> None:
    image = Pe(sections=sections, trailing=trailing, plus=plus)

    for some in (image, image.signed(Signing())):
        raw = some.encode()
        assert authenticode_digest(raw, decode_pe(raw), HashAlg.SHA256) == some.digest()


WORDS = (
    *("if", "then", "else", "fi", "[", "]", "=", "-e", "-s", "!", "set a=b", "set b=$a", "$a", '"$b"', "keystatus"),
    *("linux /k $a", "initrd /k", "load_env", "source /s", "search --set=root /k", "menuentry x {", "submenu y {", "}"),
    *("function f {", "f", "boot", "unset prefix", "set default=$c", "loadfont u"),
)


@given(st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from((" ", "\n", "; "))), max_size=30))
@settings(max_examples=300, deadline=None)
def test_any_script_is_run_to_an_end_or_refused(words: list[tuple[str, str]]) -> None:
    text = "".join(word + end for word, end in words).encode()
    files = {"(d)/k": b"k", "(d)/s": text, "(d)/p/grubenv": b"a=c\n"}
    run = GrubRun(disks=MemoryDisks(files=files, devices=("d",)), variables={"root": "d", "prefix": "(d)/p"})

    with contextlib.suppress(DecodeError, VerifyError):
        run.run(decode_grub_script(text))
        for command in entry(run, None):
            run.run(command.body)
    assert all(isinstance(text, str) for text in run.left)
