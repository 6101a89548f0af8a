"""The audit told to syslog as well, one JSON object a line, after its transaction. A failure is only logged."""

import json
import logging
import socket
from collections.abc import Iterable, Mapping
from logging.handlers import SYSLOG_UDP_PORT, SysLogHandler

import structlog

log = structlog.get_logger("bartizan.audit")


class Syslog:
    """address: a socket's path, `host:port` or `host` (UDP); nothing is sent where it is empty."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._handler: SysLogHandler | None = None

    def send(self, entries: Iterable[Mapping[str, object]]) -> None:
        """Tell it."""
        if not self._address:
            return
        try:
            handler = self._handler = self._handler or _open(self._address)
            for entry in entries:
                handler.emit(_record(entry))
        except OSError as error:
            log.warning("syslog cannot be reached", address=self._address, why=str(error))

    def close(self) -> None:
        """Let go of its socket."""
        if self._handler is not None:
            self._handler.close()


class _Handler(SysLogHandler):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  logging's own name
        """Say it once more in our log, where the standard library would write to stderr."""
        log.warning("syslog did not take an audit entry", entry=record.getMessage())


def _open(address: str) -> SysLogHandler:
    if address.startswith("/"):
        return _ready(_Handler(address, facility=SysLogHandler.LOG_AUTHPRIV))
    host, _, port = address.rpartition(":") if ":" in address else (address, "", str(SYSLOG_UDP_PORT))
    handler = _Handler((host, int(port)), facility=SysLogHandler.LOG_AUTHPRIV, socktype=socket.SOCK_DGRAM)
    return _ready(handler)


def _ready(handler: SysLogHandler) -> SysLogHandler:
    handler.setFormatter(logging.Formatter("bartizan-audit: %(message)s"))
    return handler


def _record(entry: Mapping[str, object]) -> logging.LogRecord:
    line = json.dumps(entry, sort_keys=True)
    return logging.LogRecord("bartizan.audit", logging.INFO, "", 0, line, None, None)
