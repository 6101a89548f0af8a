"""What the service does by itself: it sees who is silent, and notes that it is alive.

Silence is not guilt: nodes are marked late and expired, never more. When a large part of the fleet goes late at once,
or the service itself was away, that is one alarm about the service and none about nodes.
"""

import asyncio
from dataclasses import dataclass, replace

import structlog
from sqlalchemy import Connection

from bartizan.app.service.clock import Clock, Now
from bartizan.app.service.memory import Memory
from bartizan.app.service.settings import Attestation
from bartizan.model.node import Silence
from bartizan.store.alarms import clear_alarms, last_beat, raise_alarm, set_beat
from bartizan.store.watching import behind, counts, hasten, mark, postpone
from bartizan.store.writer import Writer

SECOND = 1000
LOOK_EVERY = 1
"""Seconds between two looks."""
BEAT_EVERY = 5 * SECOND
"""Milliseconds between two notes that the service is alive."""
AWAY = 30 * SECOND
"""Milliseconds without such a note after which the service was away."""
AT_ONCE = 10_000
"""Nodes marked in one look."""
MASS_SHARE, MASS_LEAST = 0.2, 5
"""So large a part of the fleet, and so many nodes, late at once are the service's or the network's fault."""
log = structlog.get_logger("bartizan.watch")


@dataclass(slots=True, kw_only=True)
class Watch:
    """One look a second. late: nodes found late since the start."""

    writer: Writer
    memory: Memory
    settings: Attestation
    clock: Clock
    beaten_at: int = 0

    async def run(self) -> None:
        """Look for ever, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            try:
                await self.look()
            except Exception:  # the outermost loop: a full disk must not leave everybody unwatched for good
                log.exception("the watch could not look")

    async def begin(self) -> int:
        """At the start: if the service was away, nobody is late for it. Returns for how many milliseconds it was."""
        now = self.clock()
        return await self.writer.submit(lambda connection: self._begin(connection, now))

    def _begin(self, connection: Connection, now: Now) -> int:
        at, beat = now.milliseconds, last_beat(connection)
        set_beat(connection, now=at)
        away = 0 if beat is None else max(0, at - beat)
        clear_alarms(connection, "away", now=at)
        if beat is not None and at < beat:
            hasten(connection, until=at + self.settings.period * SECOND)
        if away > AWAY:
            postponed = postpone(connection, until=at + self.settings.period * SECOND)
            why = f"the service was away for {away // SECOND} s; {postponed} nodes were due meanwhile and are not late"
            raise_alarm(connection, "away", why, now=at)
        return away

    async def look(self) -> None:
        """Mark who is late or expired now, and say it: one by one, or as one alarm."""
        now = self.clock()
        if now.milliseconds < self.beaten_at:
            self._set_back(now)
        late = now.milliseconds - self.settings.late * SECOND
        expired = now.milliseconds - self.settings.expired * SECOND
        found = await self.writer.submit(lambda connection: self._look(connection, late, expired, now.milliseconds))
        for silence, uids in found.items():
            for uid in uids:
                node = self.memory.find(uid)
                if node is not None and node.progress.due < late:
                    node.progress = replace(node.progress, silence=silence)

    def _set_back(self, now: Now) -> None:
        """The clock was set back: due times in memory must not lie beyond reach either."""
        until = now.milliseconds + self.settings.period * SECOND
        for node in self.memory.all():
            if node.progress.due > until:
                node.progress = replace(node.progress, due=until)

    def _look(self, connection: Connection, late: int, expired: int, at: int) -> dict[Silence, list[str]]:
        found: dict[Silence, list[str]] = {}
        if at < self.beaten_at:
            hasten(connection, until=at + self.settings.period * SECOND)
        for before, after, limit in (
            (Silence.LATE, Silence.EXPIRED, expired),
            (Silence.NONE, Silence.LATE, late),
        ):
            rows = behind(connection, silence=before, due_before=limit, limit=AT_ONCE)
            if rows:
                mark(connection, [number for number, _, _ in rows], silence=after, before=before)
            found[after] = [uid for _, uid, _ in rows]
            self._say(connection, after, [name for _, _, name in rows], at)
        if abs(at - self.beaten_at) >= BEAT_EVERY:
            set_beat(connection, now=at)
            self.beaten_at = at
        return found

    def _say(self, connection: Connection, silence: Silence, names: list[str], at: int) -> None:
        fleet = counts(connection) if names or silence is Silence.LATE else {}
        behind_now, every = fleet.get(Silence.LATE, 0) + fleet.get(Silence.EXPIRED, 0), sum(fleet.values())
        if behind_now >= MASS_LEAST and behind_now >= MASS_SHARE * every:
            if names:
                why = f"{behind_now} of {every} nodes are late at once: look at the network and at this service first"
                raise_alarm(connection, "mass-late", why, now=at)
                log.warning("many nodes late at once", late=behind_now, nodes=every)
            return
        if silence is Silence.LATE:
            clear_alarms(connection, "mass-late", now=at)
        for name in names:
            log.warning("node silent", node=name, state=silence.name.lower())
