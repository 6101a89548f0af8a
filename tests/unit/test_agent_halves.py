"""What passes between the two halves, and that the privileged one answers three requests and no others."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bartizan.agent import ipc
from bartizan.agent.cbor import encode
from bartizan.agent.errors import CollectError, MessageError, OtherHalfGone, Unusable
from bartizan.agent.ipc import MAX_REQUEST, RemoteCollector, accept_one, answer, connect_to, listen, peer_uid, serve
from bartizan.agent.messages import Asked, Evidence, Held
from tests.unit.agent_parts import BANKS, EVIDENCE, IDENTITY, Scripted

ASKED = Asked("n-1", b"n" * 32, {11: tuple(range(24))}, Held(1, 2, 3, b"p" * 32), full=True)
FULL = Evidence(
    *[b"attest", b"signature", {11: bytes(768)}],
    boot={"boot_log": b"log", "other_boot_logs": [b"other"]},
    ima={"first": 3, "entries": b"entries"},
    posture=b"posture",
    notes=("one",),
)


@contextmanager
def halves(script: Scripted) -> Iterator[RemoteCollector]:
    """The network half's view of a collector that answers in another thread."""
    ours, theirs = socket.socketpair()
    thread = threading.Thread(target=serve, args=(ours, script))
    thread.start()
    try:
        yield RemoteCollector(lambda: theirs, keep=True)
    finally:
        theirs.close()
        thread.join()
        ours.close()


@pytest.mark.parametrize("asked", [ASKED, ASKED._replace(held=None, full=False), ASKED._replace(held=Held(1, 2, 3))])
def test_what_is_asked_and_found_arrives_as_it_was(asked: Asked) -> None:
    script = Scripted()
    script.evidences = [FULL, EVIDENCE]
    with halves(script) as remote:
        assert remote.identity() == IDENTITY
        assert remote.activate(b"id", b"es") == b"opened"
        assert remote.evidence(asked) == FULL
        assert remote.evidence(asked) == EVIDENCE
    assert script.asked == [asked, asked]
    assert script.secrets == [(b"id", b"es")]


def test_a_failure_of_the_collector_arrives_in_words() -> None:
    script = Scripted()
    script.identity_fails = CollectError("TPM: locked out")
    with halves(script) as remote, pytest.raises(CollectError, match="TPM: locked out"):
        remote.identity()


def test_a_collector_that_is_gone_is_an_error() -> None:
    ours, theirs = socket.socketpair()
    ours.close()
    with theirs, pytest.raises(CollectError, match="closed the connection"):
        RemoteCollector(lambda: theirs).identity()


def test_over_the_one_connection_of_two_halves_a_failure_is_final() -> None:
    ours, theirs = socket.socketpair()
    with theirs, ours:
        with pytest.raises(OtherHalfGone, match="timed out"):
            Impatient(lambda: theirs, keep=True).identity()
        ours.close()
        with pytest.raises(OtherHalfGone, match="has ended"):
            RemoteCollector(lambda: theirs, keep=True).identity()


class Impatient(RemoteCollector):
    """Waits for nothing."""

    def _exchange(self, request: dict[str, object]) -> bytes:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ipc, "PATIENCE", 0.01)
            return super()._exchange(request)


def test_an_answer_that_breaks_off_is_an_error(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    with theirs, ours:
        ours.sendall(b"\0\0\0\x09abc")
        ours.shutdown(socket.SHUT_WR)
        with pytest.raises(CollectError, match="9 bytes expected, 3 came"):
            RemoteCollector(lambda: theirs).identity()
    assert tmp_path


def test_a_bug_in_the_collector_is_answered_and_printed(capsys: pytest.CaptureFixture[str]) -> None:
    script = Scripted()
    script.identity = lambda: {}["bug"]  # type: ignore[method-assign]  # a bug
    with halves(script) as remote:
        with pytest.raises(CollectError, match="has a bug: KeyError"):
            remote.identity()
        assert remote.activate(b"id", b"es") == b"opened"
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    "request_",
    [
        *[{}, {"do": "sign"}, {"do": 1}, {"do": "identity", "more": 1}, {"do": "activate"}, [], 7],
        {"do": "evidence", "node": "a b", "nonce": bytes(32), "banks": BANKS, "full": False},
        {"do": "evidence", "node": "a", "nonce": bytes(3), "banks": BANKS, "full": False},
        {"do": "evidence", "node": "a", "nonce": bytes(32), "banks": {11: [99]}, "full": False},
        {"do": "evidence", "node": "a", "nonce": bytes(32), "banks": {11: [1]}, "full": False, "extra_data": b"x"},
    ],
)
def test_anything_else_than_the_three_requests_is_refused(request_: object) -> None:
    with pytest.raises(MessageError):
        answer(encode(request_), Scripted())


def test_what_is_no_request_ends_the_connection() -> None:
    for sent in (b"\0\0\0\x01\xff", (MAX_REQUEST + 1).to_bytes(4, "big"), b"\0\0", b"\0\0\0\x09abc"):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            theirs.sendall(sent)
            theirs.shutdown(socket.SHUT_WR)
            serve(ours, Scripted())
            ours.shutdown(socket.SHUT_WR)
            assert theirs.recv(10) == b""


def test_a_socket_is_for_its_owner_and_answers_its_user(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with listen(path) as listener:
        assert path.stat().st_mode & 0o777 == 0o600
        served: list[bool] = []
        thread = threading.Thread(target=lambda: served.append(accept_one(listener, Scripted(), {os.getuid()})))
        thread.start()
        assert RemoteCollector(connect_to(path)).identity() == IDENTITY
        thread.join()
    assert served == [True]


def test_a_socket_turns_others_away(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with listen(path) as listener, connect_to(path)() as connection:
        assert not accept_one(listener, Scripted(), {os.getuid() + 1})
        assert connection.recv(1) == b""


def test_a_socket_that_a_former_run_left_is_replaced_and_nothing_else_is(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    listen(path).close()
    listen(path, gid=os.getgid()).close()
    assert path.stat().st_mode & 0o777 == 0o660
    path.unlink()
    path.touch()
    with pytest.raises(Unusable, match="cannot be made"):
        listen(path)


def test_no_collector_at_a_path_is_said(tmp_path: Path) -> None:
    with pytest.raises(CollectError, match="is it running"):
        connect_to(tmp_path / "socket")()


def test_the_peer_is_who_the_kernel_says() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert peer_uid(ours) == os.getuid()
