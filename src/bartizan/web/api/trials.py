"""What other rules would do to the fleet, told while it is found out, as JSON lines. Nothing is written by it."""

import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Literal

import msgspec
from litestar import post
from litestar.params import JSONBody, RawBody
from litestar.response import Stream

from bartizan.app.service.references import Step
from bartizan.app.service.trying import Moved, Trial, try_policy, try_step
from bartizan.model.reference import ReferenceState
from bartizan.web.api.caller import Serving
from bartizan.web.api.operation import RAW_BODIES, Described
from bartizan.web.api.shapes import Body, Moment, Number

MEDIA_TYPE = "application/jsonl"
TELL_EVERY = 1.0
"""Seconds between two lines about how far it is."""


class StepTried(Body, frozen=True):
    """The state that a set would be in; valid_from, valid_until: of an approval."""

    to: Literal["approved", "retired", "revoked"]
    valid_from: Moment | None = None
    valid_until: Moment | None = None


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Judged nodes at each level, and how many are contraindicated."""

    levels: dict[str, int]
    contraindicated: int


class MovedShown(msgspec.Struct, frozen=True, kw_only=True):
    """A node that would stand elsewhere; check, why: the finding that does it."""

    node: str
    before: int
    after: int
    contraindicated_before: bool
    contraindicated_after: bool
    worse: bool
    check: str
    why: str


class TrialLine(msgspec.Struct, frozen=True, kw_only=True):
    """How far the trial is. ended: the last line, which alone names nodes: the worst first, a thousand at most.

    worse, better: how many would fall or rise; unjudged: nodes that nothing is kept of.
    """

    ended: bool
    total: int
    done: int
    unjudged: int
    worse: int
    better: int
    before: Standing
    after: Standing
    moved: list[MovedShown]


@post(
    "/policies/trial",
    operation_id="try_policy",
    operation_class=Described,
    summary="Try one",
    tags=["policies"],
    status_code=200,
    media_type=MEDIA_TYPE,
    request_max_body_size=RAW_BODIES["try_policy"][1],
)
async def try_a_policy(service: Serving, body: RawBody) -> Stream:
    """Judge what is kept of every node by this policy, and say who would stand elsewhere. Nothing is written."""
    return await _told(await try_policy(service, body))


@post(
    "/references/{number:int}/trial",
    operation_id="try_reference",
    operation_class=Described,
    summary="Try one",
    tags=["references"],
    status_code=200,
    media_type=MEDIA_TYPE,
)
async def try_a_reference(service: Serving, number: Number, data: JSONBody[StepTried]) -> Stream:
    """Judge what is kept of every node as if this set were approved, retired or revoked. Nothing is written."""
    to = ReferenceState(data.to)
    step = Step(to=to, reason="a trial", valid_from=data.valid_from, valid_until=data.valid_until)
    return await _told(await try_step(service, number, step))


async def _told(trial: AsyncGenerator[Trial, None]) -> Stream:
    """The lines; what keeps a trial from beginning is refused as everywhere."""
    first = await anext(trial)
    return Stream(_lines(trial, first), media_type=MEDIA_TYPE)


async def _lines(trial: AsyncGenerator[Trial, None], first: Trial) -> AsyncIterator[bytes]:
    async with aclosing(trial):
        yield _line(first, ended=False)
        told, last = time.monotonic(), first
        async for last in trial:
            if time.monotonic() - told > TELL_EVERY:
                yield _line(last, ended=False)
                told = time.monotonic()
        yield _line(last, ended=True)


def _line(trial: Trial, *, ended: bool) -> bytes:
    line = TrialLine(
        ended=ended,
        total=trial.total,
        done=trial.done,
        unjudged=trial.unjudged,
        worse=trial.worse,
        better=trial.better,
        before=_standing(trial.before, trial.contraindicated_before),
        after=_standing(trial.after, trial.contraindicated_after),
        moved=[_shown(one) for one in trial.moved] if ended else [],
    )
    return msgspec.json.encode(line) + b"\n"


def _standing(levels: dict[int, int], contraindicated: int) -> Standing:
    return Standing(levels={str(level): levels[level] for level in sorted(levels)}, contraindicated=contraindicated)


def _shown(one: Moved) -> MovedShown:
    return msgspec.convert(one, MovedShown, from_attributes=True)


ROUTES = (try_a_policy, try_a_reference)
