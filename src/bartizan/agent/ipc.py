"""How the two halves talk: length-prefixed CBOR over a Unix socket, three requests, one answer each.

The privileged half checks who is at the other end (SO_PEERCRED) and answers nothing but `identity`, `activate` and
`evidence`. What comes from the unprivileged half is read like anything from the network.
"""

from __future__ import annotations

import os
import socket
import struct
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Callable, Collection, Dict, Optional

from bartizan.agent.cbor import encode
from bartizan.agent.collector import Collector
from bartizan.agent.errors import AgentError, CollectError, MessageError, OtherHalfGone, Unusable
from bartizan.agent.members import Members, members
from bartizan.agent.messages import MAX_BLOB, MAX_NONCE, MIN_NONCE, Asked, Evidence, Identity, read_banks, read_held
from bartizan.agent.messages import read_node as read_node_id

LENGTH = 4
MAX_REQUEST = 256 * 1024
"""Bytes of a request; a credential's two parts are the most."""
MAX_ANSWER = 66 * 1024 * 1024
"""Bytes of an answer: evidence as large as the protocol allows, and a little for its frame."""
MAX_LOG = 64 * 1024 * 1024
PATIENCE = 300.0
"""Seconds for an answer: a slow TPM that makes an RSA key, and a large list."""
IDLE = 10.0
"""Seconds in which a connection has to bring its request."""
TURNED_AWAY = "collector: it closed the connection without an answer; does it run for this user (its --user)?"
PEER = struct.Struct("3i")
"""struct ucred: pid, uid, gid."""


def peer_uid(connection: socket.socket) -> int:
    """The user at the other end, as the kernel saw it when the connection was made."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER.size)
    uid: int = PEER.unpack(raw)[1]
    return uid


def send(connection: socket.socket, document: object) -> None:
    """One document with its length before it."""
    raw = encode(document)
    connection.sendall(len(raw).to_bytes(LENGTH, "big"))
    connection.sendall(raw)


def receive(connection: socket.socket, limit: int) -> Optional[bytes]:
    """One document; None when the other end closed between two.

    Raises:
        MessageError: it is over the limit, or broke off.
    """
    head = _exactly(connection, LENGTH)
    if not head:
        return None
    size = int.from_bytes(head, "big")
    if len(head) < LENGTH or size > limit:
        raise MessageError("request of the other half", f"at most {limit} bytes expected, found {size}")
    body = _exactly(connection, size)
    if len(body) < size:
        raise MessageError("request of the other half", f"{size} bytes expected, {len(body)} came")
    return body


def _exactly(connection: socket.socket, size: int) -> bytes:
    """That many bytes, or fewer where the other end closed."""
    parts = bytearray()
    while len(parts) < size:
        part = connection.recv(min(size - len(parts), 1 << 20))
        if not part:
            break
        parts += part
    return bytes(parts)


# The privileged half.


def serve(connection: socket.socket, collector: Collector) -> None:
    """Answer one request after the other until the other end closes, or says something that is none."""
    with suppress(OSError, MessageError):
        while True:
            raw = receive(connection, MAX_REQUEST)
            if raw is None:
                return
            send(connection, answer(raw, collector))


def answer(raw: bytes, collector: Collector) -> Dict[str, object]:
    """The answer to one request; a failure of the collector is one, too.

    Raises:
        MessageError: not a request of the closed list.
    """
    found = members(raw, "request")
    name = found.take("do", str)
    if name not in REQUESTS:
        raise MessageError("request", f"one of {', '.join(REQUESTS)} expected, found {name!a:.40}")
    run = REQUESTS[name](found)
    found.finish()
    try:
        return {"done": run(collector)}
    except AgentError as error:
        return {"failed": str(error)}
    except Exception as error:  # noqa: BLE001  the outermost loop of this half: a bug in one collector stops no other
        traceback.print_exc()
        return {"failed": f"the collector has a bug: {type(error).__name__}: {error}"}


Run = Callable[[Collector], object]


def _identity(_found: Members) -> Run:
    return lambda collector: collector.identity().members()


def _activate(found: Members) -> Run:
    id_object, encrypted_secret = found.octets("id_object", 2, MAX_BLOB), found.octets("encrypted_secret", 2, MAX_BLOB)
    return lambda collector: collector.activate(id_object, encrypted_secret)


def _evidence(found: Members) -> Run:
    asked = Asked(
        node=read_node_id(found),
        nonce=found.octets("nonce", MIN_NONCE, MAX_NONCE),
        banks=read_banks(found),
        held=read_held(found),
        full=found.take("full", bool),
    )
    return lambda collector: collector.evidence(asked).members()


REQUESTS: Dict[str, Callable[[Members], Run]] = {
    "identity": _identity,
    "activate": _activate,
    "evidence": _evidence,
}
"""The closed list."""


def listen(path: Path, *, gid: Optional[int] = None) -> socket.socket:
    """A Unix socket at a path, for its owner and one group; what a former run left there is removed.

    Raises:
        Unusable: it cannot be made there.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if path.is_socket():
            path.unlink()
        mask = os.umask(0o177)
        try:
            listener.bind(os.fspath(path))
        finally:
            os.umask(mask)
        if gid is not None and path.stat().st_gid != gid:
            os.chown(path, -1, gid)
        path.chmod(0o660 if gid is not None else 0o600)
        listener.listen()
    except OSError as error:
        listener.close()
        raise Unusable(f"socket {path}: cannot be made: {error.strerror or error}") from error
    return listener


