"""What the agent remembers between runs, in one folder: which service and node it is, and how far it came.

    <state>/network/node.json       service, pin, name, role, node id; until enrolled, the join token too
    <state>/network/progress.json   what it is doing, for `status`; nothing relies on it
    <state>/collector/ak-0          the attestation key as the TPM wrapped it; belongs to the privileged half

Files are written whole or not at all, and only their owner can read them. A key is the target of a link: the kernel
measures files that root reads, so a file of each machine's own would be one that no Reference Value knows. Keys of
TPMs that were there before (`ak-1` came after `ak-0`) are kept.
"""

from __future__ import annotations

import binascii
import fcntl
import json
import os
import stat
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Optional, Tuple, Type, TypeVar

from bartizan.agent.errors import Unusable
from bartizan.agent.messages import NAME
from bartizan.agent.transport import parse_address, parse_pin
from bartizan.collect.tpm import KeyBlob

T = TypeVar("T")

DEFAULT_FOLDER = "/var/lib/bartizan-agent"
NODE, PROGRESS, AK = "node.json", "progress.json", "ak-{}"
MAX_KEYS = 8
"""Attestation keys that are kept: one for each TPM that the machine has had."""
MAX_FILE = 1024 * 1024
FORM = 1
"""The version of these files."""


class Node(NamedTuple):
    """Which node this is, and of which service; `node` is its id once it is enrolled, `token` is kept until then."""

    service: str
    pin: Optional[str]
    name: str
    role: str
    node: Optional[str] = None
    token: Optional[str] = None


class Progress(NamedTuple):
    """What the agent is doing; times are seconds since 1970 by the machine's own clock, which may be wrong."""

    state: str
    then: str = ""
    since: float = 0.0
    next_due: Optional[float] = None
    last_success: Optional[float] = None
    last_error: str = ""
    last_error_at: Optional[float] = None
    level: Optional[int] = None
    trust: str = ""
    contraindicated: bool = False
    keeps_down: Tuple[str, ...] = ()
    review: str = ""


class SavedKey(NamedTuple):
    """An attestation key outside of the TPM, and the kind of endorsement key it hangs on."""

    parent: str
    blob: KeyBlob


