"""The agent's life as a state machine: every `step` does one thing and says how long to wait for the next.

    enrolling ──▶ activating ──▶ waiting ──▶ (quote, send) ──▶ waiting …
        │  ▲          │             ▲  │
        ▼  │          ▼             │  ▼
    in-review      refused        asking ◀── backing-off

It neither sleeps nor reads a clock of its own, and it talks to service, TPM and disk only through what it was given:
hundreds of agents can so live in one process. What the service answers decides the next state.
"""

from __future__ import annotations

import math
from enum import Enum
from typing import Callable, Dict, List, NamedTuple, Optional, Protocol

from bartizan.agent.answers import (
    ACCEPTED,
    BAD,
    CONFLICT,
    FORBIDDEN,
    OK,
    TOO_LARGE,
    TOO_MANY,
    UNAVAILABLE,
    UNKNOWN,
    UNPROCESSABLE,
    document,
    fault_of,
    in_words,
)
from bartizan.agent.clock import Clock, Moment, jumped
from bartizan.agent.collector import Collector
from bartizan.agent.errors import AgentError
from bartizan.agent.messages import (
    MAX_NOTE,
    MAX_NOTES,
    Asked,
    Challenge,
    Fault,
    Given,
    Opened,
    Result,
    activate_request,
    challenge_request,
    enrol_request,
    evidence_request,
    read_given,
    read_node,
    read_opened,
    read_result,
    read_review,
)
from bartizan.agent.state import Node, Progress
from bartizan.agent.text import plain
from bartizan.agent.transport import Reply, Service

FIRST_BACKOFF, LONGEST_BACKOFF = 1.0, 60.0
"""Seconds: the bound of the first random wait, doubled each time up to the longest; protocol, errors."""
SPREAD = 0.1
"""Part of `due_in` that is added or taken off at most."""
LONGEST_PATIENCE = 86_400
"""Seconds of `Retry-After` that are believed."""
LEAST_PERIOD = 1.0
"""Seconds between two attestations, whatever the service says."""


class State(str, Enum):
    """What the agent does at its next step, or waits for."""

    ENROLLING = "enrolling"
    ACTIVATING = "activating"
    IN_REVIEW = "in-review"
    REFUSED = "refused"
    ASKING = "asking"
    WAITING = "waiting"
    ATTESTING = "attesting"
    BACKING_OFF = "backing-off"


class Keeper(Protocol):
    """Where the agent's state is kept; `Store` is one, and may raise `Unusable`."""

    def save_node(self, node: Node) -> None:
        """Keep which node this is."""

    def save_progress(self, progress: Progress) -> None:
        """Keep how far the agent came."""


class Parts(NamedTuple):
    """All that an agent is made of; `warn` gets what a person should see now."""

    service: Service
    collector: Collector
    keeper: Keeper
    clock: Clock
    warn: Callable[[str], None]


