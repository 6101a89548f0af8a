"""The running Verifier, put together: database, writer, keys, rules, memory, use cases; and taken apart again."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import structlog
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from bartizan.app.roots import built_in_roots, load_roots
from bartizan.app.service.attempts import Attempts
from bartizan.app.service.attesting import Attesting
from bartizan.app.service.clock import Clock, Now, system_clock
from bartizan.app.service.enrolling import Enrolling
from bartizan.app.service.housekeeping import Housekeeping
from bartizan.app.service.keeping import Keeper
from bartizan.app.service.key_stores import key_store
from bartizan.app.service.keys import key_name, key_of_generation, nonce_key
from bartizan.app.service.leases import Leases
from bartizan.app.service.memory import Memory
from bartizan.app.service.nonces import Nonces
from bartizan.app.service.proving import Proving
from bartizan.app.service.reappraising import Reappraising
from bartizan.app.service.rulebook import RuleBook
from bartizan.app.service.seals import Seals
from bartizan.app.service.settings import Settings
from bartizan.app.service.sharing import DatabaseClock, Sharing
from bartizan.app.service.signing import Signer
from bartizan.app.service.statements import Statements, tell
from bartizan.app.service.states import States
from bartizan.app.service.storm import Storm
from bartizan.app.service.syslog import Syslog
from bartizan.app.service.watch import Watch
from bartizan.errors import ConfigError
from bartizan.store.accounts import ensure_default_project
from bartizan.store.database import open_database
from bartizan.store.dialect import is_shared
from bartizan.store.evidence import Interning
from bartizan.store.generations import Held, agreed_key, generations
from bartizan.store.reading import reading
from bartizan.store.writer import Writer, WriterLost

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
    proving: Proving
    reappraising: Reappraising
    watch: Watch
    statements: Statements
    syslog: Syslog
    attempts: Attempts
    housekeeping: Housekeeping
    leases: Leases
    sharing: Sharing
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
async def open_service(settings: Settings, *, clock: Clock | None = None) -> AsyncIterator[Service]:
    """The service, from its data folder and database. clock: by default this machine's, or that of a shared database.

    Raises:
        ConfigError: a folder, file or database cannot be used. PolicyError, DecodeError: nor can what is in force.
    """
    anchors = load_roots(Path(settings.trust.roots)) if settings.trust.roots else built_in_roots()
    key = nonce_key(settings.keys)
    signer = Signer(store=key_store(settings), lifetime=settings.trust.ear_lifetime)
    attestation = settings.attestation
    with open_database(settings.database_url) as engine:
        rules, interning = RuleBook(), Interning()
        shared = is_shared(engine)
        clock = clock or (DatabaseClock() if shared else system_clock)
        with engine.begin() as connection:
            seen = _begun(connection, rules, clock, key=key if shared else None)
        leases = Leases(clock=clock, shared=shared)
        writer = Writer(engine, rolled_back=interning.forget)
        writer.lost.add_done_callback(_say_lost)
        try:
            keeper = Keeper(
                writer=writer, interning=interning, rules=rules, seals=Seals(secret=key), settings=attestation
            )
            memory = Memory(states=settings.storage.states, entries=settings.storage.entries)
            states = States(engine=engine, keeper=keeper, memory=memory, rules=rules, anchors=anchors, clock=clock)
            attesting = Attesting(
                engine=engine,
                keeper=keeper,
                memory=memory,
                states=states,
                rules=rules,
                nonces=Nonces(key=key_of_generation(key, seen[Held.NONCES]), lifetime=attestation.nonce_lifetime),
                settings=attestation,
                storm=Storm(at_once=attestation.full_at_once, waiting=attestation.full_waiting),
                clock=clock,
            )

            def void_nonces(generation: int) -> None:
                """No challenge that is out counts any more."""
                attesting.nonces = replace(attesting.nonces, key=key_of_generation(key, generation))

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
                proving=Proving(states=states),
                reappraising=Reappraising(attesting=attesting, keeper=keeper, rules=rules, leases=leases, clock=clock),
                watch=Watch(
                    writer=writer,
                    memory=memory,
                    settings=attestation,
                    clock=clock,
                    leases=leases,
                    set_back=void_nonces,
                ),
                statements=Statements(signer=signer),
                syslog=Syslog(settings.audit.syslog),
                attempts=Attempts(),
                housekeeping=Housekeeping(
                    engine=engine, writer=writer, leases=leases, settings=settings.storage, clock=clock
                ),
                leases=leases,
                sharing=Sharing(engine=engine, clock=clock, seen=seen),
                started=clock(),
            )
            service.sharing.changed = {Held.RULES: lambda _: service.reload(), Held.NONCES: _soon(void_nonces)}
            with closing(service.syslog):
                async with _at_work(service):
                    yield service
        finally:
            writer.close()


def _begun(connection: Connection, rules: RuleBook, clock: Clock, *, key: bytes | None) -> dict[Held, int]:
    """What every start does first. key: that of challenges, where several Verifiers have to have the same.

    Raises:
        ConfigError: it is another one. PolicyError, DecodeError: what is in force cannot be used.
    """
    ensure_default_project(connection)
    seen = generations(connection)
    rules.read(connection)
    if isinstance(clock, DatabaseClock):
        clock.look(connection)
    if key is not None and not agreed_key(connection, "nonce", key_name(key)):
        raise ConfigError(
            "the nonce key is not that of the other Verifiers on this database: give all the same trust.keys"
        )
    return seen


def _say_lost(lost: "asyncio.Future[BaseException]") -> None:
    if not lost.cancelled():
        log.critical("the writer has ended: nothing can be accepted any more", exc_info=lost.result())


def _soon(react: Callable[[int], None]) -> Callable[[int], Awaitable[None]]:
    async def run(generation: int) -> None:
        react(generation)

    return run


@asynccontextmanager
async def _at_work(service: Service) -> AsyncIterator[None]:
    """What the service does by itself, while the block runs."""
    await service.watch.begin()
    service.reappraising.want()
    tasks = [
        asyncio.create_task(service.watch.run(), name="bartizan-watch"),
        asyncio.create_task(service.reappraising.run(), name="bartizan-reappraisal"),
        asyncio.create_task(service.housekeeping.run(), name="bartizan-housekeeping"),
        asyncio.create_task(service.proving.run(), name="bartizan-proving"),
        asyncio.create_task(service.keep_rules(), name="bartizan-rules"),
        asyncio.create_task(service.sharing.run(), name="bartizan-sharing"),
        asyncio.create_task(service.keep_statements(), name="bartizan-statements"),
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with suppress(SQLAlchemyError, WriterLost):  # they end by themselves
            await service.write(service.leases.release)
