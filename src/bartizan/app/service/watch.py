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
from bartizan.store.watching import behind, counts, mark, postpone
from bartizan.store.writer import Writer

SECOND = 1000
BEAT_EVERY = 5 * SECOND
"""Milliseconds between two notes that the service is alive."""
AT_ONCE = 10_000
"""Nodes marked in one look."""
MASS_SHARE, MASS_LEAST = 0.2, 5
"""So large a part of the fleet, and so many nodes, late at once are the service's or the network's fault."""
log = structlog.get_logger("bartizan.watch")


@dataclass(slots=True, kw_only=True)
class Watch:
    """One look a second."""

    writer: Writer
    memory: Memory
    settings: Attestation
    clock: Clock
    beaten_at: int = 0
    looked_at: int = 0

    async def run(self) -> None:
        """Look every second, until cancelled."""
        while True:
            await asyncio.sleep(1)
            await self.look()

    async def begin(self) -> None:
        """At the start: if the service was away, nobody is late for it."""
        now = self.clock()
        since = await self.writer.submit(last_beat)
        await self._returned(now.milliseconds if since is None else since, now)
        await self.writer.submit(lambda connection: set_beat(connection, now=now.milliseconds))
        self.beaten_at = self.looked_at = now.milliseconds

    async def _returned(self, since: int, now: Now) -> None:
        """Nodes could not speak to a service that was away or paused since then: move what was due meanwhile."""
        at, away = now.milliseconds, now.milliseconds - since
        if away <= self.settings.late * SECOND:
            return
        until = at + self.settings.period * SECOND

        def postponed(connection: Connection) -> int:
            moved = postpone(connection, until=until)
            why = f"the service was away for {away // SECOND} s; {moved} nodes were due meanwhile and are not late"
            raise_alarm(connection, "away", why, now=at)
            set_beat(connection, now=at)
            return moved

        moved = await self.writer.submit(postponed)
        for node in self.memory.all():
            if node.progress.due < until:
                node.progress = replace(node.progress, due=until, silence=Silence.NONE)
        log.warning("the service was away", seconds=away // SECOND, postponed=moved)

    async def look(self) -> None:
        """Mark who is late or expired now, and say it: one by one, or as one alarm."""
        now = self.clock()
        await self._returned(self.looked_at or now.milliseconds, now)
        self.looked_at = now.milliseconds
        late = now.milliseconds - self.settings.late * SECOND
        expired = now.milliseconds - self.settings.expired * SECOND
        found = await self.writer.submit(lambda connection: self._look(connection, late, expired, now.milliseconds))
        for silence, uids in found.items():
            for uid in uids:
                node = self.memory.find(uid)
                if node is not None and node.progress.due < late:
                    node.progress = replace(node.progress, silence=silence)

    def _look(self, connection: Connection, late: int, expired: int, at: int) -> dict[Silence, list[str]]:
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
        if at - self.beaten_at >= BEAT_EVERY:
            set_beat(connection, now=at)
            self.beaten_at = at
        return found

    def _say(self, connection: Connection, silence: Silence, names: list[str], at: int) -> None:
        if silence is Silence.LATE:
            fleet = counts(connection)
            behind_now, every = fleet[Silence.LATE] + fleet[Silence.EXPIRED], sum(fleet.values())
            mass = behind_now >= MASS_LEAST and behind_now >= MASS_SHARE * every
            if mass and names:
                why = f"{behind_now} of {every} nodes are late at once: look at the network and at this service first"
                clear_alarms(connection, "mass-late", now=at)
                raise_alarm(connection, "mass-late", why, now=at)
                log.warning("many nodes late at once", late=behind_now, nodes=every)
                return
            if not mass:
                clear_alarms(connection, "mass-late", now=at)
        for name in names:
            log.warning("node silent", node=name, state=silence.name.lower())
