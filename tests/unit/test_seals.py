"""A judged state under the service's seal: who writes to the database cannot make one, nor use one elsewhere."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from bartizan.app.service.seals import MAC_BYTES, Seals
from bartizan.formats.cbor import encode_cbor
from bartizan.model.sealed import SealedState

SEALS = Seals(secret=b"k" * 32)
STATE = SealedState(
    boot=7,
    reset_count=3,
    restart_count=0,
    pcrs=b"p" * 32,
    entries=109,
    matched=109,
    node_start=0,
    posture=None,
    rules=b"r" * 32,
    judged_at=1_780_000_000_000,
    document=b"d" * 32,
    stuck=b"s" * 32,
)
RAW = SEALS.seal("n-1", STATE)


@pytest.mark.parametrize("state", [STATE, replace(STATE, entries=None, matched=None, posture=b"x" * 32)])
def test_what_was_sealed_is_opened_as_it_was(state: SealedState) -> None:
    assert SEALS.open("n-1", SEALS.seal("n-1", state)) == state
    assert Seals(secret=b"k" * 32).open("n-1", RAW) == STATE


BROKEN: dict[str, Callable[[], SealedState | None]] = {
    "another node": lambda: SEALS.open("n-2", RAW),
    "another key": lambda: Seals(secret=b"l" * 32).open("n-1", RAW),
    "nothing": lambda: SEALS.open("n-1", b""),
    "cut short": lambda: SEALS.open("n-1", RAW[:-1]),
    "no mac": lambda: SEALS.open("n-1", RAW[:-MAC_BYTES]),
    "a member more": lambda: SEALS.open("n-1", SEALS._sealed("n-1", encode_cbor([1]))),  # no other way in
    "no array": lambda: SEALS.open("n-1", SEALS._sealed("n-1", encode_cbor({}))),  # the same
    "no CBOR": lambda: SEALS.open("n-1", SEALS._sealed("n-1", b"\xff")),  # the same
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_was_not_sealed_here_for_this_node_is_not_opened(what: str) -> None:
    assert BROKEN[what]() is None


@pytest.mark.parametrize("place", range(len(RAW)))
def test_a_changed_byte_anywhere_breaks_the_seal(place: int) -> None:
    changed = RAW[:place] + bytes([RAW[place] ^ 1]) + RAW[place + 1 :]

    assert SEALS.open("n-1", changed) is None
