"""`bartizan gap`: what keeps nodes from their next level, and what would lift them."""

from collections.abc import Mapping
from typing import Annotated

import typer
from rich.padding import Padding
from rich.text import Text

from bartizan.cli.asking import asking
from bartizan.cli.commands.node import path_of
from bartizan.cli.completing import nodes
from bartizan.cli.console import GOOD, console, counted
from bartizan.cli.options import AsJson
from bartizan.cli.wording import hint, level_text, say, show_document
from bartizan.connectors.service.client import ServiceClient
from bartizan.connectors.service.documents import (
    Finding,
    FindingGroup,
    FindingGroups,
    Gap,
    GapItem,
    Node,
    NodeFindings,
    Reference,
)
from bartizan.model.reference import ReferenceState

INDENT = (0, 0, 0, 2)
NEED_REFERENCE = ("recognised.", "ima.known-files")
"""Checks that compare with Reference Values."""
FIRST_REFERENCE = (
    "bartizan node evidence {node} --out ./{node}",
    "bartizan reference propose ./{node} --out ./reference --name {node}",
    "bartizan reference service upload ./reference",
    "bartizan reference service approve ID --reason 'as it should be'",
)
HIGHEST = 6


@asking()
def gap(
    client: ServiceClient,
    *,
    node: Annotated[
        str | None, typer.Option("--node", help="Of this node alone.", metavar="NODE", autocompletion=nodes)
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Say what keeps the fleet's nodes from their next level, what keeps most first, and what would lift them.

    Examples: `bartizan gap`, `bartizan gap --node compute-01`.

    Exit: 0 said, 2 refused, 3 the service cannot be asked.
    """
    if node is not None:
        return _of_node(client, node, as_json=as_json)
    found = client.get("/v1/gap", Gap)
    if as_json:
        show_document(found)
    elif not found.nodes:
        say("no node is enrolled yet. Let the first one in with:")
        hint("  bartizan token create NAME --role compute")
    else:
        seen = {group.check: group for group in client.get("/v1/findings", FindingGroups).items}
        _print(found, seen, recognises=_recognises(client))
    return GOOD


def _recognises(client: ServiceClient) -> bool:
    """Whether any Reference Values are in force."""
    return any(one.state == ReferenceState.APPROVED for one in client.items("/v1/references", Reference))


def _print_first_reference(items: list[GapItem]) -> None:
    """Without Reference Values nothing is recognised, whatever runs: one remedy for all of it, line by line."""
    most = max(items, key=lambda item: item.nodes)
    console.print()
    say(f"No Reference Values are in force, so nothing that {counted(most.nodes, 'node')} started is recognised.")
    say(f"If what {most.example} runs is as it should be, declare it good:")
    console.print()
    for line in FIRST_REFERENCE:
        hint("  " + line.format(node=most.example))
    console.print()
    checks = ", ".join(sorted({item.check for item in items}))
    hint(f"This lifts: {checks}")


def _print(found: Gap, seen: Mapping[str, FindingGroup], *, recognises: bool) -> None:
    say(f"{counted(found.nodes, 'node')}: {_spread(found)}", style="bold")
    unknown = [] if recognises else [item for item in found.items if item.check.startswith(NEED_REFERENCE)]
    if unknown:
        _print_first_reference(unknown)
    for level in sorted({item.level for item in found.items if item not in unknown}):
        items = [item for item in found.items if item.level == level and item not in unknown]
        console.print()
        say(f"From level {level_text(level)} to {level_text(min(level + 1, HIGHEST))}", style="bold")
        for item in items:
            _print_item(item, seen.get(item.check))
    if not found.items:
        say("nothing keeps any node that attested from its next level that could be mended")
    console.print()
    hint("bartizan node list --check CHECK: which nodes; bartizan gap --node NODE: one of them")


def _spread(found: Gap) -> str:
    parts = [f"{count} at level {level_text(int(level))}" for level, count in sorted(found.levels.items())]
    return ", ".join(parts + ([f"{found.unattested} not attested yet"] if found.unattested else []))


def _print_item(item: GapItem, seen: FindingGroup | None) -> None:
    roles = ", ".join(counted(count, f"{role} node") for role, count in item.roles.items())
    head = Text(item.check, style="yellow").append(f"  {roles}", style="default")
    console.print(Padding(head.append(f", for example {item.example}", style="dim"), INDENT))
    _print_lines(None if seen is None else f"{seen.why} ({seen.example})", item.title, item.fix)


def _print_lines(found: str | None, wanted: str, to_do: str) -> None:
    for label, text in (("found: ", found), ("wanted:", wanted), ("to do: ", to_do)):
        if text:
            console.print(Padding(Text(f"{label} {text}"), (0, 0, 0, 4)))


def _of_node(client: ServiceClient, name: str, *, as_json: bool) -> int:
    node = client.get(path_of(name), Node)
    found = client.get(path_of(node.id, "/findings"), NodeFindings)
    items = [item for item in found.items if item.keeps_down]
    if as_json:
        show_document({"node": node.name, "level": node.level, "items": items})
        return GOOD
    say(f"{node.name}: level {level_text(node.level)}", style="bold")
    for item in items:
        _print_finding(item)
    if not node.attested:
        say("Nothing was accepted of it yet; on the node, `bartizan-agent status` says how its agent is doing.")
    elif not items:
        say("nothing keeps it from its next level that could be mended")
    return GOOD


def _print_finding(item: Finding) -> None:
    console.print(Padding(Text(item.check, style="yellow"), INDENT))
    _print_lines(item.why, item.title, item.fix)
