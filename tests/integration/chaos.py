"""Several Verifiers broken on purpose under load, one fault after the other: what was promised must be kept.

A trigger in the database is the witness: it writes down every acceptance, in the transaction that makes it. After each
fault the nodes' notes are held against it:

(1) nothing is lost: what a node was told was accepted is among the acceptances, and its quote stands or was followed;
(2) nothing is accepted twice: no nonce is there twice, acceptances of a node are counted without a gap, and their
    challenges are each newer than the one before;
(3) nothing is invented: every acceptance is of a nonce that this node sent;
(4) nobody is enrolled twice: of rivals with the same token one at most is in, whatever each was told;
(5) nobody has to do anything: every node is accepted again by itself, within a stated time.
"""

import asyncio
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bartizan.formats.cbor import decode_cbor
from bartizan.store.database import open_database
from bartizan.store.joining import add_token, register_eks, token_digest
from bartizan.store.rules import Author
from tests.integration.cluster import DATABASE, Cluster, cluster, until
from tests.integration.replica_load import Load, Member, Newcomer, enrol, members
from tests.postgresql import Server

FAR = 1 << 50
RECOVERY = 90.0
"""Seconds within which every node has to be accepted again."""
TOKENS = 2000
WITNESS = """
CREATE TABLE witness (id bigserial PRIMARY KEY, node bigint, accepted bigint, issued bigint, evidence bytea);
CREATE FUNCTION witnessed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO witness (node, accepted, issued, evidence)
  VALUES (NEW.node, NEW.accepted, NEW.nonce_issued, NEW.evidence); RETURN NULL; END $$;
CREATE TRIGGER witnessed AFTER UPDATE ON node_state FOR EACH ROW
  WHEN (NEW.accepted IS DISTINCT FROM OLD.accepted) EXECUTE FUNCTION witnessed();
"""
AUTHOR = Author(project=1, account="chaos", now=1)


@dataclass
class Stage:
    """What a fault is played on."""

    cluster: Cluster
    server: Server
    load: Load
    lasts: float
    pause: threading.Event

    def wait(self, seconds: float) -> None:
        """Let it go on like this."""
        self.pause.wait(seconds)


Fault = Callable[[Stage], None]
"""Breaks something, leaves it so for a while, and gives back what was taken; the rest is for the service to do."""


def replica_killed(stage: Stage) -> None:
    """SIGKILL; a service manager starts it again."""
    victim = stage.cluster.replicas[0]
    victim.process.kill()
    stage.wait(stage.lasts)
    victim.start()


def replica_frozen(stage: Stage) -> None:
    """SIGSTOP, within whatever it was doing, and SIGCONT."""
    victim = stage.cluster.replicas[-1]
    victim.process.pause()
    stage.wait(stage.lasts)
    victim.process.resume()


def replica_cut_off(stage: Stage) -> None:
    """It does not reach the database, and is not told so."""
    wire = stage.cluster.replicas[0].wire
    wire.cut()
    stage.wait(stage.lasts)
    wire.mend()


def clock_ahead(stage: Stage) -> None:
    """One Verifier's machine is an hour ahead of all others."""
    _skewed(stage, 3600)


def clock_behind(stage: Stage) -> None:
    """The same, behind."""
    _skewed(stage, -3600)


def _skewed(stage: Stage, offset: int) -> None:
    victim = stage.cluster.replicas[-1]
    victim.process.stop()
    victim.start(offset=offset)
    stage.wait(stage.lasts)
    victim.process.stop()
    victim.start()


def database_killed(stage: Stage) -> None:
    """SIGKILL to PostgreSQL and all its children; a service manager starts it again."""
    stage.server.stop(signal.SIGKILL)
    stage.wait(stage.lasts)
    stage.server.start()


def database_restarted(stage: Stage) -> None:
    """An orderly restart that throws everybody out."""
    stage.server.stop(signal.SIGINT)
    stage.server.start()


def database_read_only(stage: Stage) -> None:
    """It is a standby that takes no writes, until it is promoted."""
    stage.server.stop(signal.SIGINT)
    (stage.server.data / "standby.signal").touch()
    stage.server.start()
    stage.wait(stage.lasts)
    assert stage.server.sql("SELECT pg_is_in_recovery()") == "t"
    stage.server.sql("SELECT pg_promote()")


def database_disk_full(stage: Stage) -> None:
    """Not a byte is left where PostgreSQL writes; if that ends it, a service manager starts it again once there is."""
    filler = stage.server.folder / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as stream:
        while True:
            stream.write(bytes(1 << 16))
    stage.wait(stage.lasts)
    filler.unlink()
    if stage.server.ended():
        stage.server.start()


SHORT: tuple[Fault, ...] = (replica_killed, replica_frozen, database_killed)
LONG: tuple[Fault, ...] = (
    replica_killed,
    replica_frozen,
    replica_cut_off,
    clock_ahead,
    clock_behind,
    database_killed,
    database_restarted,
    database_read_only,
)


@dataclass(frozen=True)
class Found:
    """What one fault did. Seconds: of it, of the longest time without any acceptance, until everybody was accepted."""

    fault: str
    lasted: float
    silence: float
    recovery: float
    accepted: int
    enrolled: int
    refused: Counter[str]


@dataclass(frozen=True, kw_only=True)
class Play:
    """What is played. lasts: seconds of each fault; cables: a Verifier is cut off in a network namespace of its own."""

    replicas: int
    nodes: int
    faults: Sequence[Fault]
    lasts: float
    seed: int
    cables: bool = False


