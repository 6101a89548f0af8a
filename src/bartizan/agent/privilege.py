"""Giving rights away for good, and finding out whether it worked."""

from __future__ import annotations

import ctypes
import os
import pwd
import re
from typing import NamedTuple, Optional

from bartizan.agent.errors import Unusable

DEFAULT_USER = "bartizan-agent"
PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS, PR_GET_NO_NEW_PRIVS = 1, 38, 39
"""Linux, include/uapi/linux/prctl.h."""
NUMBERS = re.compile(r"([0-9]{1,9})(?::([0-9]{1,9}))?")


class User(NamedTuple):
    """Whom to become."""

    uid: int
    gid: int


def find_user(name: Optional[str]) -> User:
    """The user for the half that talks to the network: a name, or `uid[:gid]`; by default the agent's own.

    Without root's rights there is nothing to give away: only the present user can be named then.

    Raises:
        Unusable: there is no such user.
    """
    own = User(os.getuid(), os.getgid())
    if name is None and own.uid != 0:
        return own
    numbers = NUMBERS.fullmatch(name or "")
    if numbers:
        uid = int(numbers.group(1))
        found = User(uid, int(numbers.group(2) or uid))
    else:
        found = _by_name(name or DEFAULT_USER)
    if own.uid not in (0, found.uid):
        raise Unusable(f"user {name!a}: only root can become another user; leave --user out")
    return found


def _by_name(name: str) -> User:
    try:
        entry = pwd.getpwnam(name)
    except KeyError as error:
        raise Unusable(
            f"user {name!a}: there is none, and the part that talks to the network shall not be root. Make it with "
            f"`useradd --system --no-create-home --shell /usr/sbin/nologin {DEFAULT_USER}`, or name another with --user"
        ) from error
    return User(entry.pw_uid, entry.pw_gid)


def give_up_rights(user: User) -> None:
    """Become this user with no way back: groups, gid, uid, and no new privileges for whatever is executed.

    Raises:
        Unusable: the system did not do it.
    """
    try:
        if os.getuid() == 0:
            os.setgroups([])
            os.setresgid(user.gid, user.gid, user.gid)
            os.setresuid(user.uid, user.uid, user.uid)
        forbid_new_privileges()
    except OSError as error:
        raise Unusable(f"rights cannot be given up: {error.strerror}") from error
    if os.getresuid() != (user.uid,) * 3 or (user.uid != 0 and _can_go_back()):
        raise Unusable("rights were given up, but not for good")


def forbid_new_privileges() -> None:
    """PR_SET_NO_NEW_PRIVS: no set-uid program gives anything back.

    Raises:
        OSError: the kernel refuses, or did not do it.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_NO_NEW_PRIVS) failed")


def end_with_parent(signal_number: int) -> None:
    """PR_SET_PDEATHSIG: get this signal when the parent ends; a change of user forgets it.

    Raises:
        OSError: the kernel refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")


def _can_go_back() -> bool:
    try:
        os.setresuid(0, 0, 0)
    except OSError:
        return False
    return True
