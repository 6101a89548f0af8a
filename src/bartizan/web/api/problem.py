"""Refusals as problem documents (RFC 9457): the one place where an error becomes an answer. A bug shows no trace.

What went wrong in the service itself is logged under a number, and the number is all that is told.
"""

import secrets
from collections.abc import Mapping
from http import HTTPStatus

import msgspec
import structlog
from litestar import Response
from litestar.exceptions import HTTPException
from sqlalchemy.exc import DBAPIError

from bartizan.app.service.refusals import (
    Busy,
    Changed,
    Conflict,
    Missing,
    NotAllowed,
    SignInNeeded,
    TooOften,
    Unfit,
    UnknownNode,
)
from bartizan.errors import BartizanError, ConfigError, ConnectorError, DecodeError, PolicyError, VerifyError
from bartizan.store.writer import WriterLost
from bartizan.web.api.asked import Asked
from bartizan.web.api.faults import UNDERSTOOD, fault, said

MEDIA_TYPE = "application/problem+json"
STORE_BUSY = 5
"""Seconds after which to come back when the database cannot be used."""
MAX_DETAIL, MAX_ERRORS = 2000, 100
KINDS: Mapping[type[Exception], tuple[HTTPStatus, str]] = {
    SignInNeeded: (HTTPStatus.UNAUTHORIZED, "sign-in-needed"),
    NotAllowed: (HTTPStatus.FORBIDDEN, "not-allowed"),
    Missing: (HTTPStatus.NOT_FOUND, "missing"),
    UnknownNode: (HTTPStatus.NOT_FOUND, "missing"),
    Conflict: (HTTPStatus.CONFLICT, "conflict"),
    Changed: (HTTPStatus.PRECONDITION_FAILED, "changed"),
    Unfit: (HTTPStatus.UNPROCESSABLE_ENTITY, "unfit"),
    DecodeError: (HTTPStatus.UNPROCESSABLE_ENTITY, "unfit"),
    VerifyError: (HTTPStatus.UNPROCESSABLE_ENTITY, "unfit"),
    PolicyError: (HTTPStatus.UNPROCESSABLE_ENTITY, "unfit"),
    TooOften: (HTTPStatus.TOO_MANY_REQUESTS, "too-often"),
    Busy: (HTTPStatus.SERVICE_UNAVAILABLE, "busy"),
    ConfigError: (HTTPStatus.SERVICE_UNAVAILABLE, "configuration"),
    ConnectorError: (HTTPStatus.SERVICE_UNAVAILABLE, "outside"),
    DBAPIError: (HTTPStatus.SERVICE_UNAVAILABLE, "database"),
    WriterLost: (HTTPStatus.SERVICE_UNAVAILABLE, "database"),
}
"""Status and kind of each error; another one is a bug."""
log = structlog.get_logger("bartizan.api")


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a refusal says. errors: one line for each fault; log: the number under which the service's log has more."""

    type: str
    title: str
    status: int
    detail: str
    errors: tuple[str, ...] = ()
    log: str = ""


def answer(request: Asked, error: Exception) -> Response[bytes]:
    """The answer to a request that failed."""
    found = _of_framework(error, request) if isinstance(error, HTTPException) else _of_ours(error)
    headers: dict[str, str] = {}
    if found.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="bartizan"'
    if isinstance(error, HTTPException):
        headers |= {name: value for name, value in (error.headers or {}).items() if name.lower() == "allow"}
    elif isinstance(error, TooOften | Busy):
        headers["Retry-After"] = str(error.retry_after)
    elif isinstance(error, DBAPIError | WriterLost):
        headers["Retry-After"] = str(STORE_BUSY)
    return Response(msgspec.json.encode(found), status_code=found.status, media_type=MEDIA_TYPE, headers=headers)


def problem(status: HTTPStatus, kind: str, detail: str, *, errors: tuple[str, ...] = (), logged: str = "") -> Problem:
    """A problem document."""
    return Problem(
        type=f"urn:bartizan:problem:{kind}",
        title=kind.replace("-", " ").capitalize(),
        status=status,
        detail=detail[:MAX_DETAIL],
        errors=errors[:MAX_ERRORS],
        log=logged,
    )


def _of_ours(error: Exception) -> Problem:
    kind = next((KINDS[base] for base in type(error).__mro__ if base in KINDS), None)
    if kind is None and isinstance(error, BartizanError):
        kind = (HTTPStatus.BAD_REQUEST, "refused")
    if kind is None:
        return _bug(error)
    if isinstance(error, DBAPIError | WriterLost | ConfigError | ConnectorError):
        number = _logged("the service cannot do its part", error)
        return problem(*kind, "the service cannot do its part now; its log says why", logged=number)
    return problem(*kind, str(error), errors=error.errors if isinstance(error, Unfit) else ())


def _of_framework(error: HTTPException, request: Asked) -> Problem:
    status = HTTPStatus(error.status_code)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _bug(error)
    rows = error.extra if isinstance(error.extra, list) else []
    errors = tuple(fault(row, request) for row in rows)
    detail = UNDERSTOOD if rows else said(error.detail)
    kind = "unusable" if status == HTTPStatus.BAD_REQUEST else status.phrase.lower().replace(" ", "-")
    return problem(status, kind, detail, errors=errors)


def _bug(error: Exception) -> Problem:
    number = _logged("bug", error)
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", "the service failed; its log says how", logged=number)


def _logged(what: str, error: Exception) -> str:
    number = secrets.token_hex(8)
    log.error(what, number=number, exc_info=error)
    return number
