"""The scenarios: what is done to the fleet or the service, and what must hold."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType

from bench.fleet.attester import Node
from bench.fleet.stage import Held, Outcome, Stage

RATE = 0.97
"""Of the rate that the period asks for: chance moves a short run by as much."""
PROMPT = 1000.0
"""Milliseconds that 99 in 100 may come behind their due time, or wait for an answer."""
START = 1200.0
"""Seconds at most for everybody to be back."""
WAVE_LEVEL = {4}
STORM_REFUSALS = frozenset({"503 busy", "409 logs", "409 nonce"})
SLOW_SHARE = 0.9
"""Of its time that a slow Verifier stands still."""
SLOW_STEP = 1.0


def _p99(figures: Mapping[str, object], name: str) -> float:
    found = figures[name]
    assert isinstance(found, dict)
    return float(found.get("p99", 0.0))


def _refused(stage: Stage, *, but: frozenset[str] = frozenset()) -> Held:
    others = {kind: count for kind, count in stage.engine.tally.answers.items() if kind not in but}
    return Held("nothing is refused" + (f" but {', '.join(sorted(but))}" if but else ""), not others, others)


def _levels(stage: Stage) -> Held:
    found = {node.level for node in stage.nodes}
    return Held("every node is at level 4", found == WAVE_LEVEL, sorted(found))


async def _states(stage: Stage, *states: str) -> int:
    metrics = await stage.metrics()
    return sum(metrics.sum("nodes", state=state) for state in states)


async def warm_up(stage: Stage) -> Outcome:
    """Everybody comes once after the start of the service, which goes on from each node's sealed state."""
    stage.engine.add(stage.nodes, within=stage.terms.period)
    outcome = await _all_back(stage, "start")
    await _settle(stage)
    return outcome


async def _settle(stage: Stage) -> None:
    """Spread the fleet over a period again: who waited for the same thing comes in step otherwise."""
    stage.engine.add([node for node in stage.nodes if not node.busy], within=stage.terms.period)
    await stage.measure(stage.terms.period)


async def _all_back(stage: Stage, name: str) -> Outcome:
    stage.engine.wanted = set(stage.nodes)
    blamed = stage.verifier.blamed()
    figures = await stage.measure(START, done=lambda: not stage.engine.wanted)
    metrics = await stage.metrics()
    figures["nodes_in_memory"], figures["with_evidence"] = metrics.sum("memory_nodes"), metrics.sum("memory_states")
    checks = [
        Held("everybody is accepted again", not stage.engine.wanted, len(stage.engine.wanted)),
        Held("nobody is expired", (expired := await _states(stage, "expired")) == 0, expired),
        Held("no node is blamed", (said := stage.verifier.blamed() - blamed) == 0, said),
        _refused(stage, but=STORM_REFUSALS),
        _levels(stage),
    ]
    return Outcome(name=name, figures=figures, checks=checks)


async def steady(stage: Stage) -> Outcome:
    """Everybody attests once a period, and nothing is new."""
    figures = await stage.measure(stage.terms.seconds)
    asked = len(stage.nodes) / stage.terms.period
    figures["asked_rate"] = round(asked, 1)
    found = stage.engine.tally.accepted / float(str(figures["seconds"]))
    lag, late = _p99(figures, "lag_ms"), await _states(stage, "late", "expired")
    checks = [
        Held(f"the rate that is asked for, {asked:,.0f}/s, is held", found >= RATE * asked, round(found, 1)),
        Held(f"99 in 100 are sent within {PROMPT:,.0f} ms of their due time", lag < PROMPT, lag),
        Held("nobody is late", late == 0, late),
        _refused(stage),
        _levels(stage),
    ]
    return Outcome(name="steady", figures=figures, checks=checks)


async def ceiling(stage: Stage) -> Outcome:
    """As fast as the service answers: everybody is due again at once."""
    engine = stage.engine
    engine.hurry = True
    engine.add([node for node in stage.nodes if not node.busy], within=1.0)
    figures = await stage.measure(min(stage.terms.seconds, 60.0))
    engine.hurry = False
    refused = _refused(stage)
    await _settle(stage)
    return Outcome(name="ceiling", figures=figures, checks=[refused, _levels(stage)])


async def wave(stage: Stage) -> Outcome:
    """An update that was foreseen reaches everybody within one period: new files run, all known by then."""
    shape = stage.shapes.at(resets=0, count=stage.shapes.updated)
    for node in stage.nodes:
        node.shape = stage.shapes.at(resets=node.shape.resets - stage.shapes.boot.resets, count=shape.entries)
    stage.engine.wanted = set(stage.nodes)
    limit = 3.0 * stage.terms.period
    figures = await stage.measure(limit, done=lambda: not stage.engine.wanted)
    figures["new_entries_each"] = shape.entries - stage.shapes.measured
    late = await _states(stage, "late", "expired")
    checks = [
        Held("everybody's new entries are accepted", not stage.engine.wanted, len(stage.engine.wanted)),
        Held("nobody is late", late == 0, late),
        _refused(stage),
        _levels(stage),
    ]
    return Outcome(name="wave", figures=figures, checks=checks)


