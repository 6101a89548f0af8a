"""What the service does by itself: it sees who is silent, and notes that it is alive.

Silence is not guilt: nodes are marked late and expired, never more. When a large part of the fleet goes late at once,
or the service itself was away, that is one alarm about the service and none about nodes. Of several Verifiers one
looks, under a lease; another takes over where it stopped.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import structlog
from sqlalchemy import Connection

from bartizan.app.service.clock import Clock, Now
from bartizan.app.service.leases import WATCH, Leases
from bartizan.app.service.memory import Memory
from bartizan.app.service.settings import Attestation
from bartizan.model.node import Silence
from bartizan.store.alarms import alarms, clear_alarms, excuse, excused_until, last_beat, raise_alarm, set_beat
from bartizan.store.generations import Held, bump, generation_of
from bartizan.store.watching import behind, counts, due_before, hasten, mark
from bartizan.store.writer import Writer

SECOND = 1000
MINUTE = 60
LOOK_EVERY = 1
"""Seconds between two looks."""
SLOW = 5.0
"""Seconds that a look waits for its transaction, or is at it, from which on the log says so."""
BEAT_EVERY = 5 * SECOND
"""Milliseconds between two notes that the service is alive."""
STEERED = 1 * SECOND
"""Milliseconds by which the clock of who looked before may have been ahead: that is no clock that was set back."""
AT_ONCE = 10_000
"""Nodes marked in one look."""
MASS_SHARE, MASS_LEAST = 0.2, 5
"""So large a part of the fleet, and so many nodes, overdue at once are the service's or the network's fault."""
OVERDUE_SHARE = 0.25
"""Of the time after which a node is late: overdue for so long it may be one of many that are silent."""
MASS = "mass-late"
HAPPENED = ("away", "damaged")
"""Alarms about something that happened, not about what still is: they end with the next start, or by themselves."""
SHOWN = 3600 * SECOND
"""Milliseconds that they stand."""
log = structlog.get_logger("bartizan.watch")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What a look found. fence: of the lease that it was made under; silent: who is how far behind from now on.

    away: milliseconds for which the service was, None if it was not, and how many nodes could not attest meanwhile;
    set_back: the key of challenges counts no more, by this count, since the clock was set back.
    """

    fence: int
    silent: Mapping[Silence, list[str]]
    away: tuple[int, int] | None = None
    set_back: int | None = None


