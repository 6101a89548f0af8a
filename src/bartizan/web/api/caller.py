"""Who asks, and whether they may: the guard in front of every route, before anything of the request's body is read.

A token in the header counts before a cookie, and a bad one is refused even beside a good cookie.
"""

from collections.abc import Mapping
from typing import Any

from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.exceptions import ClientException, HTTPException
from litestar.handlers import BaseRouteHandler
from litestar.params import SkipValidation
from litestar.routes import HTTPRoute

from bartizan.app.service.changes import Who
from bartizan.app.service.refusals import NotAllowed, SignInNeeded
from bartizan.app.service.service import Service
from bartizan.app.service.signing_in import by_cookie, by_token
from bartizan.web.api.asked import Asked
from bartizan.web.api.operation import RAW_BODIES
from bartizan.web.api.rights import RIGHTS, Right

Serving = NamedDependency[SkipValidation[Service]]
Asker = NamedDependency[SkipValidation[Who]]
Connection = ASGIConnection[Any, Any, Any, State]
COOKIE, SECURE_COOKIE = "bartizan", "__Host-bartizan"
CSRF_HEADER = "X-CSRF-Token"
READS = frozenset({"GET", "HEAD"})


async def guard(connection: Connection, handler: BaseRouteHandler) -> None:
    """Let a request pass, or not.

    Raises:
        SignInNeeded, NotAllowed: by whom or what it asks. ClientException: its address cannot be read, its query or
            content type is unknown here.
    """
    _refuse_bad_address(connection)
    operation = str(getattr(handler, "operation_id", None))
    right = RIGHTS.get(operation)
    if right is None:
        raise NotAllowed(f"nobody may {operation}")
    if right.roles:
        connection.scope["user"] = await _entitled(connection, right)
    _refuse_unknown_query(connection, handler)
    _refuse_other_content(connection, operation)


async def _entitled(connection: Connection, right: Right) -> Who:
    who = await who_asks(connection)
    if who.role not in right.roles:
        may = ", ".join(sorted(right.roles))
        raise NotAllowed(f"this needs the role {may}; it was asked for as {who.role}")
    if right.whole and not who.whole:
        raise NotAllowed("this concerns every project's nodes; accounts of the default project may")
    return who


async def who_asks(connection: Connection) -> Who:
    """Who a request comes from.

    Raises:
        SignInNeeded: nobody known. NotAllowed: a change in a session without its CSRF token.
    """
    service: Service = connection.app.state.service
    address = "" if connection.client is None else connection.client.host
    said = connection.headers.get("authorization")
    if said is not None:
        scheme, _, token = said.partition(" ")
        if scheme.lower() != "bearer":
            raise SignInNeeded("Authorization: Bearer and an API token expected")
        return await by_token(service, token.strip(), address=address)
    cookie = connection.cookies.get(cookie_name(connection))
    if not cookie:
        raise SignInNeeded("an API token or a session is needed")
    reads = _reads(connection)
    csrf = None if reads else connection.headers.get(CSRF_HEADER.lower(), "")
    return await by_cookie(service, cookie, address=address, csrf=csrf)


def cookie_name(connection: Connection) -> str:
    """Under TLS the name makes browsers take the cookie from this very host over TLS alone; RFC 6265bis, 4.1.3."""
    return SECURE_COOKIE if connection.scope["scheme"] == "https" else COOKIE


def provide_service(state: State) -> Service:
    """What requests are answered with."""
    service: Service = state.service
    return service


def provide_who(request: Asked) -> Who:
    """Who the guard let pass."""
    who: Who = request.scope["user"]
    return who


def _refuse_bad_address(connection: Connection) -> None:
    """A Host that is no host: the framework reads it only where it words a refusal, and fails there.

    Raises:
        ClientException: it is one.
    """
    try:
        _ = connection.url
    except ValueError as error:
        raise ClientException("Host: the name or address of this service expected") from error


def _refuse_unknown_query(connection: Connection, handler: BaseRouteHandler) -> None:
    known = _query_names(connection, handler)
    given = connection.query_params.dict()
    for name, values in given.items():
        if name not in known:
            expected = ", ".join(sorted(known)) or "none"
            raise ClientException(f"query parameter {name!a} is unknown here; known: {expected}")
        if len(values) > 1:
            raise ClientException(f"query parameter {name!a} is given more than once")


def _query_names(connection: Connection, handler: BaseRouteHandler) -> frozenset[str]:
    names: Mapping[str, frozenset[str]] = connection.app.state.query_names
    return names.get(str(getattr(handler, "operation_id", None)), frozenset())


def query_names(routes: list[HTTPRoute]) -> dict[str, frozenset[str]]:
    """The query parameters that each operation takes."""
    return {
        str(handler.operation_id): frozenset(one.field_alias for one in model.expected_query_params)
        for route in routes
        for handler, model in route.route_handler_map.values()
    }


def _refuse_other_content(connection: Connection, operation: str) -> None:
    """A body that is not what it is read as is refused by its label.

    Raises:
        HTTPException: it has another content type.
    """
    if _reads(connection) or not _has_body(connection):
        return
    expected = RAW_BODIES.get(operation, ("application/json", 0))[0]
    found = connection.headers.get("content-type", "").partition(";")[0].strip().lower()
    if found != expected:
        raise HTTPException(f"{expected} expected, found {found!a}", status_code=415)


def _reads(connection: Connection) -> bool:
    """It changes nothing, by its method."""
    return str(connection.scope.get("method")) in READS


def _has_body(connection: Connection) -> bool:
    headers = connection.headers
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
