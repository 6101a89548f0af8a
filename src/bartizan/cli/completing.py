"""Completion in the shell by what the service knows: nodes, checks, policies, sets. It never waits long, nor complains.

The shell asks with what is typed so far, so that --url or --data given before count as they will for the command.
"""

import os
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import typer

from bartizan.cli import asking
from bartizan.connectors.service.client import ServiceClient
from bartizan.connectors.service.documents import FindingGroups, Node, Policy, Reference
from bartizan.errors import BartizanError, ConnectorError
from bartizan.model.node import Role

SECONDS = 1.0
"""What a person waits for a Tab; a service that is slower completes nothing."""
MOST = 100
Words = Iterator[tuple[str, str]]
"""What may stand there, and what it is."""


def _completing(known: Callable[[ServiceClient, str], Words]) -> Callable[[typer.Context, str], list[tuple[str, str]]]:
    """A completion for typer, of a question to the service."""

    def complete(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
        try:
            reach = asking.reach_of({name: _given(ctx, name) for name, _ in asking.OPTIONS}, Role.OPERATOR)
            with ServiceClient(reach, seconds=SECONDS, pause=_give_up) as client:
                found = known(client, incomplete)
                return [(word, what) for word, what in islice(found, MOST) if word.startswith(incomplete)]
        except (BartizanError, OSError):  # a shell that asks for a word must not be told a story
            return []

    return complete


def _given(ctx: typer.Context, name: str) -> object:
    """An option as it was typed, or as the environment has it."""
    value = ctx.params.get(name) or os.environ.get(f"BARTIZAN_{name.upper()}") or None
    return Path(value) if isinstance(value, str) and name in {"token_file", "data"} else value


def _give_up(_: float) -> None:
    raise ConnectorError("the service is busy")


def _nodes(client: ServiceClient, typed: str) -> Words:
    found = client.items("/v1/nodes", Node, [("name", f"{typed}*")], most=MOST)
    return ((node.name, f"{node.role}, level {node.level}") for node in found)


def _scopes(client: ServiceClient, typed: str) -> Words:
    yield "all", "every node"
    if typed.startswith("node:"):
        for name, what in _nodes(client, typed.removeprefix("node:")):
            yield f"node:{name}", what
    else:
        yield "node:", "one node"
        yield "role:", "every node of a role"


def _checks(client: ServiceClient, _: str) -> Words:
    groups = client.get("/v1/findings", FindingGroups).items
    return ((group.check, f"{group.tier} at {group.nodes}") for group in groups)


def _policies(client: ServiceClient, _: str) -> Words:
    found = client.items("/v1/policies", Policy, most=MOST)
    return ((str(one.id), f"{one.name} version {one.version}" + (", in force" if one.active else "")) for one in found)


def _references(client: ServiceClient, _: str) -> Words:
    found = client.items("/v1/references", Reference, most=MOST)
    return ((str(one.id), f"{one.name} version {one.version}, {one.state}") for one in found)


nodes, scopes, checks = _completing(_nodes), _completing(_scopes), _completing(_checks)
policies, references = _completing(_policies), _completing(_references)
