"""What is not in order: at one node, and grouped over the fleet; with what people say beside it."""

import msgspec
from litestar import get
from sqlalchemy import Connection

from bartizan.app.service.beside import about, acknowledged, seen
from bartizan.app.service.changes import Who
from bartizan.app.service.fleet import seen_node
from bartizan.app.service.service import Service
from bartizan.model.statement import Statement, StatementKind
from bartizan.store.findings import FindingGroup, OpenFinding, finding_groups, open_findings
from bartizan.store.nodes import NodeRow
from bartizan.web.api.caller import Asker, Serving
from bartizan.web.api.operation import Described
from bartizan.web.api.shapes import PathName
from bartizan.web.api.statements import StatementShown, statement_shown

ACKNOWLEDGEMENT, MAINTENANCE = StatementKind.ACKNOWLEDGEMENT, StatementKind.MAINTENANCE


class FindingShown(msgspec.Struct, frozen=True, kw_only=True):
    """A check that is not in order. why, path: of its worst finding; count 0: nothing was found out about it."""

    check: str
    title: str
    tier: str
    count: int
    path: str | None
    why: str
    fix: str
    keeps_down: bool
    acknowledged: list[StatementShown]


class NodeFindings(msgspec.Struct, frozen=True, kw_only=True):
    """What is not in order at a node, and the maintenance windows that it is in now."""

    node: str
    maintenance: list[StatementShown]
    items: list[FindingShown]


class FindingGroupShown(msgspec.Struct, frozen=True, kw_only=True):
    """A check that is not in order at some nodes; why, path: of the example."""

    check: str
    title: str
    tier: str
    nodes: int
    example: str
    path: str | None
    why: str
    fix: str


class FindingGroups(msgspec.Struct, frozen=True, kw_only=True):
    """What is not in order in the fleet; that at most nodes first."""

    items: list[FindingGroupShown]


@get(
    "/nodes/{node:str}/findings",
    operation_id="list_node_findings",
    operation_class=Described,
    summary="Of one node",
    tags=["findings"],
)
async def list_node_findings(service: Serving, who: Asker, node: PathName) -> NodeFindings:
    """What is not in order at a node, with acknowledgements and maintenance beside it."""
    return await node_findings(service, who, node)


@get("/findings", operation_id="list_findings", operation_class=Described, summary="Of the fleet", tags=["findings"])
async def list_findings(service: Serving, who: Asker) -> FindingGroups:
    """What is not in order, by check: at how many nodes, and an example."""
    groups = await service.read(lambda connection: finding_groups(connection, project_id=who.sees))
    return FindingGroups(items=[_group_shown(service, group) for group in groups])


def _group_shown(service: Service, group: FindingGroup) -> FindingGroupShown:
    title, fix = service.rules.rules.told(group.check)
    return FindingGroupShown(
        check=group.check,
        title=title,
        tier=group.tier,
        nodes=group.nodes,
        example=group.node,
        path=group.path,
        why=group.why,
        fix=fix,
    )


async def node_findings(service: Service, who: Who, given: str) -> NodeFindings:
    """What is not in order at a node."""
    now = service.clock().milliseconds

    def look(connection: Connection) -> tuple[NodeRow, list[OpenFinding], list[Statement], list[Statement]]:
        node = seen_node(connection, who, given)
        said, some = (seen(connection, service, who, kind, current=now) for kind in (ACKNOWLEDGEMENT, MAINTENANCE))
        return node, open_findings(connection, node.id), said, some

    node, rows, said, some = await service.read(look)
    return NodeFindings(
        node=node.name,
        maintenance=[statement_shown(one) for one in about(node, some)],
        items=[
            _shown(service, row, [statement_shown(one) for one in acknowledged(node, row.check, row.path, said)])
            for row in rows
        ],
    )


def _shown(service: Service, row: OpenFinding, said: list[StatementShown]) -> FindingShown:
    title, fix = service.rules.rules.told(row.check)
    return FindingShown(
        check=row.check,
        title=title,
        tier=row.tier,
        count=row.count,
        path=row.path,
        why=row.why,
        fix=fix,
        keeps_down=row.keeps_down,
        acknowledged=said,
    )


ROUTES = (list_node_findings, list_findings)
