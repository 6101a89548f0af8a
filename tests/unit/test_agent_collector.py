"""The privileged half: what it collects for a challenge, in which order, and what it says of what it cannot read."""

import os
from contextlib import AbstractContextManager
from hashlib import sha256
from pathlib import Path
from typing import NoReturn

import pytest

from bartizan.agent import collector as subject
from bartizan.agent.collector import BOOT_LOG, COMMAND_LINE, IMA_LIST, LAUNCH_LOG, LocalCollector, Machine, machine_at
from bartizan.agent.errors import CollectError
from bartizan.agent.keys import Quoted
from bartizan.agent.messages import Asked, Banks, Held, Identity
from bartizan.agent.state import Store
from bartizan.collect.codes import TpmError
from bartizan.collect.tpm import Tpm
from bartizan.verify.binding import bound_extra_data
from tests.unit.agent_parts import IDENTITY
from tests.unit.ima_lists import binary, ng

LINES = [ng(b"boot_aggregate"), ng(b"/sbin/init")]
NONCE = b"n" * 32
ASKED = Asked("n-1", NONCE, {11: (0, 1)})
POSTURE = b"posture"


class FakeKeys:
    """A TPM that was reset seven times; `order` is what was done, in order."""

    def __init__(self) -> None:
        self.order: list[str] = []
        self.extra_data = b""
        self.fails = False
        self.steady = True

    def quote(self, extra_data: bytes, banks: Banks) -> Quoted:
        self._maybe_fail()
        self.order.append("quote")
        self.extra_data = extra_data
        assert banks
        return Quoted(b"attest", b"signature", {11: bytes(64)}, 7, 1, self.steady)

    def identity(self) -> Identity:
        self._maybe_fail()
        return IDENTITY

    def activate(self, id_object: bytes, encrypted_secret: bytes) -> bytes:
        self._maybe_fail()
        return id_object + encrypted_secret

    def _maybe_fail(self) -> None:
        if self.fails:
            raise TpmError("TPM2_QUOTE", "refused")


def no_tpm() -> AbstractContextManager[Tpm]:
    raise AssertionError("the keys are fake")