class Store:
    """One folder of such files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def prepare(self) -> None:
        """Make the folder, for its owner only.

        Raises:
            Unusable: it cannot be made, or others may write to it.
        """
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            mode = self.folder.stat().st_mode
        except OSError as error:
            raise Unusable(f"state folder {self.folder}: {error.strerror}; choose another one with --state") from error
        if mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise Unusable(f"state folder {self.folder}: others may write to it; chmod 700 {self.folder}")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """No other agent uses the folder while the block runs.

        Raises:
            Unusable: one does, or the folder is not there.
        """
        try:
            handle = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise Unusable(f"state folder {self.folder}: {error.strerror}; enrol first") from error
        try:
            self._lock(handle)
            yield
        finally:
            os.close(handle)

    def _lock(self, handle: int) -> None:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Unusable(f"state folder {self.folder}: another bartizan-agent is using it") from error
        except OSError:
            return  # a file system without locks is no reason to stop

    def load_node(self) -> Optional[Node]:
        """Which node this is; None before the first enrolment.

        Raises:
            Unusable: the file cannot be read, or holds something else.
        """
        fields = self._load(NODE, "enrol again, or put the file back from a backup")
        if fields is None:
            return None
        node = Node(
            service=fields.text("service"),
            pin=fields.maybe("pin", str),
            name=fields.text("name"),
            role=fields.text("role"),
            node=fields.maybe("node", str),
            token=fields.maybe("token", str),
        )
        check_node(node)
        return node

    def save_node(self, node: Node) -> None:
        """Keep which node this is.

        Raises:
            Unusable: it cannot be written; without it an enrolment would be lost.
        """
        self._save(NODE, node._asdict())

    def load_progress(self) -> Optional[Progress]:
        """How far the agent came; None where it never ran.

        Raises:
            Unusable: the file cannot be read, or holds something else.
        """
        fields = self._load(PROGRESS, "it is only for reading: delete it, the agent writes it anew")
        if fields is None:
            return None
        return Progress(
            state=fields.text("state"),
            then=fields.maybe("then", str) or "",
            since=fields.maybe("since", float) or 0.0,
            next_due=fields.maybe("next_due", float),
            last_success=fields.maybe("last_success", float),
            last_error=fields.maybe("last_error", str) or "",
            last_error_at=fields.maybe("last_error_at", float),
            level=fields.maybe("level", int),
            trust=fields.maybe("trust", str) or "",
            contraindicated=fields.maybe("contraindicated", bool) or False,
            keeps_down=fields.texts("keeps_down"),
            review=fields.maybe("review", str) or "",
        )

    def save_progress(self, progress: Progress) -> None:
        """Keep how far the agent came.

        Raises:
            Unusable: it cannot be written, which is for the caller to pass over.
        """
        self._save(PROGRESS, progress._asdict())

    def load_keys(self) -> Tuple[SavedKey, ...]:
        """The attestation keys, the newest first.

        Raises:
            Unusable: one cannot be read, or is something else.
        """
        found = []
        for number in range(MAX_KEYS):
            path = self.folder / AK.format(number)
            try:
                raw = os.readlink(path).encode()  # noqa: PTH115  Path.readlink() would make a path of it
            except FileNotFoundError:
                break
            except OSError as error:
                raise Unusable(f"{path}: cannot be read as a link: {error.strerror}") from error
            remedy = "delete it and enrol again: a new key will be made, and a person has to review it"
            fields = _Fields(raw, path, remedy)
            found.append(SavedKey(fields.text("parent"), KeyBlob(fields.octets("private"), fields.octets("public"))))
        return tuple(reversed(found))

    def add_key(self, key: SavedKey) -> None:
        """Keep one more attestation key.

        Raises:
            Unusable: it cannot be written, or there are too many.
        """
        number = len(self.load_keys())
        path = self.folder / AK.format(number)
        if number == MAX_KEYS:
            raise Unusable(f"{self.folder}: {MAX_KEYS} attestation keys, none of them of this TPM; delete them")
        blob = {"private": key.blob.private.hex(), "public": key.blob.public.hex()}
        try:
            path.symlink_to(json.dumps({"form": FORM, "parent": key.parent, **blob}, separators=(",", ":")))
            _sync(self.folder)
        except OSError as error:
            raise Unusable(f"{path}: cannot be written: {error.strerror}") from error

    def _load(self, name: str, remedy: str) -> Optional[_Fields]:
        path = self.folder / name
        try:
            raw = _read(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Unusable(f"{path}: cannot be read: {error.strerror}") from error
        return _Fields(raw, path, remedy)

    def _save(self, name: str, fields: Dict[str, object]) -> None:
        text = json.dumps({"form": FORM, **fields}, indent=1, sort_keys=True) + "\n"
        try:
            _replace(self.folder, name, text.encode())
        except OSError as error:
            raise Unusable(f"{self.folder / name}: cannot be written: {error.strerror}") from error


def check_node(node: Node) -> None:
    """Refuse what no service would take.

    Raises:
        Unusable: an address, pin, name, role or id that cannot be one.
    """
    if parse_address(node.service).tls:
        if node.pin is None:
            raise Unusable(f"service {node.service!a}: with https the pin of its key is needed: --pin sha256:…")
        parse_pin(node.pin)
    for what, text in (("name", node.name), ("role", node.role), ("node", node.node)):
        if text is not None and not NAME.fullmatch(text):
            raise Unusable(f"{what} {text!a:.140}: 1 to 128 characters of A-Z a-z 0-9 . _ - expected")


class _Fields:
    """A file's JSON object; whatever is wrong with it names the file and what to do."""

    def __init__(self, raw: bytes, path: Path, remedy: str) -> None:
        self._path, self._remedy = path, remedy
        try:
            found = json.loads(raw.decode("utf-8"))
        except (ValueError, RecursionError) as error:
            raise self._refuse(f"no JSON: {error}") from error
        if not isinstance(found, dict) or found.get("form") != FORM:
            raise self._refuse(f"a JSON object of form {FORM} expected")
        self._found: Dict[str, object] = found

    def _refuse(self, why: str) -> Unusable:
        return Unusable(f"{self._path}: damaged: {why}. What to do: {self._remedy}")

    def maybe(self, name: str, kind: Type[T]) -> Optional[T]:
        value = self._found.get(name)
        if value is None:
            return None
        if kind is float and isinstance(value, int):
            value = float(value)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise self._refuse(f"{name}: {kind.__name__} expected, found {type(value).__name__}")
        return value

    def text(self, name: str) -> str:
        value = self.maybe(name, str)
        if value is None:
            raise self._refuse(f"{name} is missing")
        return value

    def octets(self, name: str) -> bytes:
        try:
            return binascii.unhexlify(self.text(name))
        except ValueError as error:
            raise self._refuse(f"{name}: hexadecimal digits expected") from error

    def texts(self, name: str) -> Tuple[str, ...]:
        found: List[str] = []
        for value in self.maybe(name, list) or ():
            if not isinstance(value, str):
                raise self._refuse(f"{name}: texts expected")
            found.append(value)
        return tuple(found)


def _read(path: Path) -> bytes:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(handle, "rb") as file:
        return file.read(MAX_FILE + 1)


def _replace(folder: Path, name: str, contents: bytes) -> None:
    """Whole or not at all: a crash leaves the old file or the new one."""
    fresh = folder / f".{name}.new"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        with os.fdopen(os.open(fresh, flags, 0o600), "wb") as file:
            file.write(contents)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(folder / name)
    except OSError:
        with suppress(OSError):
            fresh.unlink()
        raise
    _sync(folder)


def _sync(folder: Path) -> None:
    """What was renamed or made in a folder outlives a crash."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
