"""The Verifier of a run, a true `bartizan serve` on loopback, and its people: operator, security officer, auditor."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bartizan.app.demo.verifier_process import VerifierProcess, run_verifier
from bartizan.app.reference_folder import read_reference
from bartizan.connectors.service.address import Reach
from bartizan.connectors.service.client import ServiceClient
from bartizan.connectors.service.data_folder import TOKEN_FILES, read_token
from bartizan.connectors.service.documents import (
    JoinTokenMade,
    JoinTokenWanted,
    Node,
    Policy,
    Reference,
    Result,
    Review,
)
from bartizan.errors import ConnectorError
from bartizan.formats.reference_file import encode_reference
from bartizan.model.node import Role

PERIOD, LATE, EXPIRED = 8, 20, 40
"""Seconds between two attestations, and behind the due time until a node is late, expired: as short as a guest under
emulation can follow."""
HOURS = 1
POLL = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the service says of a node. attested: how many attestations it accepted so far; state: as of now."""

    attested: int
    level: int
    state: str
    contraindicated: bool
    refusal: str | None
    findings: tuple[dict[str, Any], ...]
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verifier:
    """A running service and clients with each role's token."""

    process: VerifierProcess
    operator: ServiceClient
    officer: ServiceClient
    auditor: ServiceClient

    @property
    def port(self) -> int:
        """Where it listens on loopback."""
        return self.process.port

    @property
    def pin(self) -> str:
        """What its key is known by."""
        return self.process.pin

    def join_token(self, name: str, role: str) -> str:
        """A token that lets one node in."""
        wanted = JoinTokenWanted(name=name, role=role, hours=HOURS)
        return self.operator.send("POST", "/v1/join-tokens", JoinTokenMade, wanted).token

    def verdict(self, name: str) -> Verdict:
        """What stands on a node now."""
        node = self.operator.get(f"/v1/nodes/{quote(name, safe='')}", Node)
        result = {} if not node.attested else self._result(name).result
        return Verdict(
            attested=node.attested,
            level=node.level,
            state=node.state,
            contraindicated=node.contraindicated,
            refusal=node.refusal,
            findings=tuple(result.get("findings", ())),
            at=node.attested_at,
        )

    def _result(self, name: str) -> Result:
        return self.operator.get(f"/v1/nodes/{quote(name, safe='')}/result", Result)

    def attested(self, name: str) -> int:
        """How many attestations of a node were accepted."""
        return self.operator.get(f"/v1/nodes/{quote(name, safe='')}", Node).attested

    def wait_attested(self, name: str, more_than: int, seconds: float) -> Verdict:
        """The verdict once so many attestations were accepted, and one more.

        Raises:
            ConnectorError: there is none by then.
        """
        deadline = time.monotonic() + seconds
        while self.attested(name) <= more_than:
            if time.monotonic() > deadline:
                said = self.verdict(name)
                raise ConnectorError(f"{name} did not attest within {seconds:g} s; {said.state}; {said.refusal or ''}")
            time.sleep(POLL)
        return self.verdict(name)

    def evidence(self, name: str) -> bytes:
        """The evidence of the verdict that stands: a ZIP file."""
        return self.auditor.content(f"/v1/nodes/{quote(name, safe='')}/evidence", "application/zip")

    def put_in_force(self, folder: Path) -> Reference:
        """Upload a set of Reference Values, approve it, and wait until everybody was judged anew."""
        content = encode_reference(read_reference(folder))
        made = self.officer.upload("/v1/references", Reference, content, "application/json")
        return self.change_reference(made.id, "approve", "as it should be")

    def change_reference(self, number: int, verb: str, reason: str) -> Reference:
        """approve, retire or revoke a set."""
        return self.officer.send("POST", f"/v1/references/{number}/{verb}", Reference, {"reason": reason})

    def change_policy(self, document: str) -> Policy:
        """Upload an appraisal policy and put it in force: everybody is judged anew."""
        made = self.officer.upload("/v1/policies", Policy, document.encode(), "application/toml")
        return self.officer.send("POST", f"/v1/policies/{made.id}/activate", Policy)

    def reviews(self) -> tuple[Review, ...]:
        """Enrolments that wait for a person."""
        return tuple(self.operator.items("/v1/reviews", Review, [("state", "open")]))


@contextmanager
def verifier(data: Path, roots: Path) -> Iterator[Verifier]:
    """A service on this folder while the block runs. roots: the CAs of the guests' TPMs."""
    with ExitStack() as stack:
        process = stack.enter_context(run_verifier(data, roots=roots, period=PERIOD, late=LATE, expired=EXPIRED))

        def client(role: Role) -> ServiceClient:
            token = read_token(data / TOKEN_FILES[role])
            return stack.enter_context(ServiceClient(Reach(url=process.url, pin=process.pin, token=token)))

        yield Verifier(
            process=process,
            operator=client(Role.OPERATOR),
            officer=client(Role.SECURITY_OFFICER),
            auditor=client(Role.AUDITOR),
        )
