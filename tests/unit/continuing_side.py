"""Services with Reference Values and a history, and what the tests of continuity ask of them. Not a test."""

from dataclasses import replace
from datetime import datetime
from importlib.resources import files
from typing import Any

from sqlalchemy import Row, select

from bartizan.formats.reference_file import encode_reference
from bartizan.model.reference import ReferenceState
from bartizan.store.alarms import Alarm, alarms
from bartizan.store.rules import activate_policy, add_policy, add_set
from bartizan.store.tables import boot, result
from tests.simulator.attester import Attester, Document
from tests.simulator.machine import good, reference_set
from tests.unit.attested_again import ALL
from tests.unit.service_side import ADMIN, Side

HOUR = 3600


async def knowing(here: Side) -> None:
    """Put the good machine's Reference Values in force."""
    approved = replace(reference_set(good()), state=ReferenceState.APPROVED)
    document = encode_reference(approved)
    await here.service.write(
        lambda connection: add_set(connection, "good", document, ReferenceState.APPROVED, author=ADMIN)
    )
    assert await here.service.reload()


async def stricter(here: Side) -> None:
    """Put a policy in force by which an unknown file is contraindicated."""
    await put_stricter(here)
    assert await here.service.reload()


async def put_stricter(here: Side) -> None:
    """The same, in the database alone."""
    text = (files("bartizan") / "data" / "policies" / "default.toml").read_text()
    strict = text.replace('unknown_file = "warning"', 'unknown_file = "contraindicated"').encode()
    assert strict.count(b'"contraindicated"') > text.encode().count(b'= "contraindicated"')

    def put(connection: Any) -> None:  # noqa: ANN401  # a connection
        activate_policy(connection, add_policy(connection, "strict", strict, author=ADMIN).id)

    await here.service.write(put)


async def waiving(here: Side, check: str, expires: datetime) -> None:
    """Put a policy in force that lowers findings of a check until then."""
    text = (files("bartizan") / "data" / "policies" / "default.toml").read_text()
    text += f'\n[[waiver]]\ncheck = "{check}"\nreason = "for a while"\nexpires = {expires.isoformat()}\n'

    def put(connection: Any) -> None:  # noqa: ANN401  # a connection
        activate_policy(connection, add_policy(connection, "waiving", text.encode(), author=ADMIN).id)

    await here.service.write(put)
    assert await here.service.reload()


async def begun(here: Side, name: str = "n1", *, entries: int = ALL) -> Attester:
    """A node that is enrolled and has attested the recorded boot once, the whole of it or so many IMA entries."""
    node = Attester(name=name, entries=entries)
    await here.attest(node, await here.enrol(node))
    return node


async def after(here: Side, node: Attester, seconds: float = 60) -> Document:
    """What the next attestation of a node says, so much later."""
    here.clock.forward(seconds)
    answer: Document = (await here.attest(node))["result"]
    return answer


async def evict(here: Side, node: Attester) -> None:
    """The node's state goes from memory, as if others had needed the room."""
    known = await here.service.attesting.node(node.uid)
    assert known.state is not None
    known.state = None


async def proved(here: Side, node: Attester) -> None:
    """What is kept of the node is verified once more."""
    await here.service.attesting.node(node.uid)
    await here.service.proving.prove(node.uid)


async def let_go(here: Side, node: Attester) -> None:
    """All evidence of the node goes from memory, as if others had needed the room; what a quote needs stays."""
    known = await here.service.attesting.node(node.uid)
    assert known.state is not None
    known.state = known.state.without_evidence()


async def history(here: Side) -> list[Row[Any]]:
    """Every verdict that was kept, the oldest first."""
    return await here.service.read(lambda connection: list(connection.execute(select(result).order_by(result.c.id))))


async def boots(here: Side) -> int:
    """How many boots are kept."""
    return len(await here.service.read(lambda connection: list(connection.execute(select(boot.c.id)))))


async def raised(here: Side, kind: str) -> list[Alarm]:
    """Alarms of a kind, whether or not they still stand, after all that was submitted is written."""
    await here.service.write(lambda _: None)
    every = await here.service.read(lambda connection: alarms(connection, standing=False))
    return [alarm for alarm in every if alarm.kind == kind]
