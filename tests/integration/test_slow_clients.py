"""Clients that do not get on with it are let go, and nobody else notices; a stop finishes what is under way."""

import http.client
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration import slow_server
from tests.simulator.attester import Attester, Document, document, message

ROOT = Path(__file__).parents[2]
LONG = 20.0
"""Seconds in which everything here happens, however busy the machine is."""
BODY = message({"version": 1, "node": "0" * 32})
HEAD = (
    b"POST /v1/agent/challenge HTTP/1.1\r\nHost: here\r\nContent-Type: application/cbor\r\n"
    + b"Content-Length: %d\r\n\r\n" % len(BODY)
)


@dataclass(kw_only=True)
class Running:
    """A service in a process of its own, and the node that it knows."""

    process: subprocess.Popen[str]
    port: int
    node: Attester

    def connected(self) -> socket.socket:
        made = socket.create_connection(("127.0.0.1", self.port), timeout=LONG)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made

    def call(self, name: str, body: Document) -> Document:
        """One call of an agent, on a connection of its own."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=LONG)) as client:
            client.request("POST", f"/v1/agent/{name}", message(body), {"content-type": "application/cbor"})
            answer = client.getresponse()
            found = document(answer.read())
            assert answer.status == 200, found
            return found

    def attest(self) -> None:
        """A node attests, from its enrolment on if it has to."""
        if not self.node.uid:
            opened = self.call("enrol", self.node.enrol())
            self.node.uid = self.call("activate", self.node.activate(opened))["node"]
        challenge = self.call("challenge", self.node.ask())["challenge"]
        assert self.call("evidence", self.node.evidence(challenge))["result"]["level"] == 2


@contextmanager
def running(folder: Path) -> Iterator[Running]:
    node = Attester(name="n0", entries=20)
    command = [sys.executable, str(Path(slow_server.__file__)), str(folder), node.ek.name.hex()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            port = next(int(line) for line in process.stdout if line.strip().isdigit())
            yield Running(process=process, port=port, node=node)
        finally:
            if process.poll() is None:
                process.kill()


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One service with little patience, for all tests that do not stop it."""
    with running(tmp_path_factory.mktemp("impatient")) as found:
        yield found


@pytest.fixture
def patient(tmp_path: Path) -> Iterator[Running]:
    """A service that waits as long as it has to, and is to be stopped."""
    (tmp_path / "patient").touch()
    with running(tmp_path) as found:
        yield found


def rest_of(connection: socket.socket) -> bytes:
    """What still comes until the other side lets go."""
    parts: list[bytes] = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def dripping(connection: socket.socket, drops: Iterator[bytes]) -> bytes:
    """What comes back while bytes are sent one by one for ever, until the other side lets go."""
    connection.settimeout(0.05)
    found = b""
    for drop in drops:
        try:
            connection.sendall(drop)
            part = connection.recv(65536)
        except TimeoutError:
            continue
        except (ConnectionResetError, BrokenPipeError):
            return found
        if not part:
            return found
        found += part
    raise AssertionError("it is still there")


def drops(what: bytes) -> Iterator[bytes]:
    """So many that they take far longer than anybody's patience."""
    for _ in range(int(LONG / 0.05)):
        yield what


def test_who_says_nothing_is_let_go(impatient: Running) -> None:
    with impatient.connected() as connection:
        assert rest_of(connection) == b""
    impatient.attest()


def test_who_sends_half_a_head_is_let_go(impatient: Running) -> None:
    with impatient.connected() as connection:
        connection.sendall(HEAD[:40])
        assert rest_of(connection) == b""


def test_who_sends_a_head_byte_by_byte_is_let_go_and_others_are_served(impatient: Running) -> None:
    with impatient.connected() as connection:
        connection.sendall(HEAD[:-2] + b"X-Slow: ")
        impatient.attest()
        assert dripping(connection, drops(b"a")) == b""


def test_who_sends_empty_lines_before_or_between_requests_is_let_go(impatient: Running) -> None:
    with impatient.connected() as connection:
        assert dripping(connection, drops(b"\r\n")) == b""
    with impatient.connected() as connection:
        connection.sendall(HEAD + BODY)
        answer = dripping(connection, drops(b"\r\n"))
        assert answer.startswith(b"HTTP/1.1 404 ")
        assert answer.count(b"HTTP/1.1") == 1


