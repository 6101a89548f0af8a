"""Of a long list only what is not plainly known is looked at one by one, and nothing is overlooked by that."""

import pytest

from bartizan.appraise.context import ReferenceIndex, index_reference
from bartizan.appraise.measured import (
    Tally,
    all_known,
    covered_columns,
    look_up,
    measured_twice,
)
from bartizan.formats.ima import decode_ima
from bartizan.model.ima import ImaColumns
from bartizan.model.reference import Origin, ReferenceFile, ReferenceSet
from tests.unit.ima_lists import binary, ng
from tests.unit.ima_verified import LINES, aggregate, pcrs_after, verified

ONE, TWO, THREE = (bytes([number]) * 32 for number in (1, 2, 3))
LIST = decode_ima(
    binary(
        [
            aggregate(),
            ng(b"/known", ONE),
            ng(b"/v", violation=True),
            ng(b"/known", TWO),
            ng(b"/elsewhere", ONE),
            ng(b"/stranger", THREE),
            ng(b"/known", ONE),
            ng(b"/stranger", TWO),
            ng(b"/known", violation=True),
        ]
    )
).columns


def origin(package: str) -> Origin:
    return Origin(package=package, version="1", architecture="amd64", repository="r", signer="s")


def index(*files: ReferenceFile) -> ReferenceIndex:
    return index_reference(ReferenceSet(name="n", source="s", events=(), files=files, digest=""))


REFERENCE = index(ReferenceFile(path=b"/known", alg="sha256", digest=ONE))


def tally(columns: ImaColumns, reference: ReferenceIndex) -> Tally:
    return look_up(columns, reference).tally


def test_a_file_is_familiar_by_its_path_and_digest_together() -> None:
    assert look_up(LIST, REFERENCE).unfamiliar == (0, 2, 3, 4, 5, 7, 8)
    assert look_up(LIST, index()).unfamiliar == tuple(range(9))


def test_violations_and_starts_of_a_list_are_no_files() -> None:
    assert [entry.index for entry in look_up(LIST, REFERENCE).strangers] == [3, 4, 5, 7]
    assert [entry.index for entry in look_up(LIST[3:], REFERENCE).strangers] == [3, 4, 5, 7]


def test_a_file_measured_twice_is_paired_with_its_first_measurement() -> None:
    found = measured_twice(LIST, REFERENCE)

    assert [(first.index, later.index) for first, later in found] == [(1, 3), (5, 7)]
    assert measured_twice(LIST, None) == found
    assert measured_twice(LIST[:3], None) == []


def test_a_known_digest_of_a_changed_file_is_no_change() -> None:
    both = index(
        ReferenceFile(path=b"/known", alg="sha256", digest=ONE), ReferenceFile(path=b"/known", alg="sha256", digest=TWO)
    )

    assert [later.index for _, later in measured_twice(LIST, both)] == [7]


def test_only_what_the_quote_covers_is_looked_at() -> None:
    part, none = verified(LINES, pcrs_after(LINES[:2])), verified(LINES, pcrs_after(LINES[1:]))

    assert [len(covered_columns(ima)) for ima in (verified(LINES), part, none)] == [4, 2, 0]


PACKAGED = index(
    ReferenceFile(path=b"/known", alg="sha256", digest=ONE, origin=origin("coreutils")),
    ReferenceFile(path=b"/known", alg="sha256", digest=TWO, origin=origin("bash")),
)


def test_files_are_tallied_by_where_they_come_from() -> None:
    found = tally(LIST, PACKAGED)

    assert (found.files, found.packaged) == (6, 5)
    assert found.packages == {("coreutils", "1", "amd64"), ("bash", "1", "amd64")}
    assert tally(LIST, REFERENCE) == Tally(files=6, packaged=0, packages=frozenset())


@pytest.mark.parametrize("cut", range(len(LIST) + 1))
def test_tallies_add_up(cut: int) -> None:
    assert tally(LIST[:cut], PACKAGED) + tally(LIST[cut:], PACKAGED) == tally(LIST, PACKAGED)


def test_the_sentence_says_where_the_values_come_from_if_that_is_known() -> None:
    packaged = tally(LIST, PACKAGED)

    assert all_known(tally(LIST, REFERENCE), generated=0) == "all 6 measured files are known"
    assert all_known(packaged, generated=1) == (
        "all 6 measured files are known: 5 from 2 packages, 1 by rule as generated, 0 from other sets"
    )
