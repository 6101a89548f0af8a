"""What a scenario is played on: the fleet, a clock, what was said so far, and the attestations that were accepted."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from bartizan.errors import ConnectorError
from testbed.fleet import Fleet, Machine
from testbed.verifier import EXPIRED, PERIOD, Verdict

ATTEST_SECONDS = 120.0
"""Patience with a guest's next attestation: it takes a few seconds under emulation, more on a busy host."""
POLL = 0.3


@dataclass(slots=True, kw_only=True)
class Stage:
    """One scenario while it is played.

    say: gets each line; events: seconds and what happened; attested: how many
    attestations do not count any more, for they were accepted before what happened last.
    """

    fleet: Fleet
    say: Callable[[str], None]
    begun: float = field(default_factory=time.monotonic)
    events: list[tuple[float, str]] = field(default_factory=list)
    attested: int = 0

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self.begun

    def tell(self, text: str) -> None:
        """Something happened."""
        self.events.append((self.seconds, text))
        self.say(f"  {self.seconds:6.1f} s  {text}")

    def mark(self, machine: Machine) -> None:
        """What was accepted until now may have been collected before what just happened."""
        self.attested = self.fleet.verifier.attested(machine.node)

    def next(self, machine: Machine) -> Verdict:
        """The next verdict that counts.

        Raises:
            ConnectorError: none comes in time.
        """
        verdict = self.fleet.verifier.wait_attested(machine.node, self.attested, ATTEST_SECONDS)
        self.attested = verdict.attested
        bad = ", contraindicated" if verdict.contraindicated else ""
        self.tell(f"attestation {verdict.attested} accepted: level {verdict.level}{bad}")
        return verdict

    def bring_up(self, machine: Machine) -> None:
        """Switch a machine on and wait for its services.

        Raises:
            ConnectorError: they do not come; the end of the console is part of the message.
        """
        machine.switch_on()
        self.tell("switched on")
        machine.running.wait_until_up()
        self.tell("up")

    def until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait for something at the Verifier.

        Raises:
            ConnectorError: it does not come.
        """
        deadline = time.monotonic() + ATTEST_SECONDS + EXPIRED + PERIOD
        while not holds():
            if time.monotonic() > deadline:
                raise ConnectorError(f"in vain waited for: {what}")
            time.sleep(POLL)
