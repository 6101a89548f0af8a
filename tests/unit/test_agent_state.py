"""The state folder: what is kept, how it is written, and what is said when it is damaged."""

import json
from pathlib import Path

import pytest

from bartizan.agent import state
from bartizan.agent.errors import Unusable
from bartizan.agent.state import MAX_KEYS, NODE, PROGRESS, Node, Progress, SavedKey, Store
from bartizan.collect.tpm import KeyBlob

PIN = "sha256:" + "ab" * 32
ENROLLED = Node("https://verifier.example", PIN, "compute-1", "compute", "n-1")
PENDING = ENROLLED._replace(node=None, token="join")  # noqa: S106
BUSY = Progress("backing-off", "asking", 1.5, 2.5, 3.5, "gone", 4.5, 3, "fresh", True, ("a", "b"), "r")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "state")
    made.prepare()
    return made


@pytest.mark.parametrize("node", [ENROLLED, PENDING])
def test_a_node_is_kept(store: Store, node: Node) -> None:
    store.save_node(node)

    assert store.load_node() == node


KEY = SavedKey("rsa2048", KeyBlob(b"\0private", b"\xffpublic"))
OTHER_KEY = SavedKey("p256", KeyBlob(b"1", b"2"))


@pytest.mark.parametrize("progress", [BUSY, Progress("waiting")])
def test_progress_is_kept(store: Store, progress: Progress) -> None:
    store.save_progress(progress)

    assert store.load_progress() == progress


def test_a_key_is_kept(store: Store) -> None:
    store.add_key(KEY)
    store.add_key(OTHER_KEY)

    assert store.load_keys() == (OTHER_KEY, KEY)


def test_a_key_is_no_file_that_the_kernel_would_measure_when_root_reads_it(store: Store) -> None:
    store.add_key(KEY)

    assert [path.is_symlink() for path in store.folder.iterdir()] == [True]


def test_so_many_keys_are_kept_and_no_more(store: Store) -> None:
    for _ in range(MAX_KEYS):
        store.add_key(KEY)

    with pytest.raises(Unusable, match="none of them of this TPM; delete them"):
        store.add_key(KEY)


def test_a_key_that_cannot_be_written_is_said(store: Store) -> None:
    store.folder.rmdir()

    with pytest.raises(Unusable, match="ak-0: cannot be written"):
        store.add_key(KEY)


def test_nothing_kept_is_none(store: Store) -> None:
    assert store.load_node() is store.load_progress() is None
    assert store.load_keys() == ()


def test_only_the_owner_can_read(store: Store) -> None:
    store.save_node(PENDING)

    assert store.folder.stat().st_mode & 0o777 == 0o700
    assert (store.folder / NODE).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("raw", [b"", b'{"form": 1, "serv', b"\xff", b"[]", b'{"form": 2}', b"[" * 100_000])
def test_a_damaged_file_is_named_with_what_to_do(store: Store, raw: bytes) -> None:
    for name, load in ((NODE, store.load_node), (PROGRESS, store.load_progress)):
        (store.folder / name).write_bytes(raw)
        with pytest.raises(Unusable, match=rf"{name}: damaged: .* What to do: "):
            load()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("service", None), ("service", 7), ("service", "http://10.0.0.1"), ("service", "ftp://a")],
        *[("pin", "sha256:ab"), ("pin", None), ("name", "a b"), ("role", ""), ("node", "x" * 129), ("token", 1)],
    ],
)
def test_a_node_that_cannot_be_one_is_refused(store: Store, name: str, value: object) -> None:
    store.save_node(ENROLLED)
    path = store.folder / NODE
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), name: value}), "utf-8")

    with pytest.raises(Unusable):
        store.load_node()


@pytest.mark.parametrize(("name", "value"), [("level", "4"), ("level", True), ("keeps_down", [1]), ("since", "x")])
def test_progress_of_other_types_is_refused(store: Store, name: str, value: object) -> None:
    store.save_progress(BUSY)
    path = store.folder / PROGRESS
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), name: value}), "utf-8")

    with pytest.raises(Unusable, match="delete it"):
        store.load_progress()


def test_a_key_that_is_not_hexadecimal_is_refused(store: Store) -> None:
    (store.folder / "ak-0").symlink_to('{"form": 1, "parent": "rsa2048", "private": "zz", "public": ""}')

    with pytest.raises(Unusable, match="private: hexadecimal"):
        store.load_keys()


@pytest.mark.parametrize("text", ["x", '{"form": 1, "serv', "[]", '{"form": 2}'])
def test_a_damaged_key_is_named_with_what_to_do(store: Store, text: str) -> None:
    (store.folder / "ak-0").symlink_to(text)

    with pytest.raises(Unusable, match=r"ak-0: damaged: .* What to do: delete it"):
        store.load_keys()


def test_a_file_in_a_keys_place_is_refused(store: Store) -> None:
    (store.folder / "ak-0").write_text("{}", "ascii")

    with pytest.raises(Unusable, match="ak-0: cannot be read as a link"):
        store.load_keys()


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.save_node(PENDING)

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(state.os, "fsync", full)
    with pytest.raises(Unusable, match=r"node\.json: cannot be written: No space left"):
        store.save_node(ENROLLED)
    assert store.load_node() == PENDING
    assert [path.name for path in store.folder.iterdir()] == [NODE]


def test_a_link_in_the_place_of_a_file_is_not_followed(store: Store, tmp_path: Path) -> None:
    store.save_node(ENROLLED)
    (store.folder / NODE).rename(tmp_path / "elsewhere")
    (store.folder / NODE).symlink_to(tmp_path / "elsewhere")

    with pytest.raises(Unusable, match="cannot be read"):
        store.load_node()


def test_a_folder_that_others_may_write_to_is_refused(store: Store) -> None:
    store.folder.chmod(0o777)

    with pytest.raises(Unusable, match="others may write"):
        store.prepare()


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(Unusable, match="--state"):
        Store(tmp_path / "file" / "state").prepare()


def test_a_folder_is_for_one_agent_at_a_time(store: Store) -> None:
    with store.alone(), pytest.raises(Unusable, match="another bartizan-agent"), Store(store.folder).alone():
        pass
    with store.alone():
        pass


def test_a_folder_that_is_not_there_cannot_be_had_alone(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match="enrol first"), Store(tmp_path / "none").alone():
        pass


def test_a_file_system_without_locks_is_no_reason_to_stop(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_handle: int, _how: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(state.fcntl, "flock", none)
    with store.alone():
        pass
