"""A guest's attestations over its console: the agent's own collector answers what `verifier.py` asks. No network.

`ENROL BASE64` asks for a credential, `SECRET HEX` opens it, `CHALLENGE NAME` asks for a nonce, `EVIDENCE NAME BASE64`
answers it with the document that an agent would send.
"""

import base64
import zlib
from collections.abc import Callable
from pathlib import Path

from bartizan.agent.collector import LocalCollector, Machine
from bartizan.agent.keys import tpm_opener
from bartizan.agent.messages import Asked, enrol_request, evidence_request
from bartizan.agent.state import Store
from bartizan.collect.posture.document import collect_posture

BANKS = {0x000B: tuple(range(24))}
"""SHA-256, all PCRs."""


def say(word: str, *rest: str) -> None:
    print("\n" + " ".join((word, *rest)), flush=True)


def heard(word: str) -> list[str]:
    """The words of the next line that answers."""
    while True:
        words = input().split()
        if words[:1] == [word]:
            return words[1:]


def packed(raw: bytes) -> str:
    return base64.b64encode(zlib.compress(raw, 9)).decode()


class Attester:
    """An enrolled node; `posture` is what it says of itself, which a hostile root can change."""

    def __init__(self) -> None:
        self.posture: Callable[[], bytes] = collect_posture
        folder = Path("/run/agent")
        folder.mkdir(mode=0o700)
        given = Machine(Path("/"), tpm_opener(None), self.told)
        self.collector = LocalCollector(given, Store(folder))
        say("ENROL", packed(enrol_request("guest", "compute", None, self.collector.identity())))
        id_object, secret, self.node = heard("CREDENTIAL")
        say("SECRET", self.collector.activate(base64.b64decode(id_object), base64.b64decode(secret)).hex())

    def told(self) -> bytes:
        """What it says of itself now."""
        return self.posture()

    def attest(self, name: str) -> None:
        """One attestation, in full."""
        say("CHALLENGE", name)
        nonce = bytes.fromhex(heard("NONCE")[0])
        evidence = self.collector.evidence(Asked(self.node, nonce, BANKS, full=True))
        say("EVIDENCE", name, packed(evidence_request(self.node, nonce, evidence)))
