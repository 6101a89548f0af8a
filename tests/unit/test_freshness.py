"""Clock and counters of consecutive quotes."""

import pytest

from bartizan.errors import VerifyError
from bartizan.model.tpm import ClockInfo
from bartizan.verify.freshness import Continuity, check_clock


def clock(reset: int, restart: int, milliseconds: int, *, safe: bool = True) -> ClockInfo:
    return ClockInfo(clock=milliseconds, reset_count=reset, restart_count=restart, safe=safe)


BEFORE = clock(7, 2, 60_000)


def test_the_first_quote_has_nothing_to_be_compared_with() -> None:
    assert check_clock(None, clock(0, 0, 0, safe=False)) is Continuity.FIRST


@pytest.mark.parametrize(
    ("current", "expected"),
    [
        (clock(7, 2, 60_001), Continuity.SAME_BOOT),
        (clock(7, 2, 60_000), Continuity.SAME_BOOT),
        (clock(8, 0, 60_001), Continuity.NEW_BOOT),
        (clock(8, 2, 60_001), Continuity.NEW_BOOT),
        (clock(7, 3, 60_001), Continuity.NEW_BOOT),
        (clock(8, 0, 5), Continuity.NEW_BOOT),
        (clock(2**32 - 1, 0, 2**64 - 1), Continuity.NEW_BOOT),
    ],
    ids=["on", "at once", "reset", "reset only", "suspend or dynamic launch", "reset with an older clock", "largest"],
)
def test_a_quote_that_goes_forward_is_related_to_the_one_before(current: ClockInfo, expected: Continuity) -> None:
    assert check_clock(BEFORE, current) is expected


@pytest.mark.parametrize(
    ("current", "why"),
    [
        (clock(6, 2, 60_001), "resetCount went back from 7 to 6"),
        (clock(6, 9, 99_999), "resetCount went back"),
        (clock(0, 0, 0, safe=False), "resetCount went back"),
        (clock(7, 1, 60_001), "restartCount went back from 2 to 1"),
        (clock(7, 2, 59_999), "clock went back: 60000 ms, then 59999 ms"),
        (clock(7, 3, 59_999), "clock went back"),
    ],
)
def test_a_counter_or_clock_that_goes_back_is_refused(current: ClockInfo, why: str) -> None:
    with pytest.raises(VerifyError, match=why) as refusal:
        check_clock(BEFORE, current)

    assert refusal.value.check == "quote.clock"


@pytest.mark.parametrize(("before", "now"), [(True, False), (False, True), (False, False)])
def test_the_clock_may_go_back_while_it_is_not_safe(before: bool, now: bool) -> None:
    """After a power loss a TPM's clock may lag until it has counted past its last saved value; Part 1, 36.3."""
    earlier, later = clock(7, 2, 60_000, safe=before), clock(7, 2, 59_000, safe=now)

    assert check_clock(earlier, later) is Continuity.SAME_BOOT
