"""Rights are really gone once they were given up. Needs root, who has some to give."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bartizan.agent import privilege
from bartizan.agent.errors import Unusable
from bartizan.agent.privilege import User, find_user, give_up_rights

NOBODY = User(65534, 65534)
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to give up")


def in_child(act: Callable[[], object]) -> str:
    """What the act came to in a process of its own: its value or its error, as text."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            said = repr(act())
        except BaseException as error:  # noqa: BLE001  a child of a test must never return into it
            said = repr(error)
        os.write(writer, said.encode())
        os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader, encoding="utf-8") as pipe:
        return pipe.read()


@needs_root
def test_a_child_that_gave_up_its_rights_cannot_open_a_root_only_file_nor_come_back(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x", "ascii")
    secret.chmod(0o600)

    def read() -> str:
        give_up_rights(NOBODY)
        return secret.read_text("ascii")

    def come_back() -> None:
        give_up_rights(NOBODY)
        os.setuid(0)

    assert in_child(secret.read_text) == "'x'"
    assert "PermissionError" in in_child(read)
    assert "PermissionError" in in_child(come_back)


@needs_root
def test_groups_go_too_and_nothing_gives_new_privileges() -> None:
    def show() -> object:
        give_up_rights(NOBODY)
        text = Path("/proc/self/status").read_text("ascii")
        return os.getgroups(), os.getresuid(), os.getresgid(), "NoNewPrivs:\t1" in text

    assert in_child(show) == repr(([], (65534,) * 3, (65534,) * 3, True))


@needs_root
def test_rights_that_stay_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def give_up() -> None:
        monkeypatch.setattr(os, "setresuid", lambda *_ids: None)
        give_up_rights(NOBODY)

    assert "not for good" in in_child(give_up)


@needs_root
def test_a_kernel_that_refuses_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise OSError(1, "no")

    def give_up() -> None:
        monkeypatch.setattr(privilege, "forbid_new_privileges", refuse)
        give_up_rights(NOBODY)

    assert "cannot be given up: no" in in_child(give_up)


def test_users_are_found_by_name_and_number() -> None:
    if os.geteuid() == 0:
        assert find_user("4000000:7") == User(4000000, 7)
        assert find_user("12") == User(12, 12)
        assert find_user("root") == User(0, 0)
        with pytest.raises(Unusable, match="useradd"):
            find_user("no-such-user")
    else:
        assert find_user(None) == User(os.getuid(), os.getgid())
        with pytest.raises(Unusable, match="only root"):
            find_user("0")