async def storm(stage: Stage) -> Outcome:
    """Many reboot at once and send everything; the rest goes on."""
    terms, engine = stage.terms, stage.engine
    free = [node for node in stage.nodes if not node.busy]
    some = engine.chance.sample(free, min(terms.storm, len(free)))
    for node in some:
        _reboot(stage, node)
    engine.add(some, within=1.0)
    engine.wanted = set(some)
    figures = await stage.measure(START, done=lambda: not engine.wanted)
    figures["rebooted"] = len(some)
    lag = _p99(figures, "lag_ms")
    expired = await _states(stage, "expired")
    checks = [
        Held("everybody who rebooted is accepted again", not engine.wanted, len(engine.wanted)),
        Held("nobody is expired meanwhile", expired == 0, expired),
        Held(f"99 in 100 are sent within {terms.late} s of their due time", lag < terms.late * 1e3, lag),
        _refused(stage, but=STORM_REFUSALS),
        _levels(stage),
    ]
    return Outcome(name="storm", figures=figures, checks=checks)


def _reboot(stage: Stage, node: Node) -> None:
    """One more reset; the agent that starts has no challenge."""
    resets = node.shape.resets - stage.shapes.boot.resets + 1
    node.shape = stage.shapes.at(resets=resets, count=node.shape.entries)
    node.nonce, node.failures = None, 0


async def restart(stage: Stage) -> Outcome:
    """The service is stopped and started again under the fleet."""
    begun = time.monotonic()
    await asyncio.to_thread(stage.verifier.stop)
    await asyncio.to_thread(stage.verifier.start)
    up = time.monotonic() - begun
    outcome = await _all_back(stage, "restart")
    await _settle(stage)
    outcome.figures["up_after_seconds"] = round(up, 1)
    return outcome


async def silent(stage: Stage) -> Outcome:
    """Half the fleet falls silent at once: one alarm of the service, no word about a node; then it comes back."""
    terms, engine = stage.terms, stage.engine
    half = stage.nodes[::2]
    blamed = stage.verifier.blamed()
    for node in half:
        node.away = True
    figures = await stage.measure(terms.period * 1.2 + terms.late + 15)
    metrics = await stage.metrics()
    alarms, late = metrics.sum("alarms", kind="mass-late"), metrics.sum("nodes", state="late")
    said = stage.verifier.blamed() - blamed
    figures["late"] = late
    for node in half:
        node.away, node.busy = False, False
    engine.add(half, within=terms.period / 4)
    engine.wanted = set(half)
    figures["return"] = await stage.measure(START, done=lambda: not engine.wanted)
    await asyncio.sleep(10)  # the service looks at its alarms every five seconds
    after = await stage.metrics()
    left = after.sum("alarms", kind="mass-late")
    checks = [
        Held("the half that is silent is late, and nobody else", late == len(half), late),
        Held("one alarm of the service", alarms == 1, alarms),
        Held("no node is blamed", said == 0, said),
        Held("everybody is accepted again", not engine.wanted, len(engine.wanted)),
        Held("the alarm ends by itself", left == 0, left),
        _refused(stage, but=STORM_REFUSALS),
    ]
    return Outcome(name="silent", figures=figures, checks=checks)


async def slow(stage: Stage) -> Outcome:
    """One of two Verifiers stands still most of the time: the other's nodes do not notice, its own are not lost."""
    task = asyncio.create_task(_slow_down(stage.verifiers[1].pid))
    figures = await stage.measure(stage.terms.seconds)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    quick, slowed = stage.engine.places
    figures |= {"quick": quick.document(float(str(figures["seconds"])))}
    figures |= {"slow": slowed.document(float(str(figures["seconds"])))}
    refused = _refused(stage)
    stage.engine.wanted = {node for node in stage.nodes if stage.engine.home(node) == 1}
    figures["recovery"] = (await stage.measure(START, done=lambda: not stage.engine.wanted))["seconds"]
    waited = _p99(quick.document(1.0), "latency_ms")
    checks = [
        Held(f"99 in 100 of the other's answers come within {PROMPT:,.0f} ms", 0 < waited < PROMPT, waited),
        Held("the slow one's nodes are all accepted again", not stage.engine.wanted, len(stage.engine.wanted)),
        refused,
        _levels(stage),
    ]
    return Outcome(name="slow", figures=figures, checks=checks)


async def _slow_down(pid: int) -> None:
    """Stop and continue a process, until cancelled."""
    try:
        while True:
            os.kill(pid, signal.SIGSTOP)
            await asyncio.sleep(SLOW_STEP * SLOW_SHARE)
            os.kill(pid, signal.SIGCONT)
            await asyncio.sleep(SLOW_STEP * (1 - SLOW_SHARE))
    finally:
        os.kill(pid, signal.SIGCONT)


Scenario = Callable[[Stage], Awaitable[Outcome]]
SCENARIOS: Mapping[str, Scenario] = MappingProxyType(
    {"steady": steady, "ceiling": ceiling, "wave": wave, "storm": storm, "restart": restart, "silent": silent}
)
"""In the order in which they are played; each leaves a fleet that attests once a period."""
ALONE: Mapping[str, Scenario] = MappingProxyType({"slow": slow})
"""Those that need a stage of their own, with two services."""
