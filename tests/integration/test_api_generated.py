"""Requests made from the OpenAPI document, sensible and not, by every role: none may make the service fail.

`make api-fuzz` sends 10,000 of them; here it is as many as a minute has room for.
"""

import asyncio
import itertools
import os
import threading
from collections import Counter
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from bartizan.formats.reference_file import encode_reference
from bartizan.model.node import Role
from bartizan.model.reference import ReferenceSet
from bartizan.web.api.rights import RIGHTS
from tests.unit.api_side import Api, api

SET = ReferenceSet(name="good", source="generated", events=(), files=(), digest="")
Given = TypeVar("Given")
ASKED = int(os.environ.get("BARTIZAN_API_REQUESTS", "0"))
TOTAL = ASKED or 600
MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
EACH = -(-TOTAL * 6 // 5 // (len(RIGHTS) * len(MODES)))
"""Examples of each; a fifth more, for some operations have no room for so many different ones."""
ROOMY = ("list_nodes", "create_join_token", "acknowledge_finding", "open_maintenance", "create_api_token")
"""Operations with room for any number of different requests."""
TOP_UPS = 40
"""Times that they are asked for what is missing."""
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
NODES = ("compute-01", "compute-02", "unheard-of")
THERE: dict[str, dict[str, list[object]]] = {
    "retire_node": {"node": [f"spare-{number}" for number in range(8)]},
    "revoke_api_token": {"number": list(range(20, 40))},
    "change_account": {"name": ["nobody", "spare"]},
}
"""What there is of what a path names, where the operation would end what the others need."""
REUSED: dict[str, list[object]] = {"node": list(NODES), "number": [1, 2, 3], "other": [1, 2], "name": ["nobody"]}


RAW: dict[str, list[bytes]] = {
    "upload_policy": [b'name = "strict"\nunknown_file = "contraindicated"\n', b"a = " + b"[" * 3000, b"\xff", b""],
    "register_endorsement_keys": [b"compute-09,compute,000b" + b"ab" * 32, b'"', b"\0,,", b"a,b\n,,,\n\n"],
    "try_policy": [b'name = "strict"\nunknown_file = "contraindicated"\n', b"a = " + b"[" * 3000, b"\xff", b""],
    "propose_reference": [encode_reference(replace(SET, name=name)) for name in ("good", "other", "no good name")],
}
"""Bodies that are no JSON, or that nobody would make by chance."""


@schemathesis.serializer("application/toml", "text/csv")
def text(_: object, value: object) -> bytes:
    """A body that is text."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")


@dataclass
class Running:
    """A service in a loop of its own, so that Hypothesis can ask it as if it were far away."""

    side: Api
    loop: asyncio.AbstractEventLoop
    statuses: Counter[int] = field(default_factory=Counter)

    def do(self, work: Coroutine[Any, Any, Given]) -> Given:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout=60)

    def send(self, case: schemathesis.Case, asker: str | None, raw: bytes | None) -> httpx.Response:
        """Send a case as it was made, with the asker's token, or with another body."""
        said = case.as_transport_kwargs(base_url="http://bartizan.test")
        said.pop("cookies", None)
        made = requests.Request(**{key: said[key] for key in said if key in PREPARED}).prepare()
        headers = [
            (key, value) for key, value in made.headers.items() if key.lower() not in {"authorization", "cookie"}
        ]
        if asker is not None:
            headers.append(("Authorization", f"Bearer {self.side.tokens[asker]}"))
        content = raw if raw is not None else made.body.encode() if isinstance(made.body, str) else made.body
        answer = self.do(self.side.client.request(str(made.method), str(made.url), headers=headers, content=content))
        self.statuses[answer.status_code] += 1
        return answer


PREPARED = {"method", "url", "headers", "params", "data", "json"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service with some nodes, an account of each role, and a few things that paths can name."""
    ready: Future[Running] = Future()
    stop = threading.Event()

    async def live() -> None:
        async with api(tmp_path_factory.mktemp("service")) as side:
            for name in NODES:
                await side.enrolled(name, attested=name != "unheard-of")
            for number in range(8):
                await side.enrolled(f"spare-{number}", attested=False)
            await side.account("stranger", Role.OPERATOR, project="another")
            ready.set_result(Running(side, asyncio.get_running_loop()))
            await asyncio.to_thread(stop.wait)

    thread = threading.Thread(target=lambda: asyncio.run(live()))
    thread.start()
    found = ready.result(timeout=120)
    yield found
    stop.set()
    thread.join()
    print(f"\n{sum(found.statuses.values())} requests: {dict(sorted(found.statuses.items()))}")  # noqa: T201


@pytest.fixture(scope="module")
def operations(running: Running) -> dict[str, Any]:
    """The document's operations by their ids."""
    document = running.do(running.side.client.get("/v1/openapi.json")).json()
    schema = schemathesis.openapi.from_dict(document)
    found = [result.ok() for result in schema.get_all_operations()]
    return {operation.definition.raw["operationId"]: operation for operation in found}


def test_the_document_has_every_operation(operations: dict[str, Any]) -> None:
    assert set(operations) == set(RIGHTS) | {"show_keys"}


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
@pytest.mark.parametrize("name", sorted(RIGHTS))
def test_no_generated_request_makes_the_service_fail(
    running: Running, operations: dict[str, Any], name: str, mode: GenerationMode
) -> None:
    ask(running, operations[name], name, mode=mode, examples=EACH)


def test_as_many_requests_were_sent_as_were_asked_for(running: Running, operations: dict[str, Any]) -> None:
    """Some operations have no room for so many different requests; those that have make up for them."""
    for name, mode in itertools.islice(itertools.cycle(itertools.product(ROOMY, MODES)), TOP_UPS):
        missing = ASKED - sum(running.statuses.values())
        if missing <= 0:
            break
        ask(running, operations[name], name, mode=mode, examples=missing)

    assert sum(running.statuses.values()) >= ASKED
    assert not [status for status in running.statuses if status >= 500]


def ask(running: Running, operation: Any, name: str, *, mode: GenerationMode, examples: int) -> None:  # noqa: ANN401
    """Send so many requests of an operation, or as many different ones as it has room for."""
    if mode is GenerationMode.NEGATIVE and not (list(operation.iter_parameters()) or list(operation.body)):
        mode = GenerationMode.POSITIVE  # nothing about it can be wrong
    known = REUSED | THERE.get(name, {})

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=TOTAL <= 1000,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(data=st.data())
    def send(data: st.DataObject) -> None:
        case = data.draw(operation.as_strategy(generation_mode=mode))
        for parameter in case.path_parameters if data.draw(st.booleans()) else {}:
            case.path_parameters[parameter] = data.draw(st.sampled_from(known[parameter]))
        asker = data.draw(st.sampled_from([*RIGHTS[name].roles, *RIGHTS[name].roles, *Role, "stranger", None]))
        raw = data.draw(st.sampled_from([None, *RAW.get(name, [])]))
        answer = running.send(case, asker, raw)
        assert answer.status_code < 500, answer.text
        case.validate_response(answer, checks=CHECKS)

    send()