def test_who_sends_half_a_body_is_told_and_let_go(impatient: Running) -> None:
    with impatient.connected() as connection:
        connection.sendall(HEAD + BODY[:5])
        answer = rest_of(connection)

    assert answer.startswith(b"HTTP/1.1 408 ")


def test_who_goes_on_with_a_body_that_was_refused_is_let_go(impatient: Running) -> None:
    endless = HEAD.replace(b"Content-Length: %d" % len(BODY), b"Transfer-Encoding: chunked")
    with impatient.connected() as connection:
        connection.sendall(endless)
        answer = dripping(connection, drops(b"1\r\na\r\n"))

    assert answer.startswith(b"HTTP/1.1 408 ")


def test_who_announces_too_much_is_told_at_once(impatient: Running) -> None:
    with impatient.connected() as connection:
        connection.sendall(HEAD.replace(b"Content-Length: %d" % len(BODY), b"Content-Length: 1000000000"))
        answer = rest_of(connection)

    assert answer.startswith(b"HTTP/1.1 413 ")


def test_a_head_that_does_not_end_is_refused_before_it_fills_memory(impatient: Running) -> None:
    with impatient.connected() as connection:
        sent = 0
        connection.sendall(HEAD[:-2])
        try:
            while sent < 100_000_000:
                sent += connection.send(b"X-More: " + b"a" * 4000 + b"\r\n")
        except (ConnectionResetError, BrokenPipeError):
            pass

    assert sent < 20_000_000
    impatient.attest()


def test_what_is_no_http_is_refused(impatient: Running) -> None:
    with impatient.connected() as connection:
        connection.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc")
        assert rest_of(connection).startswith(b"HTTP/1.1 400 ")


def test_five_hundred_idle_connections_do_not_stop_a_node(patient: Running) -> None:
    with ExitStack() as stack:
        idle = [stack.enter_context(patient.connected()) for _ in range(500)]
        for connection in idle[::2]:
            connection.sendall(HEAD[:30])
        for connection in idle[::4]:
            connection.sendall(HEAD[30:] + BODY[:3])

        patient.attest()
        patient.attest()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_finishes_requests_under_way_and_ends_in_order(patient: Running, number: signal.Signals) -> None:
    patient.attest()
    with patient.connected() as under_way, patient.connected() as idle:
        under_way.sendall(HEAD + BODY[:5])
        under_way.sendall(b"")
        patient.attest()  # by now the other request has been read
        patient.process.send_signal(number)
        assert rest_of(idle) == b""
        under_way.sendall(BODY[5:])
        answer = rest_of(under_way)

    assert answer.startswith(b"HTTP/1.1 404 ")
    assert patient.process.stdout is not None
    assert "ended" in patient.process.stdout.read()
    assert patient.process.wait(LONG) == 0
    with pytest.raises(ConnectionRefusedError):
        patient.connected()


def test_a_stopped_service_leaves_one_whole_database_file(patient: Running, tmp_path: Path) -> None:
    patient.attest()
    patient.process.send_signal(signal.SIGTERM)

    assert patient.process.wait(LONG) == 0
    assert [path.name for path in tmp_path.glob("bartizan.db*")] == ["bartizan.db"]


def asked(client: http.client.HTTPConnection) -> http.client.HTTPResponse:
    """The answer to one call on a connection that is kept, read to its end."""
    client.request("POST", "/v1/agent/challenge", BODY, {"content-type": "application/cbor"})
    answer = client.getresponse()
    answer.read()
    return answer


def test_when_many_are_connected_an_idle_connection_is_kept_for_a_moment_only(tmp_path: Path) -> None:
    (tmp_path / "crowded").touch()
    with running(tmp_path) as service, ExitStack() as stack:
        clients = [http.client.HTTPConnection("127.0.0.1", service.port, timeout=LONG) for _ in range(4)]
        for one in clients:
            stack.enter_context(closing(one)).connect()
        first, second, third, fourth = clients

        for one in (third, fourth):
            assert asked(one).status == 404
            assert one.sock.recv(1) == b""
        for one in (first, second):
            kept = (asked(one), one.sock)
            assert (asked(one).status, one.sock) == (404, kept[1])
