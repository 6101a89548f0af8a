"""Nodes that ask to join, with an EK certificate of a test CA, and a person who decides. Not a test."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Row, select

from bartizan.app.service.settings import Trust
from bartizan.store.joining import Review, decide_review, reviews
from bartizan.store.tables import node, node_state
from tests.simulator.attester import Attester, Document
from tests.simulator.tpm_ca import PrivateKey, Shape, ca, ec_key, issue
from tests.unit.service_side import Side, played

EK_INDEX = 0x01C0000A
"""NV index of a P-256 EK certificate."""
CA_NAME = "Test TPM CA"


def played_with_ca(play: Callable[[Side], Awaitable[None]], folder: Path, **settings: Any) -> None:  # noqa: ANN401
    """Run a scene against a new service that accepts EK certificates of the test CA."""
    played(play, folder / "data", trust=Trust(roots=str(ca_roots(folder / "roots"))), **settings)


def ca_roots(folder: Path) -> Path:
    """A folder that accepts the test CA."""
    folder.mkdir(exist_ok=True)
    (folder / "root.der").write_bytes(issue(ca(CA_NAME), ec_key(CA_NAME)))
    return folder


def certificate(key: PrivateKey, *, of: str = CA_NAME) -> dict[int, bytes]:
    """What NV holds of an EK that this CA certified."""
    return {EK_INDEX: issue(Shape(key=key, issuer=of), ec_key(of))}


def asking(who: Attester, token: str | None = None, **changes: object) -> Document:
    """An enrolment request with an EK certificate."""
    return who.enrol(token, **({"certificates": certificate(who.ek_private)} | changes))


async def refusal(here: Side, request: Document) -> tuple[int, str, str]:
    """How an enrolment is refused: status, kind and why."""
    status, answer = await here.call("enrol", request)
    error = answer["error"]
    return status, error["kind"], error["why"]


async def opened(here: Side, who: Attester, request: Document) -> Document:
    """The answer to a credential that a node was given."""
    status, answer = await here.call("enrol", request)
    assert status == 200, answer
    return who.activate(answer)


async def joined(here: Side, who: Attester, request: Document) -> Document:
    """A node that asks, answers its credential, and is enrolled; its first challenge."""
    status, answer = await here.call("activate", await opened(here, who, request))
    assert status == 200, answer
    who.uid = answer["node"]
    challenge: Document = answer["challenge"]
    return challenge


async def in_review(here: Side, request: Document) -> Review:
    """The review that a request leads to; nobody is enrolled or changed by it."""
    before = await fleet(here)
    status, answer = await here.call("enrol", request)
    assert status == 202, answer
    assert answer["retry_in"] == 60
    assert await fleet(here) == before
    (found,) = [one for one in await here.service.read(all_reviews) if str(one.id) == answer["review"]]
    assert found.why == answer["why"]
    return found


def all_reviews(connection: Any) -> list[Review]:  # noqa: ANN401  # a connection
    return reviews(connection, state=None)


async def decide(here: Side, review: Review, state: str, reason: str = "") -> None:
    """A person decides."""
    here.clock.forward(60)
    at = here.clock().milliseconds
    decided = await here.service.write(
        lambda connection: decide_review(connection, review.id, state=state, by="boss", reason=reason, now=at)
    )
    assert decided is not None


async def fleet(here: Side) -> list[Row[Any]]:
    """Every row of every node, with how far it has come."""
    query = select(node, node_state).join(node_state, node_state.c.node == node.c.id).order_by(node.c.id)
    return await here.service.read(lambda connection: list(connection.execute(query)))


async def enrolled(here: Side) -> dict[str, str]:
    """Ids of the enrolled nodes by their names."""
    return {row.name: row.uid for row in await fleet(here) if row.retired_at is None}
