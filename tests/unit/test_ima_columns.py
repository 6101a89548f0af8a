"""Entries kept as columns are a sequence of entries like any other, in one piece or in parts."""

from dataclasses import replace

import pytest

from bartizan.formats.ima import decode_ima
from bartizan.model.ima import ImaColumns, ImaParts
from tests.unit.ima_lists import binary, ng
from tests.unit.test_ima_format import TEMPLATES

LIST = decode_ima(binary([ng(b"/first"), *TEMPLATES, ng(b"/v", violation=True), ng(b"/last", pcr=11)]))
COLUMNS = LIST.columns
ENTRIES = tuple(COLUMNS)


def test_columns_yield_the_entries_that_they_were_made_of() -> None:
    assert ImaColumns.of(ENTRIES) == COLUMNS
    assert [COLUMNS[place] for place in range(len(COLUMNS))] == list(ENTRIES)
    assert COLUMNS[-1] == ENTRIES[-1]
    assert [entry.index for entry in COLUMNS] == list(range(len(ENTRIES)))


def test_columns_are_numbered_from_their_first_index() -> None:
    assert [entry.index for entry in ImaColumns.of(ENTRIES, first=7)] == list(range(7, 7 + len(ENTRIES)))


@pytest.mark.parametrize("place", [len(ENTRIES), -len(ENTRIES) - 1])
def test_there_is_no_entry_beyond_the_last_or_before_the_first(place: int) -> None:
    with pytest.raises(IndexError):
        COLUMNS[place]


@pytest.mark.parametrize("cut", [slice(0, 3), slice(2, None), slice(3, 5), slice(-2, None), slice(0, 0), slice(None)])
def test_a_slice_keeps_its_indices(cut: slice) -> None:
    assert tuple(COLUMNS[cut]) == ENTRIES[cut]


def test_a_slice_with_gaps_is_not_a_list() -> None:
    with pytest.raises(ValueError, match="without gaps"):
        COLUMNS[::2]


def test_a_whole_slice_copies_nothing() -> None:
    assert COLUMNS[:] is COLUMNS


def test_two_pieces_make_the_whole() -> None:
    assert COLUMNS[:4] + COLUMNS[4:] == COLUMNS


def test_violations_are_found_whatever_the_size_of_the_column() -> None:
    wide = replace(ENTRIES[0], reported_template_digest=bytes(32))

    assert COLUMNS.violations == tuple(entry.index for entry in ENTRIES if entry.is_violation)
    assert COLUMNS[:3].violations == ()
    assert ImaColumns.of((ENTRIES[0], wide)).violations == (1,)


def test_a_list_made_of_entries_has_columns_too() -> None:
    assert replace(LIST, entries=ENTRIES).columns == COLUMNS
    assert replace(LIST, entries=ENTRIES).templates == LIST.templates


PARTS = ImaParts(parts=(COLUMNS[:6], COLUMNS[6:9], COLUMNS[9:]))


def test_parts_are_the_list_that_they_make() -> None:
    assert len(PARTS) == len(ENTRIES)
    assert tuple(PARTS) == ENTRIES
    assert PARTS.joined() == COLUMNS
    assert replace(LIST, entries=PARTS).columns == COLUMNS
    assert (PARTS[7], tuple(PARTS[7:9])) == (ENTRIES[7], ENTRIES[7:9])


@pytest.mark.parametrize("index", range(len(ENTRIES) + 1))
def test_the_entries_since_an_index_are_found_in_any_part(index: int) -> None:
    found = PARTS.since(index)

    assert tuple(found) == ENTRIES[index:]
    assert found.first == index


def test_parts_grow_one_by_one_and_stay_few() -> None:
    grown = ImaParts(parts=())
    for entry in ENTRIES * 8:
        grown = grown.followed_by(ImaColumns.of((entry,), first=len(grown)))
        sizes = [len(part) for part in grown.parts]
        assert sizes == sorted(sizes, reverse=True)
        assert len(set(sizes)) == len(sizes)

    assert tuple(grown) == tuple(replace(entry, index=index) for index, entry in enumerate(ENTRIES * 8))


def test_nothing_more_changes_nothing() -> None:
    assert PARTS.followed_by(COLUMNS[:0]) == PARTS
    assert ImaParts(parts=()).joined() == COLUMNS[:0]