class Agent:
    """One node's agent. `state`, `progress` and `node` are for reading; `rejected`: the last evidence did not hold."""

    def __init__(self, node: Node, parts: Parts) -> None:
        self.node = node
        self.state = State.ENROLLING if node.node is None else State.ASKING
        self.progress = Progress(state=self.state.value, since=parts.clock.wall())
        self.rejected = False
        self._parts = parts
        self._then = self.state
        self._due = parts.clock.steady()
        self._failures = 0
        self._at_once = 0
        self._opened: Optional[Opened] = None
        self._challenge: Optional[Challenge] = None
        self._expires = 0.0
        self._full = False
        self._notes: List[str] = []
        self._before: Optional[Moment] = None
        self._node_kept = True
        self._complained = False

    @property
    def is_kept(self) -> bool:
        """An enrolment that was won has been written down."""
        return self._node_kept

    @property
    def is_over(self) -> bool:
        """Nothing will be done any more: the service refused to enrol this node."""
        return self.state is State.REFUSED

    def step(self) -> float:
        """Do what is due, if anything is; seconds until the next step, infinite when all is over."""
        if self.is_over:
            return math.inf
        self._watch_the_clock()
        early = self._due - self._parts.clock.steady()
        if early > 0:
            return early
        act = self._then if self.state is State.BACKING_OFF else self.state
        try:
            self._actions()[act]()
        except AgentError as error:
            self._fail(act, error)
        self._keep()
        return math.inf if self.is_over else max(0.0, self._due - self._parts.clock.steady())

    def _actions(self) -> Dict[State, Callable[[], None]]:
        return {
            State.ENROLLING: self._enrol,
            State.IN_REVIEW: self._enrol,
            State.ACTIVATING: self._activate,
            State.ASKING: self._ask,
            State.WAITING: self._attest,
            State.ATTESTING: self._attest,
        }

    def hurry(self) -> None:
        """Let what is due later be due now, for a person who waits for it."""
        self._due = self._parts.clock.steady()

    def close(self) -> None:
        """Let go of the connection; the next step makes another one."""
        self._parts.service.close()

    # One thing each.

    def _enrol(self) -> None:
        """Ask to be enrolled."""
        self._become(State.ENROLLING)
        node = self.node
        identity = self._parts.collector.identity()
        reply = self._parts.service.post("/v1/agent/enrol", enrol_request(node.name, node.role, node.token, identity))
        if reply.status == OK:
            found = document(reply, "enrol")
            opened = read_opened(found)
            found.finish()
            self._opened = opened
            self._expires = self._parts.clock.steady() + opened.expires_in
            self._go(State.ACTIVATING)
        else:
            self._not_yet(reply)

    def _activate(self) -> None:
        """Show that the TPM opens the secret. Asked again after a lost answer: it is no quote, and opens but once."""
        self._become(State.ACTIVATING)
        opened = self._opened
        if opened is None or self._parts.clock.steady() > self._expires:
            self._go(State.ENROLLING)
            return
        secret = self._parts.collector.activate(opened.id_object, opened.encrypted_secret)
        reply = self._parts.service.post("/v1/agent/activate", activate_request(opened.enrolment, secret))
        if reply.status != OK:
            self._not_yet(reply)
            return
        found = document(reply, "activate")
        name, given = read_node(found), read_given(found)
        found.finish()
        self.node = self.node._replace(node=name, token=None)
        self._opened = None
        self._node_kept = False
        self._succeed()
        self._wait(given)

    def _not_yet(self, reply: Reply) -> None:
        """An enrolment that was not simply granted."""
        if reply.status == ACCEPTED:
            found = document(reply, "review")
            review = read_review(found)
            found.finish()
            self._failures = 0
            why = plain(f"{review.review}: {review.why}")
            self.progress = self.progress._replace(review=why)
            self._go(State.IN_REVIEW, max(LEAST_PERIOD, self._spread(review.retry_in)))
            return
        fault = fault_of(reply)
        if (reply.status, fault.kind) == (FORBIDDEN, "enrolment"):
            self._report(in_words(reply, fault))
            self._go(State.REFUSED)
            return
        restart = reply.status in (UNKNOWN, CONFLICT, UNPROCESSABLE, BAD)  # what was opened does not hold any more
        again = State.ENROLLING if restart or self.state is not State.ACTIVATING else State.ACTIVATING
        self._patience(reply, fault, again)

    def _ask(self) -> None:
        """Ask for a challenge."""
        self._become(State.ASKING)
        reply = self._parts.service.post("/v1/agent/challenge", challenge_request(self._node_id()))
        if reply.status != OK:
            self._refused(reply)
            return
        found = document(reply, "challenge")
        given = read_given(found)
        found.finish()
        self._wait(given)

    def _attest(self) -> None:
        """Answer the challenge: collect, quote, send. Whatever comes of it, the challenge is used up."""
        challenge, self._challenge = self._challenge, None
        if challenge is None or self._parts.clock.steady() >= self._expires:
            self._go(State.ASKING, self._backoff())  # challenges that are old when they come must not be a storm
            return
        self._become(State.ATTESTING)
        asked = Asked(self._node_id(), challenge.nonce, challenge.banks, challenge.held, self._full)
        evidence = self._parts.collector.evidence(asked)
        for note in evidence.notes:
            self._note(note)
        request = evidence_request(asked.node, asked.nonce, evidence._replace(notes=tuple(self._notes)))
        reply = self._parts.service.post("/v1/agent/evidence", request)
        if reply.status != OK:
            self._refused(reply)
            return
        found = document(reply, "evidence")
        result, given = read_result(found), read_given(found)
        found.finish()
        self._full = False
        self._notes.clear()
        self._succeed(result)
        self._wait(given, least=LEAST_PERIOD)

    # What the service says when it is not content.

    def _refused(self, reply: Reply) -> None:
        """An answer other than 200 to an enrolled node; protocol, errors."""
        fault = fault_of(reply)
        if fault.given is not None:
            self._take(fault.given)
        after = State.WAITING if fault.given is not None else State.ASKING
        if reply.status == CONFLICT and fault.kind in ("nonce", "logs") and self._at_once == 0:
            self._full = self._full or fault.kind == "logs"
            self._at_once += 1
            self._go(State.ATTESTING if fault.given is not None else State.ASKING)
            return
        if reply.status == CONFLICT and fault.kind == "logs":
            self._full = True
        self.rejected = reply.status == UNPROCESSABLE
        if reply.status in (UNPROCESSABLE, TOO_LARGE) and fault.given is not None:
            self._report(in_words(reply, fault))
            self._failures = self._at_once = 0
            self._full = False
            self._wait(fault.given, least=LEAST_PERIOD)
            return
        self._patience(reply, fault, after)

    def _patience(self, reply: Reply, fault: Fault, then: State) -> None:
        """Wait as long as the service asks for, or back off."""
        self._report(in_words(reply, fault))
        if reply.status in (TOO_MANY, UNAVAILABLE) and reply.retry_after:
            wait = min(reply.retry_after, LONGEST_PATIENCE) * (1 + self._parts.clock.chance())
            self._failures = 0
        else:
            wait = self._backoff()
        self._then = then
        self._go(State.BACKING_OFF, wait)

    def _fail(self, act: State, error: AgentError) -> None:
        """No answer, or one that is none; the TPM or the state folder failed."""
        self._report(str(error))
        then = State.ASKING if act in (State.ASKING, State.WAITING, State.ATTESTING) else act
        if self.node.node is not None:
            then = State.ASKING
        elif act is State.IN_REVIEW:
            then = State.ENROLLING
        self._then = then
        self._go(State.BACKING_OFF, self._backoff())

    def _backoff(self) -> float:
        """Full jitter: anything from nothing to a bound that doubles."""
        bound = min(LONGEST_BACKOFF, FIRST_BACKOFF * (1 << min(self._failures, 16)))
        self._failures += 1
        return bound * self._parts.clock.chance()

    # Bookkeeping.

    def _node_id(self) -> str:
        if self.node.node is None:
            raise AssertionError("only an enrolled node attests")
        return self.node.node

    def _take(self, given: Given) -> None:
        self._challenge = given.challenge
        self._expires = self._parts.clock.steady() + given.challenge.expires_in

    def _wait(self, given: Given, *, least: float = 0.0) -> None:
        """Keep a challenge until it is due."""
        self._take(given)
        self._go(State.WAITING, max(least, self._spread(given.due_in)))

    def _spread(self, seconds: float) -> float:
        return seconds * (1 + SPREAD * (2 * self._parts.clock.chance() - 1))

    def _become(self, state: State) -> None:
        if state is not self.state:
            self.state = state
            self.progress = self.progress._replace(since=self._parts.clock.wall())

    def _go(self, state: State, wait: float = 0.0) -> None:
        self._become(state)
        self._due = self._parts.clock.steady() + wait

    def _succeed(self, result: Optional[Result] = None) -> None:
        self._failures = self._at_once = 0
        self.progress = self.progress._replace(last_success=self._parts.clock.wall(), review="")
        if result is not None:
            self.rejected = False
            self.progress = self.progress._replace(
                level=result.level,
                trust=plain(result.state),
                contraindicated=result.contraindicated,
                keeps_down=tuple(plain(why) for why in result.keeps_down),
            )

    def _report(self, what: str) -> None:
        if what != self.progress.last_error or self.progress.last_error_at is None:
            self._parts.warn(what)
        self.progress = self.progress._replace(last_error=what, last_error_at=self._parts.clock.wall())

    def _note(self, note: str) -> None:
        """Keep a note until evidence with it has arrived."""
        note = plain(note, MAX_NOTE - 1)
        if note not in self._notes and len(self._notes) < MAX_NOTES:
            self._notes.append(note)

    def _watch_the_clock(self) -> None:
        now = Moment(self._parts.clock.steady(), self._parts.clock.wall())
        by = jumped(self._before, now)
        self._before = now
        if by is not None:
            self._note(f"the wall clock was set by {by:+.0f} s")

    def _keep(self) -> None:
        """Write down how far it came; a full disk is noted once and otherwise passed over."""
        clock = self._parts.clock
        due = None if self.is_over else clock.wall() + max(0.0, self._due - clock.steady())
        then = self._then.value if self.state is State.BACKING_OFF else ""
        self.progress = self.progress._replace(state=self.state.value, then=then, next_due=due)
        try:
            if not self._node_kept:
                self._parts.keeper.save_node(self.node)
                self._node_kept = True
            self._parts.keeper.save_progress(self.progress)
        except AgentError as error:
            if not self._complained:
                self._parts.warn(f"{error}; attestation goes on")
                self._note("the agent's state cannot be written")
            self._complained = True
        else:
            self._complained = False
