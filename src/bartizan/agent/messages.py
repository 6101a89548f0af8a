"""The protocol's documents as types, and the two directions between them and CBOR; `docs/reference/protocol.md`.

Replies are read strictly: a member that is missing, unknown or of another type makes the reply a failed one.
"""

from __future__ import annotations

import hashlib
import re
from typing import Dict, Mapping, NamedTuple, Optional, Tuple

from bartizan.agent import PROTOCOL, VERSION
from bartizan.agent.cbor import encode
from bartizan.agent.errors import MessageError
from bartizan.agent.members import Members
from bartizan.collect.marshal import MAX_BANKS, PCR_COUNT

NAME = re.compile(r"[A-Za-z0-9._-]{1,128}")
"""Of nodes and roles; protocol, enrol."""
LABEL = b"bartizan-evidence-1\0"
MIN_NONCE, MAX_NONCE = 16, 128
MAX_BLOB = 65_536
"""Bytes of a credential's parts and of the opaque enrolment."""
MAX_SECONDS = 7 * 86_400
"""Longest due or waiting time accepted from a service: a mistake there must not silence a node for good."""
MAX_COUNT = (1 << 32) - 1
MAX_NOTES, MAX_NOTE = 16, 200
LEVELS = 6
MAX_ALGORITHM = 0xFFFF

Banks = Mapping[int, Tuple[int, ...]]


class Held(NamedTuple):
    """What the Verifier holds of this boot."""

    reset_count: int
    restart_count: int
    ima_entries: int
    posture_digest: Optional[bytes] = None


class Challenge(NamedTuple):
    """What to quote for which nonce, and how long that may take."""

    nonce: bytes
    banks: Banks
    expires_in: int
    held: Optional[Held] = None


class Given(NamedTuple):
    """A challenge and when to use it, in seconds from its coming."""

    challenge: Challenge
    due_in: int


class Opened(NamedTuple):
    """An enrolment that waits for its secret."""

    enrolment: bytes
    id_object: bytes
    encrypted_secret: bytes
    expires_in: int


class Review(NamedTuple):
    """A person has to look at the enrolment first."""

    review: str
    why: str
    retry_in: int


class Result(NamedTuple):
    """What the Verifier makes of the node."""

    level: int
    state: str
    contraindicated: bool
    keeps_down: Tuple[str, ...] = ()


class Fault(NamedTuple):
    """An answer other than yes; empty texts where it came without a document that can be read."""

    kind: str = ""
    what: str = ""
    why: str = ""
    offset: Optional[int] = None
    given: Optional[Given] = None


class Identity(NamedTuple):
    """Who the node is, as its TPM says."""

    ek: bytes
    certificates: Mapping[int, bytes]
    ak: bytes
    banks: Mapping[int, bool]
    manufacturer: str
    model: str
    firmware: int

    def members(self) -> Dict[str, object]:
        """As the enrolment request has it."""
        product = {"manufacturer": self.manufacturer, "model": self.model, "firmware": self.firmware}
        found = {"ek": self.ek, "certificates": self.certificates, "ak": self.ak, "banks": self.banks}
        return {**found, "product": product}


class Asked(NamedTuple):
    """What evidence is asked for; `full`: all logs, whatever the Verifier says that it holds."""

    node: str
    nonce: bytes
    banks: Banks
    held: Optional[Held] = None
    full: bool = False


class Evidence(NamedTuple):
    """What one quote and everything beside it came to; members as in the protocol, `boot` and `ima` as maps of it."""

    attest: bytes
    signature: bytes
    pcrs: Mapping[int, bytes]
    boot: Optional[Mapping[str, object]] = None
    ima: Optional[Mapping[str, object]] = None
    posture: Optional[bytes] = None
    posture_digest: Optional[bytes] = None
    notes: Tuple[str, ...] = ()

    def members(self) -> Dict[str, object]:
        """As the evidence request has it, without what is absent."""
        return {name: value for name, value in self._asdict().items() if value is not None and value != ()}


def bound_extra_data(node: str, nonce: bytes, posture: bytes) -> bytes:
    """What a quote carries: it can so never be shown as another node's, nor with another posture."""
    name = node.encode()
    inner = len(name).to_bytes(2, "big") + name + nonce + hashlib.sha256(posture).digest()
    return hashlib.sha256(LABEL + inner).digest()


# Requests.


