"""The Verifier's side of a guest's console: activates its attestation key, hands out nonces, keeps what comes back.

What is kept is exactly what the agent would have sent; it is judged by the tests and not here.
"""

import base64
import os
import zlib
from dataclasses import dataclass, field

from bartizan.app.enrol_node import SECRET_BYTES, close_enrolment, open_enrolment
from bartizan.formats.agent_message import decode_enrol
from bartizan.formats.tpm2 import decode_public, encode_credential
from bartizan.model.certificate import TrustAnchors
from bartizan.model.evidence import ReportedIdentity

NODE = "n-guest"
NONCE_BYTES = 32


def unpacked(text: str) -> bytes:
    return zlib.decompress(base64.b64decode(text))


@dataclass(kw_only=True)
class Console:
    """One boot of one guest: its request to enrol, whether that was completed, and its evidence by name."""

    identity: bytes = b""
    enrolled: bool = False
    secret: bytes = b""
    evidence: dict[str, bytes] = field(default_factory=dict)

    def answer(self, line: str) -> str | None:
        """What the Verifier says to a line of the console; None to all but the words of `attest.py`."""
        match line.split():
            case ["ENROL", text]:
                return self._credential(unpacked(text))
            case ["SECRET", text]:
                close_enrolment(
                    self._reported(),
                    secret=self.secret,
                    answer=bytes.fromhex(text),
                    anchors=TrustAnchors(anchors=(), intermediates=()),
                )
                self.enrolled = True
            case ["CHALLENGE", _]:
                return f"NONCE {os.urandom(NONCE_BYTES).hex()}"
            case ["EVIDENCE", name, text]:
                self.evidence[name] = unpacked(text)
            case _:
                pass
        return None

    def _reported(self) -> ReportedIdentity:
        sent = decode_enrol(self.identity)
        return ReportedIdentity(ak=decode_public(sent.ak), ek=decode_public(sent.ek), ek_certificate=None)

    def _credential(self, identity: bytes) -> str:
        self.identity, self.secret = identity, os.urandom(SECRET_BYTES)
        reported = self._reported()
        entropy = os.urandom(reported.ek.name_alg.size) if reported.ek else b""
        credential = open_enrolment(reported, secret=self.secret, entropy=entropy)
        parts = (base64.b64encode(part).decode() for part in encode_credential(credential))
        return f"CREDENTIAL {' '.join(parts)} {NODE}"