class Box:
    """A collector with fake keys over a folder."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self.keys = FakeKeys()
        self.posture = POSTURE
        self.collector = LocalCollector(Machine(self.root, no_tpm, self.collect_posture), Store(folder))
        self.collector._keys = self.keys  # type: ignore[assignment]  # a fake
        self.put(BOOT_LOG, b"log")
        self.put(COMMAND_LINE, b"quiet\n")
        self.put(IMA_LIST, binary(LINES))

    def put(self, path: str, content: bytes) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_bytes(content)

    def collect_posture(self) -> bytes:
        self.keys.order.append("posture")
        return self.posture


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


def test_without_anything_held_everything_is_sent(box: Box) -> None:
    evidence = box.collector.evidence(ASKED)

    assert evidence.boot == {"boot_log": b"log", "command_line": b"quiet\n"}
    assert evidence.ima == {"first": 0, "entries": binary(LINES)}
    assert (evidence.posture, evidence.posture_digest, evidence.notes) == (POSTURE, None, ())
    assert box.keys.order == ["posture", "quote"]


def test_the_quote_is_bound_to_node_nonce_and_posture(box: Box) -> None:
    box.collector.evidence(ASKED)

    assert box.keys.extra_data == bound_extra_data("n-1", NONCE, POSTURE)


def test_what_the_verifier_holds_of_this_boot_is_not_sent_again(box: Box) -> None:
    held = Held(7, 1, 1, sha256(POSTURE).digest())
    evidence = box.collector.evidence(ASKED._replace(held=held))

    assert evidence.boot is None
    assert evidence.ima == {"first": 1, "entries": LINES[1].binary()}
    assert (evidence.posture, evidence.posture_digest) == (None, sha256(POSTURE).digest())


@pytest.mark.parametrize("held", [Held(6, 1, 1), Held(7, 0, 1)], ids=["reboot", "resume"])
def test_another_boot_or_a_resume_sends_everything(box: Box, held: Held) -> None:
    evidence = box.collector.evidence(ASKED._replace(held=held))

    assert evidence.boot
    assert evidence.ima == {"first": 0, "entries": binary(LINES)}
    assert evidence.notes == ()


def test_everything_is_sent_when_it_is_asked_for(box: Box) -> None:
    evidence = box.collector.evidence(ASKED._replace(held=Held(7, 1, 2), full=True))

    assert evidence.boot
    assert evidence.ima == {"first": 0, "entries": binary(LINES)}


def test_a_list_that_is_gone_is_said_and_everything_else_sent(box: Box) -> None:
    (box.root / IMA_LIST).unlink()
    evidence = box.collector.evidence(ASKED._replace(held=Held(7, 1, 2)))

    assert evidence.ima is None
    assert evidence.boot
    assert evidence.notes == ("IMA list: it is gone",)


def test_a_machine_without_logs_sends_none(tmp_path: Path) -> None:
    box = Box(tmp_path)
    for path in (BOOT_LOG, COMMAND_LINE, IMA_LIST):
        (box.root / path).unlink()
    evidence = box.collector.evidence(ASKED)

    assert (evidence.boot, evidence.ima, evidence.notes) == ({}, None, ())


def test_the_log_of_a_dynamic_launch_is_sent(box: Box) -> None:
    box.put(LAUNCH_LOG, b"launch")
    evidence = box.collector.evidence(ASKED)

    assert evidence.boot is not None
    assert evidence.boot["launch_log"] == b"launch"


def test_a_log_that_cannot_be_read_is_said(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    (box.root / BOOT_LOG).unlink()
    (box.root / BOOT_LOG).mkdir()
    monkeypatch.setattr(subject, "MAX_LOG", 3)
    evidence = box.collector.evidence(ASKED)

    assert evidence.boot == {}
    assert evidence.notes == (
        "binary_bios_measurements: cannot be read: Is a directory",
        "cmdline: over 3 bytes; not sent",
    )


def test_posture_that_cannot_be_had_is_said_and_bound_as_none(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> NoReturn:
        raise OSError(5, "Input/output error")

    box.collector._machine = box.collector._machine._replace(posture=fail)
    evidence = box.collector.evidence(ASKED)
    assert (evidence.posture, evidence.posture_digest) == (None, None)
    assert "posture: cannot be collected" in evidence.notes[0]
    assert box.keys.extra_data == bound_extra_data("n-1", NONCE, b"")

    monkeypatch.setattr(subject, "MAX_POSTURE", 3)
    box.collector._machine = box.collector._machine._replace(posture=box.collect_posture)
    assert box.collector.evidence(ASKED).notes == ("posture: 7 bytes are over the limit of 3",)


def test_a_machine_may_send_no_posture(box: Box) -> None:
    box.collector._machine = box.collector._machine._replace(posture=None)

    assert box.collector.evidence(ASKED).posture is None


def test_pcrs_that_never_stand_still_are_noted(box: Box) -> None:
    box.keys.steady = False

    assert "PCRs were extended" in box.collector.evidence(ASKED).notes[0]


def test_a_tpm_that_fails_is_an_error_of_the_collector(box: Box) -> None:
    assert box.collector.identity() == IDENTITY
    assert box.collector.activate(b"a", b"b") == b"ab"
    box.keys.fails = True
    for act in (
        box.collector.identity,
        lambda: box.collector.activate(b"a", b"b"),
        lambda: box.collector.evidence(ASKED),
    ):
        with pytest.raises(CollectError, match="TPM: TPM2_QUOTE: refused"):
            act()


@pytest.mark.parametrize("asked", [ASKED._replace(node="a b"), ASKED._replace(nonce=b"short")])
def test_what_the_protocol_does_not_know_is_not_signed(box: Box, asked: Asked) -> None:
    with pytest.raises(CollectError, match="as the protocol has them"):
        box.collector.evidence(asked)
    assert not box.keys.order


def test_a_machine_has_its_own_posture(tmp_path: Path) -> None:
    made = machine_at(tmp_path, no_tpm)

    assert made.posture is not None
    assert made.posture().startswith(b'{"files":')


def test_a_pipe_in_the_place_of_a_log_does_not_hold_anybody_up(box: Box) -> None:
    (box.root / BOOT_LOG).unlink()
    os.mkfifo(box.root / BOOT_LOG)
    evidence = box.collector.evidence(ASKED)

    assert evidence.boot is not None
    assert evidence.boot["boot_log"] == b""
