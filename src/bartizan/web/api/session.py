"""Signing in and out, and who one is."""

from datetime import datetime
from typing import Annotated

import msgspec
from litestar import Response, delete, get, post
from litestar.datastructures import Cookie
from litestar.params import JSONBody
from msgspec import Meta

from bartizan.app.service.passwords import MOST
from bartizan.app.service.signing_in import SESSION_SECONDS, csrf_of, sign_in, sign_out
from bartizan.model.node import Role
from bartizan.web.api.asked import Asked
from bartizan.web.api.caller import Asker, Serving, cookie_name
from bartizan.web.api.operation import Described
from bartizan.web.api.shapes import Body, Name, moment


class Credentials(Body, frozen=True):
    """A name and its password."""

    name: Name
    password: Annotated[str, Meta(min_length=1, max_length=MOST)]


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """A session that was opened; csrf: what each change has to bring in the header X-CSRF-Token."""

    account: str
    role: Role
    csrf: str
    expires_at: datetime


class Self(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks. csrf: of the session, where it is one."""

    account: str
    role: Role
    every_project: bool
    csrf: str | None


@post("/session", operation_id="sign_in", operation_class=Described, summary="Sign in", tags=["session"])
async def open_session(request: Asked, service: Serving, data: JSONBody[Credentials]) -> Response[Opened]:
    """Open a session: the cookie comes in Set-Cookie and is no script's business."""
    address = "" if request.client is None else request.client.host
    opened = await sign_in(service, data.name, data.password, address=address)
    said = Opened(
        account=opened.who.account, role=opened.who.role, csrf=opened.csrf, expires_at=moment(opened.expires_at)
    )
    return Response(said, status_code=201, cookies=[_cookie(request, opened.cookie, SESSION_SECONDS)])


@get("/session", operation_id="who_am_i", operation_class=Described, summary="Who one is", tags=["session"])
async def show_session(request: Asked, who: Asker) -> Self:
    """The account and role that this request counts as."""
    csrf = None if who.session is None else csrf_of(request.cookies[cookie_name(request)])
    return Self(account=who.account, role=who.role, every_project=who.whole, csrf=csrf)


@delete("/session", operation_id="sign_out", operation_class=Described, summary="Sign out", tags=["session"])
async def end_session(request: Asked, service: Serving, who: Asker) -> Response[None]:
    """End the session that the request came in."""
    await sign_out(service, who)
    return Response(None, status_code=204, cookies=[_cookie(request, "", 0)])


def _cookie(request: Asked, value: str, age: int) -> Cookie:
    secure = request.scope["scheme"] == "https"
    name = cookie_name(request)
    return Cookie(key=name, value=value, path="/", max_age=age, httponly=True, samesite="strict", secure=secure)


ROUTES = (open_session, show_session, end_session)