def accept_one(listener: socket.socket, collector: Collector, allowed: Collection[int]) -> bool:
    """Take one connection and answer its requests; False, and nothing answered, if its user is not one of those."""
    connection, _ = listener.accept()
    with connection:
        if peer_uid(connection) not in allowed:
            return False
        connection.settimeout(IDLE)
        serve(connection, collector)
    return True


# The unprivileged half.


class RemoteCollector:
    """The collector in another process; `connect` yields the connection to use for the next request."""

    def __init__(self, connect: Callable[[], socket.socket], *, keep: bool = False) -> None:
        self._connect = connect
        self._keep = keep

    def identity(self) -> Identity:
        """Who the node is.

        Raises:
            CollectError: the other half fails, or is gone.
        """
        found = Members(self._ask("identity", {}), "identity")
        product = found.nested("product")
        return Identity(
            ek=found.octets("ek", 1, MAX_BLOB),
            certificates=found.numbered("certificates", bytes),
            ak=found.octets("ak", 1, MAX_BLOB),
            banks=found.numbered("banks", bool),
            manufacturer=product.take("manufacturer", str),
            model=product.take("model", str),
            firmware=product.take("firmware", int),
        )

    def activate(self, id_object: bytes, encrypted_secret: bytes) -> bytes:
        """The secret that the Verifier made for this TPM.

        Raises:
            CollectError: the other half fails, or is gone.
        """
        secret = self._ask("activate", {"id_object": id_object, "encrypted_secret": encrypted_secret})
        if not isinstance(secret, bytes):
            raise MessageError("activate", "bytes expected")
        return secret

    def evidence(self, asked: Asked) -> Evidence:
        """A quote for a challenge, and all that goes with it.

        Raises:
            CollectError: the other half fails, or is gone.
        """
        request: Dict[str, object] = {"node": asked.node, "nonce": asked.nonce, "banks": asked.banks}
        request["full"] = asked.full
        if asked.held is not None:
            held = asked.held._asdict()
            request["held"] = {name: value for name, value in held.items() if value is not None}
        found = Members(self._ask("evidence", request), "evidence")
        return Evidence(
            attest=found.octets("attest", 1, MAX_BLOB),
            signature=found.octets("signature", 1, MAX_BLOB),
            pcrs=found.numbered("pcrs", bytes),
            boot=found.optional("boot", dict),
            ima=found.optional("ima", dict),
            posture=found.optional("posture", bytes),
            posture_digest=found.optional("posture_digest", bytes),
            notes=found.texts("notes"),
        )

    def _ask(self, name: str, request: Dict[str, object]) -> object:
        found = members(self._exchange({"do": name, **request}), "answer of the collector")
        failed = found.optional("failed", str)
        if failed is not None:
            raise CollectError(failed)
        return found.take("done", object)

    def _exchange(self, request: Dict[str, object]) -> bytes:
        """The answer as it came. After a failure a kept connection may bring an answer late: it is not used again."""
        connection = self._connect()
        try:
            connection.settimeout(PATIENCE)
            send(connection, request)
            raw = receive(connection, MAX_ANSWER)
        except (BrokenPipeError, ConnectionResetError):
            raw = None
        except (OSError, MessageError) as error:
            if self._keep:
                raise OtherHalfGone(f"collector: {error}") from error
            raise CollectError(f"collector: {error}") from error
        finally:
            if not self._keep:
                connection.close()
        if raw is None and self._keep:
            raise OtherHalfGone("collector: it has ended")
        if raw is None:
            raise CollectError(TURNED_AWAY)
        return raw


def connect_to(path: Path) -> Callable[[], socket.socket]:
    """How to reach a collector at a path."""

    def connect() -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(os.fspath(path))
        except OSError as error:
            connection.close()
            raise CollectError(f"collector at {path}: {error.strerror or error}; is it running?") from error
        return connection

    return connect