def chaos(server: Server, folder: Path, play: Play, *, tell: Callable[[Found], None] = lambda _: None) -> list[Found]:
    """Break this and that under load; figures of each, told also as they come."""
    names = [f"verifier-{number}" for number in range(play.replicas)]
    with cluster(server, folder, names, cables=play.cables) as made:
        ports = [one.port for one in made.replicas]
        some = members(play.nodes, ports, pause=0.25, seed=play.seed)
        tokens = [(f"new-{number}", f"token of new-{number}") for number in range(TOKENS)]
        _prepare(made, some, tokens)
        asyncio.run(enrol(some))
        load = Load(some, Newcomer(ports, random.Random(play.seed), tokens))  # noqa: S311  whom to ask
        load.start()
        stage = Stage(made, server, load, play.lasts, threading.Event())
        try:
            until("the first acceptances", lambda: load.everybody_since(0.0))
            found = []
            for fault in play.faults:
                found.append(_played(stage, fault))
                tell(found[-1])
        finally:
            load.stop()
        check(made, load)
    return found


def _prepare(made: Cluster, some: Sequence[Member], tokens: Sequence[tuple[str, str]]) -> None:
    with open_database(made.server.url(DATABASE)) as engine, engine.begin() as connection:
        register_eks(connection, [(one.node.ek.name, one.node.name, one.node.role) for one in some], author=AUTHOR)
        for name, token in tokens:
            digest = token_digest(token)
            add_token(connection, digest, node_name=name, role="compute", expires_at=FAR, author=AUTHOR)
    made.server.sql(WITNESS, database=DATABASE)


def _played(stage: Stage, fault: Fault) -> Found:
    load, begun = stage.load, time.monotonic()
    accepted, enrolled, refused = load.accepted, load.newcomer.let_in, load.refused()
    watched = _Silence(load)
    try:
        fault(stage)
        healed = time.monotonic()
        back = f"everybody back after {fault.__name__}"
        recovery = until(back, lambda: load.everybody_since(healed), patience=RECOVERY)
    finally:
        silence = watched.end()
    promised = {member.node.uid: set(member.told.accepted) for member in load.members}
    check(stage.cluster, load, promised)
    more = load.refused()
    more.subtract(refused)
    return Found(
        fault=fault.__name__.replace("_", " "),
        lasted=round(healed - begun, 1),
        silence=round(silence, 1),
        recovery=round(recovery, 1),
        accepted=load.accepted - accepted,
        enrolled=load.newcomer.let_in - enrolled,
        refused=+more,
    )


class _Silence:
    """Watches for the longest time in which nobody was accepted."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._ended = threading.Event()
        self._longest = 0.0
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self) -> None:
        count, since = self._load.accepted, time.monotonic()
        while not self._ended.wait(0.02):
            now, accepted = time.monotonic(), self._load.accepted
            if accepted != count:
                count, since = accepted, now
            self._longest = max(self._longest, now - since)

    def end(self) -> float:
        """Seconds."""
        self._ended.set()
        self._thread.join()
        return self._longest


def check(made: Cluster, load: Load, promised: dict[str, set[bytes]] | None = None) -> None:
    """Hold the database against what nodes were told; promised: until some moment before this, by default until now."""
    told = promised or {member.node.uid: set(member.told.accepted) for member in load.members}
    numbers = dict(map(tuple, made.rows("SELECT uid, id FROM node")))
    by_node: dict[str, list[tuple[int, int, bytes]]] = {}
    query = "SELECT node, accepted, issued, encode(evidence, 'hex') FROM witness ORDER BY id"
    for number, accepted, issued, evidence in made.rows(query):
        quote = decode_cbor(bytes.fromhex(evidence))
        assert isinstance(quote, dict)
        by_node.setdefault(number, []).append((int(accepted), int(issued), quote["nonce"]))
    for member in load.members:
        seen = by_node.get(numbers[member.node.uid], [])
        nonces = [nonce for _, _, nonce in seen]
        name = member.node.name
        assert told[member.node.uid] <= set(nonces), f"{name}: an acceptance that it was told of is not there"
        assert len(set(nonces)) == len(nonces), f"{name}: a nonce was accepted twice"
        assert set(nonces) <= set(member.told.sent), f"{name}: a nonce was accepted that it never sent"
        assert [count for count, _, _ in seen] == list(range(1, len(seen) + 1)), f"{name}: the count has a gap"
        stamps = [issued for _, issued, _ in seen]
        assert stamps == sorted(set(stamps)), f"{name}: a challenge was accepted after a newer one"
    _check_enrolments(made, load)


def _check_enrolments(made: Cluster, load: Load) -> None:
    told = {name: set(uids) for name, uids in list(load.newcomer.enrolled.items())}  # before the database is asked
    rows = made.rows("SELECT name, uid FROM node WHERE retired_at IS NULL")
    known = dict(map(tuple, rows))
    assert len(known) == len(rows), "a name is enrolled twice"
    twice = made.rows("SELECT ek_name FROM node WHERE retired_at IS NULL GROUP BY ek_name HAVING count(*) > 1")
    assert not twice, "a TPM is enrolled twice"
    by_token = made.rows("SELECT created_by FROM node WHERE created_by LIKE 'token %' GROUP BY 1 HAVING count(*) > 1")
    assert not by_token, "a token let two nodes in"
    for name, uids in told.items():
        assert len(uids) <= 1, f"{name}: rivals were both told that they are in"
        assert not uids or known.get(name) in uids, f"{name}: it was told an id that is not there"
