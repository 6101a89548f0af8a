"""Two processes: the privileged one collects and never sees the network, the other talks to it and holds no right.

The second is forked off the first and gives its rights up before it connects anywhere; or it finds its collector,
started separately, at a Unix socket.
"""

from __future__ import annotations

import codecs
import os
import signal
import socket
import sys
import traceback
from pathlib import Path
from types import FrameType
from typing import Callable, NamedTuple, NoReturn, Optional

from bartizan.agent.collector import Collector, LocalCollector, machine_at
from bartizan.agent.errors import OUTSIDE, AgentError, OtherHalfGone, Unusable
from bartizan.agent.ipc import RemoteCollector, connect_to, serve
from bartizan.agent.keys import tpm_opener
from bartizan.agent.privilege import User, end_with_parent, find_user, give_up_rights
from bartizan.agent.state import Store
from bartizan.agent.text import plain

NETWORK, COLLECTOR = "network", "collector"
"""Folders below the state folder, one for each half."""
LONGEST_LINE = 1000
Work = Callable[[Collector, Store], int]


class Ended(BaseException):
    """SIGTERM came: everything lets go of what it holds, and the command ends well."""


class Setting(NamedTuple):
    """What both halves are made from."""

    state: Path
    root: Path
    tpm: Optional[str]
    auth_file: Optional[Path]
    user: Optional[str]
    collector: Optional[Path]


def end_on_signals() -> None:
    """SIGTERM and SIGINT end what runs by an exception, so that nothing is left half done."""
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, _end)


def _end(_number: int, _frame: Optional[FrameType]) -> NoReturn:
    raise Ended


def load_late_parts() -> None:
    """Load now what Python loads when it first connects: its library may be out of the other user's reach."""
    codecs.lookup("idna")


def ended(error: BaseException) -> int:
    """The exit status for what ended a command, with a line for people; a bug of ours comes with its traceback."""
    if isinstance(error, Ended):
        return 0
    if isinstance(error, AgentError):
        sys.stderr.write(f"bartizan-agent: {plain(str(error), LONGEST_LINE)}\n")
        return error.status
    if isinstance(error, OtherHalfGone):
        sys.stderr.write(f"bartizan-agent: {plain(str(error), LONGEST_LINE)}\n")
        return OUTSIDE
    traceback.print_exception(type(error), error, error.__traceback__)
    return OUTSIDE


def make_collector(setting: Setting) -> LocalCollector:
    """The collector of this machine, with its own state folder.

    Raises:
        Unusable: the TPM's address, the password's file or the folder cannot be used.
    """
    store = Store(setting.state / COLLECTOR)
    store.prepare()
    return LocalCollector(machine_at(setting.root, tpm_opener(setting.tpm, setting.auth_file)), store)


def with_collector(setting: Setting, work: Work) -> int:
    """Do the network half's work, without rights, with a collector to ask; its exit status.

    Raises:
        Unusable: user, folders or addresses cannot be used.
    """
    user = find_user(setting.user)
    store = Store(setting.state / NETWORK)
    prepare_for(user, setting.state, store)
    if setting.collector is not None:
        end_on_signals()
        load_late_parts()
        give_up_rights(user)
        return work(RemoteCollector(connect_to(setting.collector)), store)
    ours, theirs = socket.socketpair()
    sys.stdout.flush()
    sys.stderr.flush()
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        ours.close()
        os._exit(_network_half(theirs, work, store, user=user, parent=parent))
    theirs.close()
    with ours:
        return _collect_for(ours, child, setting)


def prepare_for(user: User, state: Path, store: Store) -> None:
    """Make the folders; root makes the network half's own for its user, below one that only root can change.

    Raises:
        Unusable: they cannot be made.
    """
    try:
        state.mkdir(mode=0o755, parents=True, exist_ok=True)
        store.prepare()
        if store.folder.stat().st_uid != user.uid:
            for path in [store.folder, *store.folder.iterdir()]:
                os.chown(path, user.uid, user.gid, follow_symlinks=False)
    except OSError as error:
        raise Unusable(f"state folder {state}: {error.strerror}; choose another one with --state") from error


def _collect_for(connection: socket.socket, child: int, setting: Setting) -> int:
    """The privileged half: answer until the other one ends; its exit status."""

    def pass_on(number: int, _frame: Optional[FrameType]) -> None:
        os.kill(child, number)

    signal.signal(signal.SIGTERM, pass_on)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        serve(connection, make_collector(setting))
    except AgentError:
        os.kill(child, signal.SIGTERM)
        os.waitpid(child, 0)
        raise
    connection.close()
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else OUTSIDE


def _network_half(connection: socket.socket, work: Work, store: Store, *, user: User, parent: int) -> int:
    """Give everything up, then work. An exit status, whatever happens."""
    end_on_signals()
    try:
        load_late_parts()
        give_up_rights(user)
        end_with_parent(signal.SIGTERM)
        if os.getppid() != parent:
            return OUTSIDE
        return work(RemoteCollector(lambda: connection, keep=True), store)
    except BaseException as error:  # noqa: BLE001  the outermost frame of this process
        return ended(error)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
