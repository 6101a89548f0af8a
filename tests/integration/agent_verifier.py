"""A small Verifier that speaks the protocol over real HTTP on loopback: one node, all of it in memory."""

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from bartizan.app.attest_again import NeedsFullLogs, ReportedAgain, attest_again, begin
from bartizan.app.attest_node import Rules, attest_node
from bartizan.app.defaults import catalogue, default_policy, levels
from bartizan.app.enrol_node import close_enrolment, open_enrolment
from bartizan.app.node_state import NodeState
from bartizan.formats.cbor import decode_cbor, encode_cbor
from bartizan.formats.ima import decode_ima
from bartizan.formats.tcg_log import decode_boot_log
from bartizan.formats.tpm2 import decode_attest, decode_public, decode_signature, encode_credential
from bartizan.formats.x509 import decode_certificate
from bartizan.model.certificate import TrustAnchors
from bartizan.model.digest import PCR_COUNT, HashAlg
from bartizan.model.evidence import Challenge, Enrolment, ReportedEvidence, ReportedIdentity, ReportedQuote
from bartizan.model.result import AttestationResult
from bartizan.verify.binding import bound_extra_data

NODE = "n-1"
EXPIRES, SECONDS = 300, 60
RSA_CERTIFICATE = 0x01C00002
BANKS = (HashAlg.SHA256,)

Document = dict[str, Any]
Answer = tuple[int, Document]