def enrol_request(name: str, role: str, token: Optional[str], identity: Identity) -> bytes:
    """The document for `/v1/agent/enrol`."""
    document = {"version": PROTOCOL, "agent": VERSION, "name": name, "role": role, **identity.members()}
    return encode(document if token is None else {**document, "token": token})


def activate_request(enrolment: bytes, secret: bytes) -> bytes:
    """The document for `/v1/agent/activate`."""
    return encode({"version": PROTOCOL, "enrolment": enrolment, "secret": secret})


def challenge_request(node: str) -> bytes:
    """The document for `/v1/agent/challenge`."""
    return encode({"version": PROTOCOL, "node": node})


def evidence_request(node: str, nonce: bytes, evidence: Evidence) -> bytes:
    """The document for `/v1/agent/evidence`."""
    sent = {**evidence.members(), "version": PROTOCOL, "agent": VERSION, "node": node, "nonce": nonce}
    if evidence.notes:
        sent["notes"] = [note[:MAX_NOTE] for note in evidence.notes[:MAX_NOTES]]
    return encode(sent)


# Replies; each reader takes its members and leaves the rest for `finish`.


def read_banks(found: Members) -> Banks:
    """What to quote: banks to PCR indices in ascending order, none twice."""
    banks: Dict[int, Tuple[int, ...]] = {}
    for alg, pcrs in found.numbered("banks", list).items():
        if not all(isinstance(pcr, int) and not isinstance(pcr, bool) and 0 <= pcr < PCR_COUNT for pcr in pcrs):
            raise MessageError("banks", f"PCR indices 0 to {PCR_COUNT - 1} expected")
        if len(set(pcrs)) != len(pcrs) or not 0 <= alg <= MAX_ALGORITHM:
            raise MessageError("banks", "a PCR twice, or an algorithm number beyond 16 bits")
        banks[alg] = tuple(sorted(pcrs))
    if not 0 < len(banks) <= MAX_BANKS:
        raise MessageError("banks", f"1 to {MAX_BANKS} expected, found {len(banks)}")
    return banks


def read_held(found: Members) -> Optional[Held]:
    """The member `held`, where there is one."""
    if "held" not in found:
        return None
    held = found.nested("held")
    has_posture = "posture_digest" in held
    read = Held(
        reset_count=held.number("reset_count", MAX_COUNT),
        restart_count=held.number("restart_count", MAX_COUNT),
        ima_entries=held.number("ima_entries", MAX_COUNT),
        posture_digest=held.octets("posture_digest", 32, 32) if has_posture else None,
    )
    held.finish()
    return read


def read_given(found: Members) -> Given:
    """The members `challenge` and `due_in`."""
    inner = found.nested("challenge")
    challenge = Challenge(
        nonce=inner.octets("nonce", MIN_NONCE, MAX_NONCE),
        banks=read_banks(inner),
        expires_in=inner.number("expires_in", MAX_SECONDS),
        held=read_held(inner),
    )
    inner.finish()
    return Given(challenge, found.number("due_in", MAX_SECONDS))


def read_opened(found: Members) -> Opened:
    """The 200 of `enrol`."""
    return Opened(
        enrolment=found.octets("enrolment", 1, MAX_BLOB),
        id_object=found.octets("id_object", 2, MAX_BLOB),
        encrypted_secret=found.octets("encrypted_secret", 2, MAX_BLOB),
        expires_in=found.number("expires_in", MAX_SECONDS),
    )


def read_review(found: Members) -> Review:
    """A 202."""
    return Review(found.take("review", str), found.take("why", str), found.number("retry_in", MAX_SECONDS))


def read_result(found: Members) -> Result:
    """The member `result` of the 200 of `evidence`."""
    inner = found.nested("result")
    result = Result(
        level=inner.number("level", LEVELS),
        state=inner.take("state", str),
        contraindicated=inner.take("contraindicated", bool),
        keeps_down=inner.texts("keeps_down"),
    )
    inner.finish()
    return result


def read_node(found: Members) -> str:
    """The node's id."""
    node = found.take("node", str)
    if not NAME.fullmatch(node):
        raise MessageError("node", "1 to 128 characters of A-Z a-z 0-9 . _ - expected")
    return node


def read_fault(found: Members) -> Fault:
    """The document of any other status."""
    inner = found.nested("error")
    texts = [inner.take(name, str) for name in ("kind", "what", "why")]
    offset = inner.number("offset", MAX_COUNT) if "offset" in inner else None
    inner.finish()
    given = read_given(found) if "challenge" in found else None
    return Fault(texts[0], texts[1], texts[2], offset, given)
