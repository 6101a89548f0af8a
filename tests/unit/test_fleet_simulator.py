"""The fleet simulator's attesters send what the tests' own attester sends, and its client reads answers."""

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from bench.fleet.attester import Node, node
from bench.fleet.shapes import AGENT, Shapes
from bench.fleet.tally import Tally, percentiles
from bench.fleet.wire import Connection, Endpoint, Reply
from tests.simulator.attester import Attester, Document, document

UID = "ab" * 16
NEW = 5


def challenge(node: Node, *, entries: int | None, resets: int = 0) -> Document:
    """A challenge of a Verifier that holds so many entries of a boot, or nothing."""
    shape = node.shape
    held = {"reset_count": shape.resets - resets, "restart_count": 0, "ima_entries": entries}
    return {"nonce": bytes(range(56))} | ({} if entries is None else {"held": held})


def pair(count: int | None = None, resets: int = 0) -> tuple[Node, Attester]:
    """The same node twice: as the simulator has it, and as the tests have it."""
    shapes = Shapes.recorded(NEW)
    boot = replace(shapes.boot, resets=shapes.boot.resets + resets)
    plain = Attester(name="n1", boot=boot, entries=count or shapes.measured, clock=60_000, uid=UID)
    shape = shapes.at(resets=resets, count=plain.count)
    return node(UID, "n1", ek_name=plain.ek.name, ak_name=plain.ak.name, shape=shape), plain


@pytest.mark.parametrize(
    ("count", "resets", "held", "behind"),
    [(None, 0, None, 0), (None, 0, 110, 0), (115, 0, 110, 0), (None, 1, 110, 1)],
    ids=["nothing is held", "nothing is new", "new entries", "after a reboot"],
)
def test_its_evidence_is_that_of_the_tests_attester(
    count: int | None, resets: int, held: int | None, behind: int
) -> None:
    fast, plain = pair(count, resets)
    said = challenge(fast, entries=held, resets=behind)

    fast.told(said)
    sent, expected = document(fast.evidence()), plain.evidence(said)

    signature = sent.pop("signature")
    expected.pop("signature")
    assert sent == expected | {"agent": AGENT}
    r, s = (int.from_bytes(signature[at : at + 32], "big") for at in (6, 40))
    key = plain.ak_signer.private.public_key()
    key.verify(encode_dss_signature(r, s), sent["attest"], ec.ECDSA(hashes.SHA256()))


def test_its_clock_goes_on_and_a_challenge_is_used_once() -> None:
    fast, _ = pair()
    fast.told(challenge(fast, entries=110))

    fast.evidence()

    assert fast.clock > 60_000
    assert fast.nonce is None


class Ear:
    """Hears what a connection says."""

    def __init__(self) -> None:
        self.replies: list[Reply] = []
        self.lost = 0

    def answered(self, _connection: Connection, reply: Reply) -> None:
        self.replies.append(reply)

    def broken(self, _connection: Connection) -> None:
        self.lost += 1


ANSWER = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 5\r\nRetry-After: 17\r\n\r\nlater"


@pytest.mark.parametrize("step", [1, 7, 40, len(ANSWER)])
def test_an_answer_is_read_however_it_is_cut_up(step: int) -> None:
    ear = Ear()
    connection = Connection(Endpoint.at("127.0.0.1", 1, ("evidence",)), ear)

    for _ in range(2):
        for start in range(0, len(ANSWER), step):
            connection.data_received(ANSWER[start : start + step])

    assert ear.replies == [Reply(503, b"later", 17, last=False)] * 2


def test_a_connection_that_ends_is_said() -> None:
    ear = Ear()
    connection = Connection(Endpoint.at("127.0.0.1", 1, ("evidence",)), ear)

    connection.connection_lost(None)

    assert (ear.lost, connection.is_open) == (1, False)


def test_percentiles_are_of_what_was_seen() -> None:
    tally = Tally()
    tally.again.extend(number / 1000 for number in range(1, 1001))

    found = percentiles(tally.again)

    assert (found["p50"], found["p99"], found["max"]) == (500.0, 990.0, 1000.0)
    assert percentiles(Tally().again) == {}
