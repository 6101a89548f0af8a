"""The files of a repository's mirror, by URL or from a folder. Nothing it hands out is believed here."""

import urllib.error
import urllib.request
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, unquote, urlsplit

from bartizan.errors import ConfigError, ConnectorError

SECONDS = 60.0
"""Without a byte for so long, the mirror counts as gone."""
ATTEMPTS = 3
CONNECTIONS = 4
LARGE = 32 * 1024 * 1024
"""Bytes over which a file is fetched by itself."""


class Mirror(Protocol):
    """Where a repository's files come from; `by_hash`: indexes can be asked for under their digest."""

    @property
    def by_hash(self) -> bool:
        """Indexes can be asked for under their digest."""
        ...

    def fetch(self, path: str, *, limit: int) -> bytes:
        """A file below the mirror's root, at most `limit` bytes.

        Raises:
            ConnectorError: it is not there, cannot be read, or is over the limit.
        """
        ...


@dataclass(frozen=True, slots=True)
class FolderMirror:
    """A mirror on disk, as apt-mirror, debmirror or reprepro lay it out: `dists/` and `pool/`."""

    folder: Path
    by_hash: bool = False

    def fetch(self, path: str, *, limit: int) -> bytes:
        """The file's bytes.

        Raises:
            ConnectorError: it is not there, cannot be read, or is over the limit.
        """
        target = (self.folder / path).resolve()
        if not target.is_relative_to(self.folder.resolve()):
            raise ConnectorError(f"{path}: leads out of the mirror's folder")
        try:
            with target.open("rb") as stream:
                return _bounded(stream.read(limit + 1), path, limit=limit)
        except OSError as error:
            raise ConnectorError(f"{self.folder / path}: {error.strerror}") from error


@dataclass(frozen=True, slots=True)
class WebMirror:
    """A mirror by http or https; the transport is not trusted, so plain http is as good."""

    url: str
    by_hash: bool = True

    def fetch(self, path: str, *, limit: int) -> bytes:
        """The file's bytes; a connection that breaks is tried again.

        Raises:
            ConnectorError: the mirror refuses, is gone, or sends more than the limit.
        """
        address = f"{self.url}/{quote(path)}"
        for left in reversed(range(ATTEMPTS)):
            try:
                with urllib.request.urlopen(address, timeout=SECONDS) as answer:  # noqa: S310  # http(s) only, below
                    return _bounded(answer.read(limit + 1), path, limit=limit)
            except urllib.error.HTTPError as error:
                with error:
                    raise ConnectorError(f"{address}: the mirror answers {error.code} {error.reason}") from error
            except (OSError, HTTPException) as error:
                if not left:
                    raise ConnectorError(f"{address}: {error}") from error
        raise AssertionError(ATTEMPTS)


def _bounded(raw: bytes, path: str, *, limit: int) -> bytes:
    if len(raw) > limit:
        raise ConnectorError(f"{path}: over the limit of {limit} bytes")
    return raw


def fetch_ahead(mirror: Mirror, wanted: Iterable[tuple[str, int]]) -> Iterator[bytes | ConnectorError]:
    """Files by path and limit, in the order asked for, a few being fetched at the same time; or what went wrong.

    Large files are fetched one by one, so that memory holds a single one.
    """
    waiting: deque[Future[bytes]] = deque()
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        for path, limit in wanted:
            while waiting and (len(waiting) == CONNECTIONS or limit > LARGE):
                yield _outcome(waiting.popleft())
            waiting.append(pool.submit(mirror.fetch, path, limit=limit))
            if limit > LARGE:
                yield _outcome(waiting.popleft())
        while waiting:
            yield _outcome(waiting.popleft())


def _outcome(future: Future[bytes]) -> bytes | ConnectorError:
    try:
        return future.result()
    except ConnectorError as error:
        return error


def open_mirror(where: str) -> Mirror:
    """A mirror from what the operator wrote: a folder, `file:` URL, or http(s) URL.

    Raises:
        ConfigError: another scheme, or a folder that is not there.
    """
    parts = urlsplit(where)
    if parts.scheme in ("http", "https") and parts.hostname:
        return WebMirror(where.rstrip("/"))
    if parts.scheme not in ("", "file"):
        raise ConfigError(f"{where}: a folder or an http, https or file URL expected")
    folder = Path(unquote(parts.path)) if parts.scheme else Path(where)
    if not folder.is_dir():
        raise ConfigError(f"{where}: there is no such folder")
    return FolderMirror(folder)
