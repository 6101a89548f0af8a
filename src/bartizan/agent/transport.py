"""The way to the service: one HTTP POST of one CBOR document at a time, over TLS with the service's key pinned.

The pin is checked after the handshake and before a byte of ours is sent. No certificate authority is asked, and no
name in the certificate is believed: the key alone says that it is the service. It knows no document of the protocol.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import ipaddress
import re
import select
import ssl
import time
from typing import Callable, NamedTuple, Optional, Protocol
from urllib.parse import urlsplit

from bartizan.agent.errors import NoAnswer, Unusable
from bartizan.agent.spki import subject_public_key_info

MAX_REQUEST = 64 * 1024 * 1024
"""Bytes of a request; protocol, first section."""
MAX_REPLY = 1024 * 1024
"""Bytes of a reply; the longest, a result with its reasons, has some thousands."""
CONNECT_TIMEOUT, ANSWER_TIMEOUT = 10.0, 60.0
"""Seconds for a connection to stand, and for each part of an answer after it."""
LONGEST_ANSWER = 180.0
"""Seconds for a whole answer, however it trickles."""
CHUNK = 65_536
CONTENT_TYPE = "application/cbor"
PIN = re.compile(r"sha256:([0-9A-Fa-f]{64})")
SECONDS = re.compile(r"[0-9]{1,6}")


class Reply(NamedTuple):
    """What came back; `retry_after` in seconds, where the service asked for patience."""

    status: int
    body: bytes
    retry_after: Optional[int] = None


class Service(Protocol):
    """What the loop needs of a way to a service."""

    def post(self, path: str, body: bytes) -> Reply:
        """The answer to one document.

        Raises:
            NoAnswer: there was none, or not a whole one.
        """

    def close(self) -> None:
        """Let go of the connection; the next `post` makes another one."""


class Address(NamedTuple):
    """Where the service is."""

    tls: bool
    host: str
    port: int
    prefix: str


def parse_address(url: str) -> Address:
    """A service's URL: `https://host[:port][/prefix]`, or plain `http` on a loopback address.

    Raises:
        Unusable: anything else.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise Unusable(f"service {url!a}: not a URL: {error}") from error
    host = parts.hostname or ""
    if parts.scheme not in ("https", "http") or not host or parts.query or parts.fragment or "@" in parts.netloc:
        raise Unusable(f"service {url!a}: https://host[:port][/path] expected, without user, query or fragment")
    if parts.scheme == "http" and not _is_loopback(host):
        raise Unusable(f"service {url!a}: plain http is for loopback addresses only; use https and --pin")
    tls = parts.scheme == "https"
    return Address(tls, host, port or (443 if tls else 80), parts.path.rstrip("/"))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def parse_pin(text: str) -> bytes:
    """The SHA-256 in a pin, `sha256:` and 64 hexadecimal digits.

    Raises:
        Unusable: anything else.
    """
    found = PIN.fullmatch(text)
    if found is None:
        raise Unusable(f"pin {text!a:.90}: sha256: and 64 hexadecimal digits expected")
    return bytes.fromhex(found.group(1))


def pinned_context() -> ssl.SSLContext:
    """TLS 1.2 or later; who is there is for the pin to say."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


class HttpService:
    """The service at one URL; keeps its connection while the other side does."""

    def __init__(self, url: str, pin: Optional[str], *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._address = parse_address(url)
        if self._address.tls and pin is None:
            raise Unusable(f"service {url!a}: a pin (sha256:…) of the service's key is needed with https")
        self._pin = parse_pin(pin) if pin is not None and self._address.tls else None
        self._monotonic = monotonic
        self._connection: Optional[http.client.HTTPConnection] = None

    def post(self, path: str, body: bytes) -> Reply:
        """The answer to one document; a request is sent once and never again.

        Raises:
            NoAnswer: there was none, it was too long, or the service has another key.
        """
        if len(body) > MAX_REQUEST:
            raise NoAnswer(f"a request of {len(body)} bytes is over the limit of {MAX_REQUEST}; it was not sent")
        try:
            return self._post(path, body)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise NoAnswer(f"{self._address.host}:{self._address.port}: {_in_words(error)}") from error
        except BaseException:
            self.close()
            raise

    def _post(self, path: str, body: bytes) -> Reply:
        connection = self._open()
        headers = {"Content-Type": CONTENT_TYPE, "Accept": CONTENT_TYPE}
        connection.request("POST", self._address.prefix + path, body=body, headers=headers)
        response = connection.getresponse()
        answer = self._read(response)
        response.close()  # of this answer alone: the connection goes on
        if response.will_close:
            self.close()
        is_ours = response.headers.get_content_type() == CONTENT_TYPE
        return Reply(response.status, answer if is_ours else b"", _retry_after(response))

    def _read(self, response: http.client.HTTPResponse) -> bytes:
        parts, size, deadline = [], 0, self._monotonic() + LONGEST_ANSWER
        while True:
            part = response.read1(CHUNK)
            if not part:
                break
            parts.append(part)
            size += len(part)
            if size > MAX_REPLY or self._monotonic() > deadline:
                raise NoAnswer(f"an answer of over {MAX_REPLY} bytes or {LONGEST_ANSWER:g} s")
        if response.length:
            raise http.client.IncompleteRead(b"", response.length)
        return b"".join(parts)

    def _open(self) -> http.client.HTTPConnection:
        """The connection if it still stands, or another one whose key was checked."""
        if self._connection is not None and not _is_quiet(self._connection):
            self.close()
        if self._connection is None:
            self._connection = self._connect()
        return self._connection

    def _connect(self) -> http.client.HTTPConnection:
        address = self._address
        if not address.tls:
            plain = http.client.HTTPConnection(address.host, address.port, timeout=CONNECT_TIMEOUT)
            plain.connect()
            plain.sock.settimeout(ANSWER_TIMEOUT)
            return plain
        context = pinned_context()
        connection = http.client.HTTPSConnection(address.host, address.port, timeout=CONNECT_TIMEOUT, context=context)
        connection.connect()
        try:
            self._check_key(connection.sock)
        except BaseException:
            connection.close()
            raise
        connection.sock.settimeout(ANSWER_TIMEOUT)
        return connection

    def _check_key(self, sock: object) -> None:
        """The pin; nothing was sent so far.

        Raises:
            NoAnswer: the service has another key.
        """
        certificate = sock.getpeercert(binary_form=True) if isinstance(sock, ssl.SSLSocket) else None
        found = hashlib.sha256(subject_public_key_info(certificate or b"")).digest()
        if self._pin is None or not hmac.compare_digest(found, self._pin):
            expected = self._pin.hex() if self._pin else "none"
            raise NoAnswer(
                f"another key answers: the pin is sha256:{expected}, found sha256:{found.hex()}. Nothing was sent. "
                "If the service's key was changed on purpose, change the pin in the agent's node.json"
            )

    def close(self) -> None:
        """Let go of the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _is_quiet(connection: http.client.HTTPConnection) -> bool:
    """Nothing has come since the last answer: neither an end nor something that would pass for the next answer."""
    sock = connection.sock
    if sock is None:
        return False
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return not poll.poll(0)


def _retry_after(response: http.client.HTTPResponse) -> Optional[int]:
    """`Retry-After` in seconds; the other form, a date, needs a clock that nobody vouches for and is not read."""
    value = (response.headers.get("Retry-After") or "").strip()
    return int(value) if SECONDS.fullmatch(value) else None


def _in_words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