@dataclass(slots=True, kw_only=True)
class Watch:
    """One look a second, by one of several Verifiers.

    set_back: what to do when the clock was; together_until: milliseconds until which who is silent belongs to many.
    """

    writer: Writer
    memory: Memory
    settings: Attestation
    clock: Clock
    leases: Leases
    set_back: Callable[[int], None]
    looked_at: int = 0
    fence: int | None = None
    together_until: int = 0

    async def run(self) -> None:
        """Look for ever, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            try:
                await self.look()
            except Exception:  # the outermost loop: a full disk must not leave everybody unwatched for good
                log.exception("the watch could not look")

    async def begin(self) -> None:
        """At the start: what happened before has been seen, and nobody is late before everybody could come."""
        await self._look(started=True)

    async def look(self) -> None:
        """Mark who is late or expired now, and say it: one by one, or as one alarm."""
        await self._look()

    async def _look(self, *, started: bool = False) -> None:
        now, begun = self.clock(), time.monotonic()
        seen = await self.writer.submit(lambda connection: self._turn(connection, now, started=started))
        waited = time.monotonic() - begun
        if waited > SLOW:
            log.warning("the writer is slow", seconds=round(waited, 1), waiting=self.writer.backlog)
        self.fence = None if seen is None else seen.fence
        if seen is None:
            return
        self.looked_at = now.milliseconds
        if seen.away is not None:
            log.warning("the service was away", seconds=seen.away[0] // SECOND, missed=seen.away[1])
        if seen.set_back is not None:
            self._went_back(seen.set_back, now)
        late = now.milliseconds - self.settings.late * SECOND
        for silence, uids in seen.silent.items():
            for uid in uids:
                node = self.memory.find(uid)
                if node is not None and node.progress.due < late:
                    node.progress = replace(node.progress, silence=silence)

    def _went_back(self, generation: int, now: Now) -> None:
        until = now.milliseconds + self.settings.period * SECOND
        for node in self.memory.all():
            known = node.progress
            issued = min(known.nonce_issued, now.microseconds)
            version = known.version + (issued < known.nonce_issued)
            node.progress = replace(known, due=min(known.due, until), nonce_issued=issued, version=version)
        self.set_back(generation)

    def _turn(self, connection: Connection, now: Now, *, started: bool) -> _Seen | None:
        """One look in one transaction, under the lease; None where another Verifier looks."""
        fence = self.leases.hold(connection, WATCH)
        if fence is None:
            return None
        if started:
            _started(connection, now.milliseconds)
        beaten_at = last_beat(connection)
        if beaten_at is None:
            set_beat(connection, now=now.milliseconds)
            beaten_at = now.milliseconds
        if not self.looked_at:  # it builds everybody's state again, and may have been away
            self._excuse(connection, now.milliseconds)
        same = fence == self.fence
        before = self.looked_at if same else min(beaten_at, max(now.milliseconds, beaten_at - STEERED))
        seen = self._since(connection, before, now)
        silent: dict[Silence, list[str]] = {}
        if not started and now.milliseconds >= excused_until(connection):
            silent = self._mark(connection, now)
        if started or abs(now.milliseconds - beaten_at) >= BEAT_EVERY:
            self._clear(connection, now.milliseconds)
            set_beat(connection, now=now.milliseconds)
        return replace(seen, fence=fence, silent=silent)

    def _since(self, connection: Connection, before: int, now: Now) -> _Seen:
        """What passed since then: the service was away or paused, or its clock was set back.

        Nobody is blamed for not speaking to a service that was not there, until everybody had the time to come back.
        What was proved before does not become any fresher by it.
        """
        at, passed = now.milliseconds, now.milliseconds - before
        if passed > self.settings.late * SECOND:
            self._excuse(connection, at)
            return _Seen(fence=0, silent={}, away=(passed, _was_away(connection, passed, at)))
        if passed < 0:
            excuse(connection, until=excused_until(connection) + passed)
            hasten(connection, until=at + self.settings.period * SECOND, issued=now.microseconds)
            bump(connection, Held.NONCES)
            return _Seen(fence=0, silent={}, set_back=generation_of(connection, Held.NONCES))
        return _Seen(fence=0, silent={})

    def _excuse(self, connection: Connection, at: int) -> None:
        """Nobody is marked until everybody had the time to come."""
        excuse(connection, until=at + (self.settings.period + self.settings.late) * SECOND)

    def _mark(self, connection: Connection, now: Now) -> dict[Silence, list[str]]:
        at = now.milliseconds
        late, expired = at - self.settings.late * SECOND, at - self.settings.expired * SECOND
        found: dict[Silence, list[str]] = {}
        for before, after, limit in (
            (Silence.LATE, Silence.EXPIRED, expired),
            (Silence.NONE, Silence.LATE, late),
        ):
            rows = behind(connection, silence=before, due_before=limit, limit=AT_ONCE)
            if rows:
                mark(connection, [number for number, _, _ in rows], silence=after, before=before)
            found[after] = [uid for _, uid, _ in rows]
            self._say(connection, after, [name for _, _, name in rows], at)
        return found

    def _say(self, connection: Connection, silence: Silence, names: list[str], at: int) -> None:
        mass = self._mass(connection, at) if names else None
        if mass is not None:
            raise_alarm(connection, MASS, mass, now=at)
            log.warning("many nodes late at once", why=mass)
            self.together_until = at + (self.settings.period + self.settings.late) * SECOND
        if at < self.together_until:  # the last of many is not to blame either
            return
        for name in names:
            log.warning("node silent", node=name, state=silence.name.lower())

    def _clear(self, connection: Connection, at: int) -> None:
        """The alarm about many ends when they are many no more; those about what happened, after their time."""
        for one in alarms(connection, standing=True):
            over = one.kind in HAPPENED and at - one.raised_at > SHOWN
            if over or (one.kind == MASS and self._mass(connection, at) is None):
                clear_alarms(connection, one.kind, now=at)

    def _mass(self, connection: Connection, at: int) -> str | None:
        """What to say if so many nodes are behind that it is nobody's own silence.

        Those count too that are overdue and not late yet: nodes come one after the other through a whole period, so
        that a site that fell silent at once goes late node by node.
        """
        fleet = counts(connection)
        overdue = due_before(connection, at - round(self.settings.late * OVERDUE_SHARE * SECOND))
        missing, every = fleet[Silence.LATE] + fleet[Silence.EXPIRED] + overdue, sum(fleet.values())
        if missing < MASS_LEAST or missing < MASS_SHARE * every:
            return None
        return f"{missing} of {every} nodes are overdue at once: look at the network and at this service first"


def _started(connection: Connection, at: int) -> None:
    for kind in HAPPENED:
        clear_alarms(connection, kind, now=at)


def _span(milliseconds: int) -> str:
    seconds = milliseconds // SECOND
    return f"{seconds} s" if seconds < 2 * MINUTE else f"{seconds // MINUTE} minutes"


def _was_away(connection: Connection, away: int, now: int) -> int:
    """Say it, once; returns how many nodes could not attest meanwhile."""
    missed = due_before(connection, now)
    nodes = "1 node was" if missed == 1 else f"{missed} nodes were"
    why = (
        f"the service did not run, or stood still, for {_span(away)} until now; {nodes} due meanwhile, through no fault"
        " of their own: none is marked late before all had the time to come back"
    )
    raise_alarm(connection, "away", why, now=now)
    set_beat(connection, now=now)
    return missed
