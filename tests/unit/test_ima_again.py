"""A list held against a later quote: what came since is replayed on, and the outcome is that of the whole list."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from bartizan.formats.ima import decode_ima, further_entries
from bartizan.model.digest import HashAlg, PcrBanks
from bartizan.model.evidence import VerifiedIma
from bartizan.model.ima import ImaParts
from bartizan.model.result import Tier
from bartizan.verify.ima import verify_ima
from bartizan.verify.ima_again import FurtherIma, in_one_piece, ordinary, verify_further
from tests.unit.ima_lists import Line, ascii_list, binary, d_ng, ng, sha1, sha256
from tests.unit.ima_verified import LINES, SHA1, SHA256, SHA384, aggregate, pcrs_after, verified

NEW = [ng(b"/c", b"\x03" * 32), ng(b"/d", b"\x04" * 32)]
LATER = [ng(b"/e", b"\x05" * 32)]


def further(known: VerifiedIma, before: PcrBanks, lines: Sequence[Line], pcrs: PcrBanks) -> FurtherIma:
    entries = further_entries(binary(lines), known.list)
    return verify_further(known, entries, before=before, pcrs=pcrs, pinned=SHA256)


def as_whole(found: FurtherIma, lines: Sequence[Line], pcrs: PcrBanks) -> bool:
    """It says what a look at the whole list says."""
    whole = verify_ima(decode_ima(binary(lines)), pcrs, pinned=SHA256)
    said = replace(found.ima, list=whole.list, findings=())
    assert found.ima.list.columns == whole.list.columns
    assert sorted(map(repr, found.ima.findings)) == sorted(map(repr, whole.findings))
    return said == replace(whole, findings=())


def test_ordinary_entries_are_replayed_on() -> None:
    before, pcrs = pcrs_after(LINES), pcrs_after([*LINES, *NEW])

    found = further(verified(LINES), before, NEW, pcrs)

    assert found.covered is not None
    assert [entry.path for entry in found.covered] == [b"/c", b"/d"]
    assert [entry.index for entry in found.covered] == [4, 5]
    assert found.late is None
    assert as_whole(found, [*LINES, *NEW], pcrs)


def test_entries_that_the_quote_does_not_cover_yet_stay_pending() -> None:
    before, pcrs = pcrs_after(LINES), pcrs_after([*LINES, NEW[0]])

    found = further(verified(LINES), before, NEW, pcrs)

    assert found.covered is not None
    assert (len(found.covered), found.ima.matched, found.ima.pending) == (1, 5, 1)
    assert as_whole(found, [*LINES, *NEW], pcrs)


def test_pending_entries_catch_up() -> None:
    before, pcrs = pcrs_after(LINES), pcrs_after([*LINES, *NEW])
    known = verified([*LINES, *NEW], before)
    assert known.pending == 2

    found = further(known, before, [], pcrs)

    assert found.late is None
    assert found.covered is not None
    assert [entry.path for entry in found.covered] == [b"/c", b"/d"]
    assert as_whole(found, [*LINES, *NEW], pcrs)


@pytest.mark.parametrize("covered", [0, 1])
def test_pending_entries_that_do_not_catch_up_are_contraindicated(covered: int) -> None:
    before, pcrs = pcrs_after(LINES), pcrs_after([*LINES, *NEW[:covered]])

    found = further(verified([*LINES, *NEW], before), before, LATER, pcrs)

    assert found.late is not None
    assert (found.late.id, found.late.tier) == ("ima.replays", Tier.CONTRAINDICATED)
    assert (found.late.at.pcr, found.late.at.entry) == (10, 4 + covered)
    assert found.late.why.startswith(f"{2 - covered} entries came before this quote was made")
    assert as_whole(found, [*LINES, *NEW, *LATER], pcrs)


def test_entries_sent_with_a_quote_need_not_be_covered_by_it() -> None:
    before = pcrs_after(LINES)

    found = further(verified(LINES), before, NEW, before)

    assert (found.late, found.ima.pending) == (None, 2)


UNUSUAL = {
    "a violation": ng(b"/w", violation=True),
    "another PCR": ng(b"/w", pcr=11),
    "another start": aggregate(),
    "a buffer": Line("ima-buf", (d_ng(bytes(range(32))), b"kexec-cmdline\0", b"quiet"), b""),
    "a column that lies": replace(ng(b"/w"), column=sha1(b"another")),
    "a digest that cannot be compared": ng(b"/w", b"\x01" * 31),
    "an unknown template": Line("ima-future", (b"\x01",), b""),
}


@pytest.mark.parametrize("case", UNUSUAL)
def test_an_unusual_entry_makes_the_whole_list_be_looked_at(case: str) -> None:
    lines = [*LINES, NEW[0], UNUSUAL[case], NEW[1]]
    before, pcrs = pcrs_after(LINES), pcrs_after(lines)

    found = further(verified(LINES), before, lines[4:], pcrs)

    assert found.covered is None
    assert as_whole(found, lines, pcrs)


def test_an_unusual_entry_that_was_pending_does_so_too() -> None:
    lines = [*LINES, UNUSUAL["a violation"], *NEW]
    before, pcrs = pcrs_after(LINES), pcrs_after(lines)

    found = further(verified(lines[:5], before), before, NEW, pcrs)

    assert found.covered is None
    assert as_whole(found, lines, pcrs)


def test_an_ascii_entry_whose_data_is_not_known_makes_the_whole_list_be_looked_at() -> None:
    unknown = Line("ima-future", (b"\x01", b"\x02"), b"01 02")
    before, pcrs = pcrs_after(LINES), pcrs_after([*LINES, unknown])
    known = verified(LINES, before, ascii_form=True)

    entries = further_entries(ascii_list([unknown]), known.list)
    found = verify_further(known, entries, before=before, pcrs=pcrs, pinned=SHA256)

    assert (found.covered, found.ima.matched) == (None, None)


def test_a_list_with_entries_of_another_pcr_is_always_looked_at_as_a_whole() -> None:
    lines = [*LINES, ng(b"/w", pcr=11), ng(b"/last")]
    pcrs = pcrs_after([*lines, *NEW])

    found = further(verified(lines), pcrs_after(lines), NEW, pcrs)

    assert found.covered is None
    assert as_whole(found, [*lines, *NEW], pcrs)


@pytest.mark.parametrize("lines", [[NEW[1]], [NEW[1], NEW[0]], [ng(b"/other"), NEW[1]]])
def test_entries_that_do_not_lead_to_the_quote_are_contraindicated(lines: list[Line]) -> None:
    before, pcrs = pcrs_after(LINES), pcrs_after([*LINES, *NEW])

    found = further(verified(LINES), before, lines, pcrs)

    assert (found.covered, found.ima.matched, found.late) == (None, None, None)
    assert as_whole(found, [*LINES, *lines], pcrs)
    assert {finding.tier for finding in found.ima.findings if finding.id == "ima.replays"} == {Tier.CONTRAINDICATED}


def test_a_list_that_did_not_replay_is_looked_at_as_a_whole() -> None:
    pcrs = pcrs_after([*LINES, *NEW])
    known = verified(LINES, pcrs)
    assert known.matched is None

    found = further(known, pcrs, NEW, pcrs)

    assert (found.covered, found.ima.matched) == (None, 6)


BANKS = (SHA256, SHA1, SHA384)


def test_every_bank_goes_on_as_it_was_extended() -> None:
    before = pcrs_after(LINES, *BANKS, padded=[SHA384])
    pcrs = pcrs_after([*LINES, *NEW], *BANKS, padded=[SHA384])
    known = verified(LINES, before)
    assert known.agreeing == {SHA256: False, SHA1: False, SHA384: True}

    found = further(known, before, NEW, pcrs)

    assert found.covered is not None
    assert as_whole(found, [*LINES, *NEW], pcrs)


@pytest.mark.parametrize("bank", BANKS)
@pytest.mark.parametrize("size", [1, 0])
def test_a_bank_that_goes_another_way_makes_the_whole_list_be_looked_at(bank: HashAlg, size: int) -> None:
    before, pcrs = pcrs_after(LINES, *BANKS), pcrs_after([*LINES, *NEW], *BANKS)
    other = {bank: pcrs_after([*LINES, *NEW[:size]] if size else [*LINES, *LATER], *BANKS)[bank]}

    found = further(verified(LINES, before), before, NEW, {**pcrs, **other})

    assert found.covered is None
    assert as_whole(found, [*LINES, *NEW], {**pcrs, **other})


def test_a_bank_that_did_not_agree_before_makes_the_whole_list_be_looked_at() -> None:
    before = {**pcrs_after(LINES, *BANKS), SHA1: {10: b"\x01" * 20}}
    pcrs = {**pcrs_after([*LINES, *NEW], *BANKS), SHA1: {10: b"\x02" * 20}}
    known = verified(LINES, before)
    assert known.agreeing == {SHA256: False, SHA384: False}

    found = further(known, before, NEW, pcrs)

    assert found.covered is None
    assert as_whole(found, [*LINES, *NEW], pcrs)


def test_violations_alone_do_not_settle_how_a_bank_is_extended() -> None:
    lines = [ng(b"/v", violation=True), *NEW]
    before, pcrs = pcrs_after(lines[:1]), pcrs_after(lines, padded=[SHA256])

    found = further(verified(lines[:1], before), before, NEW, pcrs)

    assert (found.covered, found.ima.zero_padded) == (None, True)


def test_a_wide_column_is_checked_in_its_own_algorithm() -> None:
    before, pcrs = pcrs_after(LINES), pcrs_after([*LINES, *NEW])
    known = verify_ima(decode_ima(binary(LINES, sha256)), before, pinned=SHA256)
    lie = replace(NEW[1], column=sha256(b"another"))

    for lines, seen in (([NEW[0], NEW[1]], True), ([NEW[0], lie], False)):
        entries = further_entries(binary(lines, sha256), known.list)
        found = verify_further(known, entries, before=before, pcrs=pcrs, pinned=SHA256)
        assert (found.covered is not None) == seen
        assert found.ima.matched == 6


def test_many_small_steps_are_one_list() -> None:
    lines = [*LINES, *(ng(b"/n%d" % size, bytes([size]) * 32) for size in range(1, 40))]
    known, before = verified(LINES), pcrs_after(LINES)
    for size in range(5, len(lines) + 1):
        pcrs = pcrs_after(lines[:size])
        found = further(known, before, lines[size - 1 : size], pcrs)
        assert found.covered is not None
        known, before = found.ima, pcrs

    assert as_whole(found, lines, before)
    assert isinstance(known.list.entries, ImaParts)
    assert 1 < len(known.list.entries.parts) < 8
    assert in_one_piece(known).list.columns == known.list.columns
    assert in_one_piece(in_one_piece(known)) == in_one_piece(known)


def test_what_is_ordinary() -> None:
    assert ordinary(decode_ima(binary(NEW)).columns)
    for line in (UNUSUAL[case] for case in ("a violation", "another PCR", "another start", "a buffer")):
        assert not ordinary(decode_ima(binary([*NEW, line])).columns)
