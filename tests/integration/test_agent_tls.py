"""The pin against real TLS: the right key is talked to, any other gets not a byte."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from bartizan.agent import transport
from bartizan.agent.errors import NoAnswer
from bartizan.agent.transport import HttpService, Reply

PLAIN = "Content-Type: application/cbor\r\n"
OK = f"HTTP/1.1 200 OK\r\n{PLAIN}Content-Length: 2\r\n\r\nhi".encode()


class Server:
    """Serves scripted bytes; `got` is what each connection brought, `pin` that of its key."""

    def __init__(self, folder: Path, *, tls: bool, answers: list[bytes]) -> None:
        self.got: list[bytes] = []
        self.answers = answers
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.pin = ""
        self.wrap: Callable[[socket.socket], socket.socket] = lambda connection: connection
        if tls:
            key = ec.generate_private_key(ec.SECP256R1())
            spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            self.pin = f"sha256:{sha256(spki).hexdigest()}"
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(write_pair(folder, key))
            self.wrap = lambda connection: context.wrap_socket(connection, server_side=True)

    @property
    def url(self) -> str:
        port = self.listener.getsockname()[1]
        return f"{'https' if self.pin else 'http'}://127.0.0.1:{port}"

    def serve(self) -> None:
        """One connection after the other until the listener is shut."""
        while True:
            try:
                raw, _ = self.listener.accept()
            except OSError:
                return
            self._talk(raw)

    def _talk(self, raw: socket.socket) -> None:
        try:
            connection = self.wrap(raw)
        except OSError:
            self.got.append(b"no handshake")
            raw.close()
            return
        with connection:
            self.got.append(b"")
            while self.answers:
                got = read_request(connection)
                if not got:
                    return
                self.got[-1] += got
                answer = self.answers.pop(0)
                connection.sendall(answer)
                if b"close" in answer or not answer:
                    return


def read_request(connection: socket.socket) -> bytes:
    """A whole request, empty where the other end went away."""
    got = b""
    while not got.endswith(b"\r\n\r\nbody"):
        try:
            part = connection.recv(4096)
        except OSError:
            part = b""
        if not part:
            return got
        got += part
    return got


def write_pair(folder: Path, key: ec.EllipticCurvePrivateKey) -> Path:
    """Key and self-signed certificate, long expired: only the key counts."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "nobody")])
    start = datetime(2001, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, start, start + timedelta(days=1))
    certificate = builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
    path = folder / "pair.pem"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + certificate)
    return path


@contextmanager
def serving(folder: Path, *answers: bytes, tls: bool = True) -> Iterator[Server]:
    server = Server(folder, tls=tls, answers=list(answers))
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        yield server
    finally:
        server.listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        server.listener.close()


@contextmanager
def service(server: Server, pin: str | None = None) -> Iterator[HttpService]:
    made = HttpService(server.url, pin or server.pin or None)
    try:
        yield made
    finally:
        made.close()


def test_the_pinned_service_is_talked_to_over_one_connection(tmp_path: Path) -> None:
    with serving(tmp_path, OK, OK) as server, service(server) as client:
        assert client.post("/v1/x", b"body") == client.post("/v1/y", b"body") == Reply(200, b"hi")
    assert len(server.got) == 1
    assert server.got[0].startswith(b"POST /v1/x HTTP/1.1\r\n")
    assert b"\r\nContent-Type: application/cbor\r\n" in server.got[0]
    assert b"POST /v1/y" in server.got[0]


def test_another_key_gets_not_a_byte(tmp_path: Path) -> None:
    wrong = "sha256:" + "ab" * 32
    with serving(tmp_path, OK) as server, service(server, wrong) as client, pytest.raises(NoAnswer) as refused:
        client.post("/v1/x", b"body")
    assert f"found {server.pin}. Nothing was sent" in str(refused.value)
    assert not any(server.got)
    assert server.answers == [OK]


def test_a_connection_that_the_service_closed_is_made_anew(tmp_path: Path) -> None:
    closing = OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    with serving(tmp_path, closing, OK) as server, service(server) as client:
        assert client.post("/a", b"body").status == client.post("/b", b"body").status == 200
    assert len(server.got) == 2


def test_what_comes_unasked_is_never_taken_for_the_next_answer(tmp_path: Path) -> None:
    with serving(tmp_path, OK + OK.replace(b"hi", b"no"), OK, tls=False) as server, service(server) as client:
        assert client.post("/a", b"body").body == client.post("/b", b"body").body == b"hi"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"junk\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nconnection: close\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nconnection: close\r\n\r\n5\r\nhi",
    ],
    ids=["nothing", "junk", "cut short", "cut short in chunks"],
)
def test_half_an_answer_is_none(tmp_path: Path, answer: bytes) -> None:
    with serving(tmp_path, answer) as server, service(server) as client, pytest.raises(NoAnswer):
        client.post("/a", b"body")


def test_an_answer_over_the_limit_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "MAX_REPLY", 1)
    with serving(tmp_path, OK) as server, service(server) as client, pytest.raises(NoAnswer, match="over 1 bytes"):
        client.post("/a", b"body")


def test_an_answer_of_another_type_is_its_status_alone(tmp_path: Path) -> None:
    page = b"HTTP/1.1 502 Bad\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nhi"
    with serving(tmp_path, page) as server, service(server) as client:
        assert client.post("/a", b"body") == Reply(502, b"")


@pytest.mark.parametrize(("value", "patience"), [("17", 17), ("Fri, 31 Dec 2027 23:59:59 GMT", None), ("-1", None)])
def test_patience_is_asked_for_in_seconds(tmp_path: Path, value: str, patience: int | None) -> None:
    busy = f"HTTP/1.1 503 Busy\r\n{PLAIN}Retry-After: {value}\r\nContent-Length: 0\r\n\r\n".encode()
    with serving(tmp_path, busy) as server, service(server) as client:
        assert client.post("/a", b"body") == Reply(503, b"", patience)


def test_a_service_that_is_not_there_is_no_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(NoAnswer, match="Connection refused"):
        HttpService(f"http://127.0.0.1:{port}", None).post("/a", b"body")


def test_a_service_that_says_nothing_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "ANSWER_TIMEOUT", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(NoAnswer, match="timed out"):
            HttpService(f"http://127.0.0.1:{port}", None).post("/a", b"body")
    assert tmp_path


def test_plain_http_to_a_tls_port_is_no_answer(tmp_path: Path) -> None:
    with serving(tmp_path, OK) as server, pytest.raises(NoAnswer):
        HttpService(server.url.replace("https", "http"), None).post("/a", b"body")
