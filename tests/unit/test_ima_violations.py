"""The two kinds of violation are told apart by the order of the list, as far as that goes."""

import pytest

from bartizan.formats.ima import decode_ima
from bartizan.model.ima import ViolationKind
from bartizan.verify.ima import violation_kind, violation_kinds
from tests.unit.ima_lists import Line, binary, boot, ng


def kinds(*lines: Line) -> list[ViolationKind]:
    return list(violation_kinds(decode_ima(binary(lines))).values())


V, M, OTHER_FILE = ng(b"/f", violation=True), ng(b"/f"), ng(b"/other")


def test_the_recorded_violations_are_told_apart() -> None:
    ima = decode_ima(boot("attack_violation")[0])

    assert {ima.entries[index].path: kind for index, kind in violation_kinds(ima).items()} == {
        b"/etc/motd": ViolationKind.OPEN_WRITERS,
        b"/etc/issue": ViolationKind.TOMTOU,
    }
    assert violation_kind(ima, 35) is ViolationKind.OPEN_WRITERS


def test_a_file_measured_only_after_its_violation_had_open_writers() -> None:
    assert kinds(OTHER_FILE, V, M) == [ViolationKind.OPEN_WRITERS]
    assert kinds(V, OTHER_FILE, M) == [ViolationKind.OPEN_WRITERS]


def test_a_file_measured_before_its_violation_and_not_right_after_is_a_tomtou() -> None:
    assert kinds(M, V) == [ViolationKind.TOMTOU]
    assert kinds(M, OTHER_FILE, V, OTHER_FILE, M) == [ViolationKind.TOMTOU]


def test_what_could_be_either_is_not_named() -> None:
    assert kinds(M, V, M) == [ViolationKind.UNKNOWN]
    assert kinds(V) == [ViolationKind.UNKNOWN]
    assert kinds(V, OTHER_FILE) == [ViolationKind.UNKNOWN]


def test_two_violations_in_a_row_are_judged_one_by_one() -> None:
    assert kinds(M, V, V, M) == [ViolationKind.TOMTOU, ViolationKind.UNKNOWN]


def test_an_entry_that_is_no_violation_has_no_kind() -> None:
    with pytest.raises(KeyError):
        violation_kind(decode_ima(binary([M])), 0)
