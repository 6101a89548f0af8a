"""SBAT levels are read strictly: what shim would not write is refused."""

import pytest

from bartizan.errors import DecodeError
from bartizan.formats.sbat import MAX_LINES, MAX_SBAT, decode_sbat
from bartizan.model.uefi import SbatEntry


def test_a_level_is_read() -> None:
    level = decode_sbat(b"sbat,1,2025021800\nshim,4\ngrub,5\n")

    assert level.entries == (SbatEntry("sbat", 1, ("2025021800",)), SbatEntry("shim", 4), SbatEntry("grub", 5))


def test_the_last_line_may_lack_its_end() -> None:
    assert decode_sbat(b"sbat,1,2021030218").entries == (SbatEntry("sbat", 1, ("2021030218",)),)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\n",
        b"sbat",
        b"sbat,",
        b",1",
        b"sbat,0",
        b"sbat,01",
        b"sbat,+1",
        b"sbat,1\xe9",
        b"sbat,65536",
        b"sbat,1\n\n",
        b"sbat,1\r\n",
        b"sbat,1\nshim,2\0\n",
        b"shim,2\n",
        b"sbat,1\nshim,2\nshim,3\n",
        b"sbat,1\n" + b"a,1\n" * MAX_LINES,
        b"sbat,1," + b"a" * MAX_SBAT,
    ],
)
def test_any_other_form_is_refused(raw: bytes) -> None:
    with pytest.raises(DecodeError, match="SBAT"):
        decode_sbat(raw)
