"""One software attester, as small and as fast as it can be made: a key, a clock, the last challenge.

It sends what `tests.simulator.attester` sends, which a test compares; it is not meant to send anything wrong.
"""

import hashlib
from dataclasses import dataclass
from struct import pack as packed
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from bartizan.formats.cbor import encode_cbor
from bartizan.verify.binding import LABEL
from bartizan.verify.identity import TPM_RH_ENDORSEMENT
from bench.fleet.shapes import AGENT, MAP, MOMENT, VERSION, Shape, named
from tests.simulator.attester import key_of
from tests.simulator.quotes import ECDSA, QUOTE, SHA256, TPM_GENERATED

ALGORITHM = ec.ECDSA(hashes.SHA256())
NO_POSTURE = hashlib.sha256(b"").digest()
HALF = 32
SIGNATURE = packed(">HH", ECDSA, SHA256)
SIZED = packed(">H", HALF)
AGENT_MEMBER, VERSION_MEMBER = named("agent", AGENT), named("version", VERSION)
CLOCK = 60_000
TICK = 1000
"""Milliseconds that a node's TPM clock goes on between two quotes: it has to go forward, nothing else."""
FULL = 9
"""Members of evidence with logs; without, there is one less."""


def qualified_signer(ek_name: bytes, ak_name: bytes) -> bytes:
    """The qualified name of an AK under its EK, from the Names of both; TPM 2.0 Part 1, 16."""
    name = TPM_RH_ENDORSEMENT
    for one in (ek_name, ak_name):
        name = one[:2] + hashlib.sha256(name + one).digest()
    return name


@dataclass(slots=True, eq=False)
class Node:
    """One of many. held: what the Verifier holds of it, as (resets, restarts, entries); due: on the loop's clock.

    slot: of the calendar; busy: it is being sent, or waits for that; away: it is silent.
    """

    uid: str
    key: ec.EllipticCurvePrivateKey
    head: bytes
    shape: Shape
    clock: int = CLOCK
    nonce: bytes | None = None
    held: tuple[int, int, int] | None = None
    due: float = 0.0
    level: int = 0
    failures: int = 0
    slot: int = -1
    busy: bool = False
    away: bool = False

    @property
    def is_full(self) -> bool:
        """What it will send are full logs."""
        return self.held is None or self.held[:2] != (self.shape.resets, self.shape.restarts)

    def ask(self) -> bytes:
        """A request for a challenge."""
        return encode_cbor({"version": VERSION, "node": self.uid})

    def evidence(self) -> bytes:
        """The answer to the last challenge, which is used up by it."""
        nonce, self.nonce = self.nonce, None
        assert nonce is not None
        shape, full, held = self.shape, self.is_full, self.held
        self.clock += TICK
        attest = b"".join(
            (self.head, self._extra(nonce), MOMENT.pack(self.clock, shape.resets, shape.restarts, True), shape.tail)
        )
        whole = full or held is None
        return b"".join(
            (
                bytes([MAP + FULL - (not whole)]),
                shape.whole_list if whole else shape.since(held[2]),
                shape.boot if whole else b"",
                named("node", self.uid),
                shape.pcrs,
                AGENT_MEMBER,
                named("nonce", nonce),
                named("attest", attest),
                VERSION_MEMBER,
                named("signature", self._sign(attest)),
            )
        )

    def _extra(self, nonce: bytes) -> bytes:
        uid = self.uid.encode()
        return hashlib.sha256(LABEL + len(uid).to_bytes(2, "big") + uid + nonce + NO_POSTURE).digest()

    def _sign(self, attest: bytes) -> bytes:
        r, s = decode_dss_signature(self.key.sign(attest, ALGORITHM))
        return SIGNATURE + SIZED + r.to_bytes(HALF, "big") + SIZED + s.to_bytes(HALF, "big")

    def told(self, challenge: dict[str, Any]) -> None:
        """The next challenge."""
        self.nonce = challenge["nonce"]
        held = challenge.get("held")
        self.held = None if held is None else (held["reset_count"], held["restart_count"], held["ima_entries"])


def node(uid: str, name: str, *, ek_name: bytes, ak_name: bytes, shape: Shape) -> Node:
    """An enrolled node; its attestation key follows from its name, as that of the tests' attesters does."""
    signer = qualified_signer(ek_name, ak_name)
    head = packed(">IHH", TPM_GENERATED, QUOTE, len(signer)) + signer + packed(">H", HALF)
    return Node(uid=uid, key=key_of(f"ak of {name}"), head=head, shape=shape)


def document(raw: bytes) -> dict[str, Any]:
    """A reply."""
    found = cbor2.loads(raw)
    assert isinstance(found, dict)
    return found
