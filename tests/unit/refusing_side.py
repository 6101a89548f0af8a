"""What a refusal must leave as it was, and quotes that are wrong in one way. Not a test."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Table, func, select

from bartizan.model.digest import PCR_COUNT, HashAlg, PcrBanks
from bartizan.store.tables import blob, boot, finding, ima_chunk, node_state, result
from bartizan.verify.binding import bound_extra_data
from tests.simulator.attester import Attester, Document
from tests.simulator.quotes import Quote, Signer, quote_of
from tests.simulator.tpm_identity import under
from tests.unit.service_side import Side

SPOKEN_OF = {"attempted_at", "refusal"}
"""What a refusal may change in a node's row."""


def kept(connection: Connection) -> dict[str, object]:
    """Everything that says how far nodes have come, but for what is said of the last attempt."""
    columns = [column for column in node_state.c if column.name not in SPOKEN_OF]
    rows = [tuple(row) for row in connection.execute(select(*columns).order_by(node_state.c.node))]
    tables: list[Table] = [result, boot, ima_chunk, finding]
    return {
        "node_state": rows,
        "blobs": connection.execute(select(func.count()).select_from(blob)).scalar_one(),
    } | {table.name: [tuple(row) for row in connection.execute(select(table))] for table in tables}


async def everything(here: Side) -> tuple[dict[str, object], object]:
    """What is kept after all that was submitted is written, and what memory holds of every node."""
    await here.service.write(lambda _: None)
    nodes = here.service.memory.all()
    held = [
        (
            one.state and one.state.without_evidence(),
            one.posture_id,
            one.digest,
            replace(one.progress, attempted_at=None, refusal=None),
        )
        for one in nodes
    ]
    return await here.service.read(kept), held


async def said(here: Side, node: Attester) -> str | None:
    """What the database says of a node's last attempt."""
    await here.service.write(lambda _: None)
    known = await here.service.attesting.node(node.uid)
    query = select(node_state.c.refusal).where(node_state.c.node == known.record.id)
    found: str | None = await here.service.read(lambda connection: connection.execute(query).scalar_one())
    return found


def values(pcrs: PcrBanks) -> dict[int, bytes]:
    """PCRs as an agent sends them."""
    return {int(bank): b"".join(some[pcr] for pcr in range(PCR_COUNT)) for bank, some in pcrs.items()}


def quoted(
    node: Attester,
    challenge: Document,
    *,
    pcrs: Mapping[HashAlg, Mapping[int, bytes]] | None = None,
    signer: Signer | None = None,
    **fields: Any,  # noqa: ANN401  # of a quote
) -> Document:
    """A quote that this node's TPM would never make, as members of an evidence request."""
    chosen = node.boot.pcrs(node.count) if pcrs is None else pcrs
    extra = bound_extra_data(node.uid, challenge["nonce"], node.posture or b"")
    made: Quote = quote_of(chosen, signer=under(node.ek, node.ak), extra=extra)
    counters = {"clock": node.clock, "reset_count": node.boot.resets, "restart_count": node.boot.restarts}
    attest = replace(made, **(counters | fields)).encode()
    return {"attest": attest, "signature": (signer or node.ak_signer).sign(attest).encode()}
