"""The commands behind `bartizan-agent`: each yields an exit status, or raises the error that ends it."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from argparse import Namespace
from pathlib import Path
from typing import Dict, NoReturn, Optional

from bartizan.agent.clock import MachineClock
from bartizan.agent.collector import Collector
from bartizan.agent.errors import JUDGED_BAD, OUTSIDE, NoAnswer, Refused, Unusable
from bartizan.agent.halves import COLLECTOR, NETWORK, Setting, end_on_signals, make_collector, with_collector
from bartizan.agent.ipc import accept_one, listen
from bartizan.agent.loop import Agent, Keeper, Parts, State
from bartizan.agent.memory import Memory
from bartizan.agent.messages import Asked
from bartizan.agent.privilege import find_user
from bartizan.agent.show import (
    evidence_json,
    evidence_words,
    identity_json,
    identity_words,
    result_words,
    status_code,
    status_json,
    status_words,
)
from bartizan.agent.state import NODE, Node, Store, check_node
from bartizan.agent.text import plain, seconds
from bartizan.agent.transport import HttpService
from bartizan.collect.marshal import PCR_COUNT

LONGEST_SLEEP = 30.0
"""Seconds slept at once: a machine that was suspended in between finds out soon that something is due."""
ENROL_PATIENCE = 60.0
"""Seconds that `enrol` goes on trying against a service that does not answer."""
TOKEN_VARIABLE = "BARTIZAN_TOKEN"  # noqa: S105  a variable's name
MAX_TOKEN = 4096
NONCE_BYTES = 32


def setting_of(arguments: Namespace) -> Setting:
    """What both halves are made from, as the command line says."""
    return Setting(
        state=arguments.state,
        root=arguments.root,
        tpm=arguments.tpm,
        auth_file=arguments.endorsement_auth,
        user=arguments.user,
        collector=getattr(arguments, "collector", None),
    )


def warn(what: str) -> None:
    """A line for whoever reads the journal."""
    sys.stderr.write(f"bartizan-agent: {plain(what)}\n")
    sys.stderr.flush()


def say(text: str) -> None:
    """What the command was asked for."""
    sys.stdout.write(text)


def _agent(node: Node, collector: Collector, keeper: Keeper) -> Agent:
    service = HttpService(node.service, node.pin)
    return Agent(node, Parts(service, collector, keeper, MachineClock(), warn))


def _sleep(wait: float) -> None:
    time.sleep(min(wait, LONGEST_SLEEP))


# enrol


def read_token(arguments: Namespace) -> Optional[str]:
    """The join token from a file, standard input or the environment; never from the command line, where all see it.

    Raises:
        Unusable: it cannot be read, or is none.
    """
    if arguments.token is not None and arguments.token != "-":  # noqa: S105
        raise Unusable("--token takes only - (standard input): what stands on a command line, everybody can read")
    if arguments.token == "-":  # noqa: S105
        token = sys.stdin.readline(MAX_TOKEN + 1)
    elif arguments.token_file is not None:
        try:
            token = arguments.token_file.read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError) as error:
            raise Unusable(f"token file {arguments.token_file}: {error}") from error
    else:
        token = os.environ.pop(TOKEN_VARIABLE, "")
        if not token:
            return None
    token = token.strip()
    if not 0 < len(token) <= MAX_TOKEN or not token.isascii() or not token.isprintable():
        raise Unusable(f"join token: 1 to {MAX_TOKEN} printable characters on one line expected")
    return token


def enrol(arguments: Namespace) -> int:
    """Enrol this node, or find out why that is not to be."""
    token = read_token(arguments)
    node = Node(arguments.service, arguments.pin, arguments.name, arguments.role, None, token)
    check_node(node)

    def work(collector: Collector, store: Store) -> int:
        with store.alone():
            before = store.load_node()
            if before is not None and before.node is not None and not arguments.again:
                raise Unusable(
                    f"{store.folder / NODE}: this machine is enrolled as {before.node} at {before.service}; "
                    "--again enrols it anew, which a person has to review"
                )
            store.save_node(node)
            return _enrol(_agent(node, collector, store), wait=arguments.wait)

    return with_collector(setting_of(arguments), work)


def _enrol(agent: Agent, *, wait: bool) -> int:
    begun, told = time.monotonic(), False
    while True:
        pause = agent.step()
        if agent.node.node is not None and agent.is_kept:
            say(f"Enrolled as node {agent.node.node}. `bartizan-agent run` attests it.\n")
            return 0
        if agent.is_over:
            raise Refused(agent.progress.last_error)
        if agent.state is State.IN_REVIEW and not wait:
            say(f"A person has to look at it first: {agent.progress.review}\n")
            say(f"`bartizan-agent run` asks again, the next time in {seconds(pause)}.\n")
            return 0
        if agent.state is State.BACKING_OFF and not wait and time.monotonic() - begun > ENROL_PATIENCE:
            raise NoAnswer(f"no success within {ENROL_PATIENCE:g} s: {agent.progress.last_error}")
        if agent.state is State.BACKING_OFF and not told:
            warn(f"not enrolled yet; trying again {'until it succeeds' if wait else f'for up to {ENROL_PATIENCE:g} s'}")
            told = True
        _sleep(pause)


# run, once


def _known(store: Store) -> Node:
    node = store.load_node()
    if node is None:
        raise Unusable(
            f"{store.folder / NODE}: there is none: this machine is not enrolled. First: bartizan-agent enrol"
        )
    return node


def run(arguments: Namespace) -> int:
    """Attest this node until told to end."""

    def work(collector: Collector, store: Store) -> int:
        with store.alone():
            agent = _agent(_known(store), collector, store)
            while not agent.is_over:
                _sleep(agent.step())
            raise Refused(agent.progress.last_error)

    return with_collector(setting_of(arguments), work)


def once(arguments: Namespace) -> int:
    """One attestation now; or, with --show, what it would send."""

    def work(collector: Collector, store: Store) -> int:
        if arguments.show:
            return _show(collector, store.load_node(), as_json=arguments.json)
        node = _known(store)
        if node.node is None:
            raise Unusable(f"{node.name} is not enrolled yet; `bartizan-agent run` goes on with its enrolment")
        return _once(_agent(node, collector, Memory()), as_json=arguments.json)

    return with_collector(setting_of(arguments), work)


def _once(agent: Agent, *, as_json: bool) -> int:
    while agent.progress.last_success is None:
        agent.step()
        if agent.progress.last_error:
            return _not_attested(agent)
        agent.hurry()
    if as_json:
        say(json.dumps(status_json(agent.node, agent.progress), indent=2) + "\n")
    else:
        say(result_words(agent.progress) + "\n")
    return JUDGED_BAD if agent.progress.contraindicated else 0


def _not_attested(agent: Agent) -> int:
    if agent.rejected:
        return JUDGED_BAD
    return OUTSIDE


def _show(collector: Collector, node: Optional[Node], *, as_json: bool) -> int:
    name = node.node if node is not None and node.node is not None else "not-enrolled"
    identity = collector.identity()
    banks = {alg: tuple(range(PCR_COUNT)) for alg in sorted(identity.banks)}
    evidence = collector.evidence(Asked(name, os.urandom(NONCE_BYTES), banks, None, full=True))
    if as_json:
        document: Dict[str, object] = {"sent": False, "node": name, "enrolment": identity_json(identity)}
        say(json.dumps({**document, "evidence": evidence_json(evidence)}, indent=2) + "\n")
        return 0
    where = f"to {node.service}" if node is not None else "once this machine is enrolled"
    say(f"Nothing was sent. This is what would be, {where}, as node {name}.\n\nAt enrolment:\n")
    say(identity_words(identity))
    say("\nAt each attestation (logs only when they are new):\n")
    say(evidence_words(evidence))
    return 0


# status, collector


def status(arguments: Namespace) -> int:
    """How the agent is doing, from its state folder."""
    store = Store(arguments.state / NETWORK)
    node = _known(store)
    progress, now = store.load_progress(), time.time()
    if arguments.json:
        say(json.dumps(status_json(node, progress), indent=2) + "\n")
    else:
        say(status_words(node, progress, now))
    return status_code(progress, now)


def collect(arguments: Namespace) -> int:
    """The privileged half alone: answer at a socket until told to end."""
    end_on_signals()
    path: Path = arguments.socket
    user = find_user(arguments.user)
    made = make_collector(setting_of(arguments))
    group = user.gid if user.uid != os.geteuid() else None
    with Store(arguments.state / COLLECTOR).alone(), listen(path, gid=group) as listener:
        try:
            _answer_at(listener, path, made, user.uid)
        finally:
            path.unlink(missing_ok=True)


def _answer_at(listener: socket.socket, path: Path, collector: Collector, uid: int) -> NoReturn:
    say(f"Listening at {path} for user {uid}.\n")
    sys.stdout.flush()
    while True:
        if not accept_one(listener, collector, {os.geteuid(), uid}):
            warn(f"{path}: a user who is not {uid} was turned away")
