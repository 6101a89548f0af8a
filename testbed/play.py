"""One scenario played: machine, attack, the next accepted attestation, and whether it says what the data say."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from bartizan.errors import BartizanError
from testbed.fleet import Fleet, Machine
from testbed.scenario import Expected, Scenario, Step
from testbed.stage import Stage
from testbed.steps import STEPS, install
from testbed.verifier import Verdict

CONSOLE_LINES = 25
"""Of the console's end, in a report."""
SAID = 200
"""Characters of what an attack printed, in a timeline."""


@dataclass(slots=True, kw_only=True)
class Played:
    """What came of a scenario. events: seconds and what happened; wrong: what is not as expected."""

    scenario: Scenario
    wrong: list[str] = field(default_factory=list)
    events: list[tuple[float, str]] = field(default_factory=list)
    verdict: Verdict | None = None
    seconds: float = 0.0
    boots: int = 0
    console: str = ""

    @property
    def passed(self) -> bool:
        """Everything was as expected."""
        return not self.wrong

    @property
    def got(self) -> str:
        """The verdict in a few words."""
        if self.verdict is None:
            return "no verdict"
        bad = ", contraindicated" if self.verdict.contraindicated else ""
        return f"level {self.verdict.level}, {self.verdict.state}{bad}"


def play(fleet: Fleet, scenario: Scenario, say: Callable[[str], None]) -> Played:
    """One scenario from its beginning to its end; what fails outside is said in it. say: gets each line of progress."""
    stage = Stage(fleet=fleet, say=say)
    played = Played(scenario=scenario, events=stage.events)
    machine: Machine | None = None
    boots = 0
    try:
        machine = _machine(stage, scenario)
        boots = machine.boots
        _bring_up(stage, scenario, machine)
        for step in scenario.steps:
            _do(stage, machine, step, scenario)
        played.verdict = _end(stage, scenario.expect, machine)
        played.wrong += faults(scenario.expect, played.verdict)
    except BartizanError as error:
        played.wrong.append(str(error))
    if machine is not None:
        played.boots = machine.boots - boots
        played.console = "\n".join(machine.running.said.splitlines()[-CONSOLE_LINES:]) if machine.guest else ""
    played.seconds = stage.seconds
    return played


def _machine(stage: Stage, scenario: Scenario) -> Machine:
    """The machine, made or still running.

    Raises:
        ConnectorError: it cannot be made, or ended with the scenario before.
    """
    fleet = stage.fleet
    if scenario.on:
        found = fleet.machine(scenario.on)
        stage.mark(found)
        return found
    if scenario.clone_of:
        return fleet.clone(scenario.name, fleet.machine(scenario.clone_of))
    return fleet.make(scenario.name, scenario.start)


def _bring_up(stage: Stage, scenario: Scenario, machine: Machine) -> None:
    if machine.guest is None:
        stage.bring_up(machine)
    if scenario.enrols and not scenario.on:
        machine.enrol(stage.fleet.verifier)
        stage.tell("enrolled")
        stage.next(machine)


def _do(stage: Stage, machine: Machine, step: Step, scenario: Scenario) -> None:
    if step.guest:
        _attack(stage, machine, step.guest)
    elif step.host in STEPS:
        STEPS[step.host](stage, machine)
    else:
        install(stage, machine, step.start, scenario.expect.console)


def _attack(stage: Stage, machine: Machine, script: str) -> None:
    """Run a script in the guest, right behind an attestation."""
    stage.next(machine)
    ran = machine.running.console.run(script)
    stage.tell(f"attack ended with {ran.code}: {ran.said[:SAID]}")
    stage.mark(machine)


def _end(stage: Stage, expect: Expected, machine: Machine) -> Verdict:
    """The verdict that is to be held against what is expected."""
    verifier = stage.fleet.verifier
    if expect.refusal:
        stage.until(
            lambda: expect.refusal in (verifier.verdict(machine.node).refusal or ""), f"refusal {expect.refusal}"
        )
        stage.tell(f"refused: {verifier.verdict(machine.node).refusal}")
    if expect.state != "fresh":
        stage.until(lambda: verifier.verdict(machine.node).state == expect.state, f"state {expect.state}")
        stage.tell(f"the node is {expect.state}")
    if expect.silent or expect.refusal:
        return verifier.verdict(machine.node)
    return stage.next(machine)


def faults(expect: Expected, verdict: Verdict) -> Iterator[str]:
    """What of a verdict is not as expected."""
    compared = (
        ("level", expect.level, verdict.level),
        ("state", expect.state, verdict.state),
        ("contraindicated", expect.contraindicated, verdict.contraindicated),
    )
    other = [f"{what}: {wanted} expected, found {found}" for what, wanted, found in compared if wanted != found]
    yield from other
    missing = [one for one in expect.findings if not any(map(one.fits, verdict.findings))]
    yield from (f"no finding {one}" for one in missing)
    if other or missing:
        told = [one for one in verdict.findings if one["claim"] != "configuration" and one["tier"] != "affirming"]
        yield from (f"said: {one['id']} {one['tier']}: {one['why']}" for one in told)