@dataclass(slots=True)
class Verifier:
    """What it remembers; `seen` is every request as it came, `faults` are answers to give before doing anything."""

    anchors: TrustAnchors
    identity: ReportedIdentity | None = None
    enrolment: Enrolment | None = None
    state: NodeState | None = None
    result: AttestationResult | None = None
    judged: int = 0
    nonce: bytes = b""
    secret: bytes = b""
    posture: bytes = b""
    seen: list[tuple[str, Document]] = field(default_factory=list)
    faults: list[Answer] = field(default_factory=list)
    answered: threading.Condition = field(default_factory=threading.Condition)
    rules: Rules = field(
        default_factory=lambda: Rules(catalogue=catalogue(), levels=levels(), policy=default_policy(), reference=None)
    )

    def answer(self, path: str, document: Document) -> Answer:
        """One exchange."""
        self.seen.append((path, document))
        if self.faults:
            return self.faults.pop(0)
        steps: Mapping[str, Callable[[Document], Answer]] = {
            "enrol": self._enrol,
            "activate": self._activate,
            "challenge": self._challenge,
            "evidence": self._evidence,
        }
        return steps[path.removeprefix("/v1/agent/")](document)

    def wait_for(self, count: int) -> None:
        """Until so much evidence was judged since the beginning."""
        with self.answered:
            assert self.answered.wait_for(lambda: self.judged >= count, timeout=SECONDS)

    def _enrol(self, sent: Document) -> Answer:
        self.identity = ReportedIdentity(
            ak=decode_public(sent["ak"]),
            ek=decode_public(sent["ek"]),
            ek_certificate=decode_certificate(sent["certificates"][RSA_CERTIFICATE]),
        )
        self.secret = os.urandom(32)
        credential = open_enrolment(self.identity, secret=self.secret, entropy=os.urandom(32))
        id_object, encrypted_secret = encode_credential(credential)
        opened = {"enrolment": b"opaque", "expires_in": 60}
        return 200, {**opened, "id_object": id_object, "encrypted_secret": encrypted_secret}

    def _activate(self, sent: Document) -> Answer:
        assert self.identity is not None
        self.enrolment = close_enrolment(self.identity, secret=self.secret, answer=sent["secret"], anchors=self.anchors)
        return 200, {"node": NODE, **self.given()}

    def _challenge(self, sent: Document) -> Answer:
        if sent["node"] != NODE or self.enrolment is None:
            return 404, {"error": {"kind": "node", "what": "node", "why": "is not known here"}}
        return 200, self.given()

    def given(self) -> Document:
        """A new challenge."""
        self.nonce = os.urandom(32)
        challenge: Document = {"nonce": self.nonce, "expires_in": EXPIRES}
        challenge["banks"] = {int(bank): list(range(PCR_COUNT)) for bank in BANKS}
        if self.state is not None:
            evidence = self.state.complete()
            clock = evidence.quote.attest.clock
            entries = 0 if evidence.ima is None else len(evidence.ima.list.entries)
            held = {"reset_count": clock.reset_count, "restart_count": clock.restart_count, "ima_entries": entries}
            challenge["held"] = {**held, "posture_digest": HashAlg.SHA256.digest(self.posture)}
        return {"challenge": challenge, "due_in": 0}

    def _evidence(self, sent: Document) -> Answer:
        if sent["nonce"] != self.nonce:
            return 409, {"error": {"kind": "nonce", "what": "nonce", "why": "is used or old"}, **self.given()}
        self.posture = sent.get("posture", self.posture)
        challenge = Challenge(
            extra_data=bound_extra_data(NODE, self.nonce, self.posture),
            selection={bank: frozenset(range(PCR_COUNT)) for bank in BANKS},
            pinned=HashAlg.SHA256,
            recorded=False,
            binds_posture=True,
        )
        judged = self._in_full(sent, challenge) if "boot" in sent else self._again(sent, challenge)
        if judged is None:
            return 409, {"error": {"kind": "logs", "what": "logs", "why": "are needed in full"}, **self.given()}
        self.result = judged
        with self.answered:
            self.judged += 1
            self.answered.notify_all()
        result = {"level": judged.level, "state": judged.state.value, "contraindicated": judged.contraindicated}
        return 200, {"result": {**result, "keeps_down": []}, **self.given()}

    def _in_full(self, sent: Document, challenge: Challenge) -> AttestationResult:
        assert self.identity is not None
        assert self.enrolment is not None
        boot, ima = sent["boot"], sent.get("ima")
        evidence = ReportedEvidence(
            identity=self.identity,
            quote=quote_of(sent),
            untrusted_pcrs=pcrs_of(sent),
            boot_log=decode_boot_log(boot["boot_log"]) if "boot_log" in boot else None,
            launch_log=None,
            ima=decode_ima(ima["entries"]) if ima else None,
            posture=self.posture,
        )
        now = datetime.now(UTC)
        outcome = attest_node(evidence, challenge=challenge, enrolment=self.enrolment, rules=self.rules, now=now)
        assert outcome.verified is not None, outcome.result.findings
        self.state = begin(outcome, enrolment=self.enrolment, rules=self.rules, now=now)
        return outcome.result

    def _again(self, sent: Document, challenge: Challenge) -> AttestationResult | None:
        if self.state is None:
            return None
        ima = sent.get("ima", {"first": 0, "entries": b""})
        reported = ReportedAgain(
            quote=quote_of(sent),
            untrusted_pcrs=pcrs_of(sent),
            new_entries=ima["entries"],
            first_entry=ima["first"],
            posture=self.posture,
        )
        found = attest_again(self.state, reported, challenge=challenge, rules=self.rules, now=datetime.now(UTC))
        if isinstance(found, NeedsFullLogs):
            return None
        self.state = found.state
        return found.result


def quote_of(sent: Document) -> ReportedQuote:
    return ReportedQuote(attest=decode_attest(sent["attest"]), signature=decode_signature(sent["signature"]))


def pcrs_of(sent: Document) -> dict[HashAlg, dict[int, bytes]]:
    """PCR values by bank and index: all were asked for."""
    found = {}
    for alg, values in sent["pcrs"].items():
        bank = HashAlg(alg)
        found[bank] = {pcr: values[pcr * bank.size : (pcr + 1) * bank.size] for pcr in range(PCR_COUNT)}
    return found


@contextmanager
def serving(verifier: Verifier) -> Iterator[str]:
    """Its URL while it listens on loopback."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 5

        def do_POST(self) -> None:
            assert self.headers["Content-Type"] == "application/cbor"
            document = decode_cbor(self.rfile.read(int(self.headers["Content-Length"])))
            assert isinstance(document, dict)
            status, answer = verifier.answer(self.path, document)
            raw = encode_cbor(answer)
            self.send_response(status)
            self.send_header("Content-Type", "application/cbor")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_arguments: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
