"""The running Verifier, put together: database, writer, keys, rules, memory, use cases; and taken apart again."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import structlog
from sqlalchemy import Connection, Engine

from bartizan.app.roots import built_in_roots, load_roots
from bartizan.app.service.attempts import Attempts
from bartizan.app.service.attesting import Attesting
from bartizan.app.service.clock import Clock, Now, system_clock
from bartizan.app.service.enrolling import Enrolling
from bartizan.app.service.housekeeping import Housekeeping
from bartizan.app.service.keeping import Keeper
from bartizan.app.service.key_stores import key_store
from bartizan.app.service.keys import new_nonce_key, nonce_key
from bartizan.app.service.memory import Memory
from bartizan.app.service.nonces import Nonces
from bartizan.app.service.reappraising import Reappraising
from bartizan.app.service.rulebook import RuleBook
from bartizan.app.service.settings import Settings
from bartizan.app.service.signing import Signer
from bartizan.app.service.statements import Statements, tell
from bartizan.app.service.storm import Storm
from bartizan.app.service.syslog import Syslog
from bartizan.app.service.watch import Watch
from bartizan.store.accounts import ensure_default_project
from bartizan.store.database import open_database
from bartizan.store.evidence import Interning
from bartizan.store.reading import reading
from bartizan.store.writer import Writer

Given = TypeVar("Given")
RELOAD_SECONDS = 5
STATEMENTS_SECONDS = 30
log = structlog.get_logger("bartizan.service")


@dataclass(slots=True, kw_only=True)
class Service:
    """Everything that requests are answered with."""

    settings: Settings
    engine: Engine
    writer: Writer
    clock: Clock
    memory: Memory
    rules: RuleBook
    keeper: Keeper
    signer: Signer
    attesting: Attesting
    enrolling: Enrolling
    reappraising: Reappraising
    watch: Watch
    statements: Statements
    syslog: Syslog
    attempts: Attempts
    housekeeping: Housekeeping
    started: Now
    rules_wanted: bool = False
    trying: bool = False

    async def read(self, query: Callable[[Connection], Given]) -> Given:
        """What a query finds, asked in a thread of its own."""
        return await reading(self.engine, query)

    async def write(self, change: Callable[[Connection], Given]) -> Given:
        """What a change returns, once it is committed."""
        return await self.writer.submit(change)

    async def reload(self) -> bool:
        """Put in force what the database says is; if it is something else than before, everybody is judged anew.

        What fails is tried again by `keep_rules`: a change that was committed comes into force.
        """
        self.rules_wanted = True
        changed = await self.read(self.rules.read)
        self.rules_wanted = False
        if changed:
            self.reappraising.want()
        return changed

    async def keep_rules(self) -> None:
        """Read again the rules that could not be read, until cancelled."""
        while True:
            await asyncio.sleep(RELOAD_SECONDS)
            if self.rules_wanted:
                try:
                    await self.reload()
                except Exception:  # the outermost loop: what stops one reading must not stop the next
                    log.exception("the rules could not be read")

    async def check_statements(self) -> None:
        """Say it where the database holds statements that were not made here."""
        now = self.clock()
        why, standing = await self.read(lambda connection: self.statements.look(connection, now))
        if (why is not None) != standing:
            await self.write(lambda connection: tell(connection, why, now=now))

    async def keep_statements(self) -> None:
        """Look at the statements now and then, until cancelled."""
        while True:
            try:
                await self.check_statements()
            except Exception:  # the outermost loop, as above
                log.exception("the statements could not be checked")
            await asyncio.sleep(STATEMENTS_SECONDS)


@asynccontextmanager
async def open_service(settings: Settings, *, clock: Clock = system_clock) -> AsyncIterator[Service]:
    """The service, from its data folder and database.

    Raises:
        ConfigError: a folder, file or database cannot be used. PolicyError, DecodeError: nor can what is in force.
    """
    folder = settings.folder
    anchors = load_roots(Path(settings.trust.roots)) if settings.trust.roots else built_in_roots()
    key = nonce_key(folder / "keys")
    signer = Signer(store=key_store(settings), lifetime=settings.trust.ear_lifetime)
    attestation = settings.attestation
    with open_database(settings.database_url) as engine:
        rules, interning = RuleBook(), Interning()
        with engine.begin() as connection:
            ensure_default_project(connection)
            rules.read(connection)
        writer = Writer(engine, rolled_back=interning.forget)
        try:
            keeper = Keeper(writer=writer, interning=interning, rules=rules, settings=attestation)
            memory = Memory(states=settings.storage.states, entries=settings.storage.entries)
            attesting = Attesting(
                engine=engine,
                keeper=keeper,
                memory=memory,
                rules=rules,
                nonces=Nonces(key=key, lifetime=attestation.nonce_lifetime),
                anchors=anchors,
                settings=attestation,
                storm=Storm(at_once=attestation.full_at_once, waiting=attestation.full_waiting),
                clock=clock,
            )

            def void_nonces() -> None:
                """No challenge that is out counts any more."""
                new_nonce_key(folder / "keys")
                attesting.nonces = replace(attesting.nonces, key=nonce_key(folder / "keys"))

            service = Service(
                settings=settings,
                engine=engine,
                writer=writer,
                clock=clock,
                memory=memory,
                rules=rules,
                keeper=keeper,
                signer=signer,
                attesting=attesting,
                enrolling=Enrolling(engine=engine, writer=writer, anchors=anchors, settings=attestation, clock=clock),
                reappraising=Reappraising(attesting=attesting, keeper=keeper, rules=rules, clock=clock),
                watch=Watch(writer=writer, memory=memory, settings=attestation, clock=clock, set_back=void_nonces),
                statements=Statements(signer=signer),
                syslog=Syslog(settings.audit.syslog),
                attempts=Attempts(),
                housekeeping=Housekeeping(writer=writer, interning=interning, settings=settings.storage, clock=clock),
                started=clock(),
            )
            with closing(service.syslog):
                async with _at_work(service):
                    yield service
        finally:
            writer.close()


@asynccontextmanager
async def _at_work(service: Service) -> AsyncIterator[None]:
    """What the service does by itself, while the block runs."""
    await service.watch.begin()
    service.reappraising.want()
    tasks = [
        asyncio.create_task(service.watch.run(), name="bartizan-watch"),
        asyncio.create_task(service.reappraising.run(), name="bartizan-reappraisal"),
        asyncio.create_task(service.housekeeping.run(), name="bartizan-housekeeping"),
        asyncio.create_task(service.keep_rules(), name="bartizan-rules"),
        asyncio.create_task(service.keep_statements(), name="bartizan-statements"),
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
