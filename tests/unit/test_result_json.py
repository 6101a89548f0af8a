"""A result's document is read again as the result that it was made from, and anything else is refused."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from bartizan.errors import DecodeError
from bartizan.formats.result_json import decode_result, result_document
from bartizan.model.result import AttestationResult
from tests.simulator.live_boot import live
from tests.unit.attested_again import whole
from tests.unit.ima_lists import BOOTS
from tests.unit.postures import hardened
from tests.unit.test_posture_again import judged

Document = dict[str, Any]


def raw(result: AttestationResult) -> bytes:
    return json.dumps(result_document(result)).encode()


@pytest.mark.parametrize("name", BOOTS)
def test_the_result_of_a_recorded_boot_is_read_as_it_was(name: str) -> None:
    boot = live(name)
    result = whole(boot, len(boot.entries)).result

    assert decode_result(raw(result)) == result


def test_a_result_with_workloads_and_waivers_is_read_as_it_was() -> None:
    result = judged(hardened()).result
    waived = replace(result, findings=(replace(result.findings[0], waiver="agreed"), *result.findings[1:]))

    assert result.confinement is not None
    assert decode_result(raw(waived)) == waived


def without(name: str) -> Callable[[Document], Document]:
    return lambda document: {key: value for key, value in document.items() if key != name}


BROKEN: dict[str, Callable[[Document], object]] = {
    "no object": lambda document: [document],
    "a member missing": without("vector"),
    "a member more": lambda document: document | {"surprise": 1},
    "a tier that there is not": lambda document: document | {"vector": {"hardware": "perfect"}},
    "a claim that there is not": lambda document: document | {"vector": {"beauty": "affirming"}},
    "a level as text": lambda document: document | {"level": "5"},
    "a PCR that is no number": lambda document: document | {"strength": {"ten": "sha256"}},
    "a state that there is not": lambda document: document | {"state": "immortal"},
    "a rung without a name": lambda document: document | {"ladder": [{"level": 1}]},
}


@pytest.mark.parametrize("what", BROKEN)
def test_another_document_is_refused(what: str) -> None:
    document = result_document(judged(hardened()).result)

    with pytest.raises(DecodeError):
        decode_result(json.dumps(BROKEN[what](document)).encode())


@pytest.mark.parametrize("bad", [b"", b"{", b"\xff", b"null", b"[]" * 1000])
def test_what_is_no_document_at_all_is_refused(bad: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_result(bad)
