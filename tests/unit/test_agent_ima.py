"""The IMA list read on from where the Verifier has it, and lists that are not what they were."""

from pathlib import Path

import pytest

from bartizan.agent import ima
from bartizan.agent.errors import CollectError
from bartizan.agent.ima import ImaReader, Tail
from tests.unit.ima_lists import Line, binary, ng, old

LINES = [ng(b"boot_aggregate"), ng(b"/sbin/init"), old(b"/bin/old"), ng(b"/bin/sh", violation=True), ng(b"/bin/ls")]
KEXEC = "IMA list: another boot_aggregate: a kernel was started by kexec"


class List:
    """A list that grows, and the one reader of it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "list"
        self.reader = ImaReader(self.path)

    def holds(self, *lines: Line) -> None:
        self.path.write_bytes(binary(lines))

    def read(self, first: int) -> Tail:
        tail = self.reader.read(first)
        assert tail is not None
        return tail


@pytest.fixture
def kernel(tmp_path: Path) -> List:
    made = List(tmp_path)
    made.holds(*LINES)
    return made


@pytest.mark.parametrize("first", range(len(LINES) + 1))
def test_a_new_reader_sends_the_list_from_any_entry_on(kernel: List, first: int) -> None:
    assert kernel.read(first) == Tail(first, binary(LINES[first:]))


def test_only_what_is_new_is_read_again(kernel: List, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel.read(0)
    kernel.holds(*LINES, ng(b"/bin/new"))
    monkeypatch.setattr(ImaReader, "_from_start", lambda *_: pytest.fail("the whole list was read"))

    assert kernel.read(5) == Tail(5, ng(b"/bin/new").binary())
    assert kernel.read(6) == Tail(6, b"")


def test_after_a_lost_answer_the_same_is_sent_again(kernel: List) -> None:
    kernel.read(0)
    kernel.holds(*LINES, ng(b"/bin/new"))
    kernel.read(5)

    assert kernel.read(5) == Tail(5, ng(b"/bin/new").binary())


def test_a_count_that_was_never_sent_is_found_too(kernel: List) -> None:
    kernel.read(0)

    assert kernel.read(2) == Tail(2, binary(LINES[2:]))


def test_places_that_are_remembered_are_few(kernel: List) -> None:
    for count in range(5, 30):
        kernel.holds(*LINES, *(ng(b"/bin/%d" % number) for number in range(5, count)))
        kernel.read(count if count == 5 else count - 1)

    assert len(kernel.reader._marks) <= ima.KEPT_MARKS


@pytest.mark.parametrize("first", [0, 4, 5], ids=["in full", "at another place", "going on"])
def test_a_shorter_list_is_sent_in_full_and_said(kernel: List, first: int) -> None:
    kernel.read(0)
    kernel.holds(*LINES[:3])

    assert kernel.read(first) == Tail(0, binary(LINES[:3]), ("IMA list: 3 entries now, 5 before; sent in full",))
    assert kernel.read(3) == Tail(3, b"")


def test_a_list_shorter_than_what_the_verifier_has_is_sent_in_full_and_said(kernel: List) -> None:
    assert kernel.read(9) == Tail(0, binary(LINES), ("IMA list: 5 entries now, 9 before; sent in full",))


@pytest.mark.parametrize("first", [0, 2, 5], ids=["in full", "at another place", "going on"])
def test_another_last_entry_is_sent_in_full_and_said(kernel: List, first: int) -> None:
    kernel.read(0)
    changed = [*LINES[:4], ng(b"/bin/ps"), ng(b"/bin/new")]
    kernel.holds(*changed)

    assert kernel.read(first) == Tail(0, binary(changed), ("IMA list: entry 4 is not what it was; sent in full",))


def test_an_empty_list_has_no_entries(kernel: List) -> None:
    kernel.holds()

    assert kernel.read(0) == Tail(0, b"")


def test_no_list_is_none(tmp_path: Path) -> None:
    assert ImaReader(tmp_path / "list").read(0) is None


def test_a_list_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CollectError, match="Is a directory"):
        ImaReader(tmp_path).read(0)


def test_a_second_boot_aggregate_is_kexec(kernel: List) -> None:
    kernel.holds(*LINES, LINES[0])
    assert kernel.read(0).notes == (KEXEC,)

    kernel.holds(*LINES, LINES[0], *LINES)
    assert kernel.read(6).notes == (KEXEC,)


@pytest.mark.parametrize(
    "junk",
    [b"junk", b"\0" * 40, LINES[1].binary()[:-1], LINES[1].binary()[:30], LINES[2].binary()[:40], b"\x0a" * 28],
)
def test_what_is_no_entry_is_sent_as_it_is_and_said(kernel: List, junk: bytes) -> None:
    kernel.path.write_bytes(binary(LINES) + junk)
    tail = kernel.read(3)

    assert (tail.first, tail.entries) == (0, binary(LINES) + junk)
    assert tail.notes == (f"IMA list: no entry at byte {len(binary(LINES))}; sent as it is from there on",)


def test_a_list_too_large_for_a_request_is_cut_and_said(kernel: List, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ima, "MAX_LIST", len(binary(LINES[:2])))
    tail = kernel.read(0)

    assert tail.entries == binary(LINES[:3])
    assert "sent as far as entry 3" in tail.notes[0]
