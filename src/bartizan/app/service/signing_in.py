"""Who asks: by an API token, or by a session that a password opened. It knows no route and no right.

Guesses cost: each password is tried with scrypt, an account that does not exist takes as long as one that does, and
after some failures there is a pause (`attempts`).
"""

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace

import structlog

from bartizan.app.service.admission import DEFAULT_PROJECT_ID
from bartizan.app.service.changes import Deed, Who, change
from bartizan.app.service.passwords import NOBODYS, password_matches
from bartizan.app.service.refusals import Conflict, NotAllowed, SignInNeeded
from bartizan.app.service.service import Service
from bartizan.model.node import Role
from bartizan.store.accounts import (
    Account,
    Session,
    add_session,
    end_session,
    find_account,
    find_api_token,
    find_session,
)

TOKEN_PREFIX = "bzt_"  # noqa: S105  what tokens begin with, so that scanners find lost ones
SECRET_BYTES = 32
SESSION_SECONDS = 8 * 3600
SECOND = 1000
WITHIN: Mapping[Role, frozenset[Role]] = {
    Role.VIEWER: frozenset({Role.VIEWER}),
    Role.OPERATOR: frozenset({Role.VIEWER, Role.OPERATOR}),
    Role.SECURITY_OFFICER: frozenset({Role.VIEWER, Role.SECURITY_OFFICER}),
    Role.AUDITOR: frozenset({Role.VIEWER, Role.AUDITOR}),
}
"""The roles that a token of somebody with this role may have."""
log = structlog.get_logger("bartizan.accounts")


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """A session that was opened: its cookie, what changes must come with, and who it is."""

    cookie: str
    csrf: str
    expires_at: int
    who: Who


def digest_of(secret: str) -> bytes:
    """What is kept of a token, a cookie or a CSRF token."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()


def new_token() -> str:
    """A new API token."""
    return TOKEN_PREFIX + secrets.token_urlsafe(SECRET_BYTES)


def csrf_of(cookie: str) -> str:
    """What changes in a session must come with; it follows from the cookie, which no script and no other site reads."""
    return hmac.digest(cookie.encode("utf-8", "surrogateescape"), b"bartizan-csrf-1", "sha256").hex()


async def by_token(service: Service, token: str, *, address: str) -> Who:
    """Who an API token stands for.

    Raises:
        SignInNeeded: nobody: it is unknown, expired or revoked, its account is disabled or has lost the role.
    """
    found = await service.read(lambda connection: find_api_token(connection, digest_of(token)))
    if found is None:
        raise SignInNeeded("the API token is unknown here")
    kept, account = found
    if kept.revoked_at is not None:
        raise SignInNeeded("the API token was revoked")
    if kept.expires_at is not None and kept.expires_at <= service.clock().milliseconds:
        raise SignInNeeded("the API token has expired")
    if account.disabled or kept.role not in WITHIN[account.role]:
        raise SignInNeeded("the API token's account is disabled, or does not have its role any more")
    return replace(_who(account, address), role=kept.role)


async def by_cookie(service: Service, cookie: str, *, address: str, csrf: str | None) -> Who:
    """Who a session's cookie stands for. csrf: what came with a change; None where nothing is to be changed.

    Raises:
        SignInNeeded: nobody. NotAllowed: the change did not come from our own pages.
    """
    digest = digest_of(cookie)
    found = await service.read(lambda connection: find_session(connection, digest))
    if found is None:
        raise SignInNeeded("the session is unknown here, or was ended")
    kept, account = found
    if kept.expires_at <= service.clock().milliseconds or account.disabled:
        raise SignInNeeded("the session has expired")
    if csrf is not None and not hmac.compare_digest(digest_of(csrf), kept.csrf):
        raise NotAllowed("a change in a session needs the session's CSRF token in the header X-CSRF-Token")
    return replace(_who(account, address), session=digest)


async def sign_in(service: Service, name: str, password: str, *, address: str) -> SignedIn:
    """Open a session.

    Raises:
        SignInNeeded: name and password do not fit. TooOften: too many did not lately, or too many ask now.
    """
    service.attempts.check(name, address)
    account = await service.read(lambda connection: find_account(connection, name=name))
    kept = NOBODYS if account is None or account.password is None else account.password
    async with service.attempts.turn(name, address):
        fits = await asyncio.to_thread(password_matches, password, kept)
        if not fits or account is None or account.disabled:
            service.attempts.failed(name, address)
            log.warning("sign-in failed", account=name, address=address)
            raise SignInNeeded("name and password do not fit")
    service.attempts.succeeded(name, address)
    return await _open(service, _who(account, address))


async def sign_out(service: Service, who: Who) -> None:
    """End the session that the request came in.

    Raises:
        Conflict: it came in none.
    """
    digest = who.session
    if digest is None:
        raise Conflict("an API token has no session to end; revoke it instead")
    await change(
        service, who, lambda connection, _: end_session(connection, digest), lambda _: Deed("session.end", who.account)
    )


async def _open(service: Service, who: Who) -> SignedIn:
    cookie = secrets.token_urlsafe(SECRET_BYTES)
    csrf = csrf_of(cookie)
    now = service.clock().milliseconds
    opened = Session(
        digest=digest_of(cookie),
        account=who.number,
        csrf=digest_of(csrf),
        expires_at=now + SESSION_SECONDS * SECOND,
    )
    await change(
        service,
        who,
        lambda connection, _: add_session(connection, opened, now=now),
        lambda _: Deed("session.begin", who.account),
    )
    return SignedIn(cookie=cookie, csrf=csrf, expires_at=opened.expires_at, who=who)


def _who(account: Account, address: str) -> Who:
    return Who(
        account=account.name,
        number=account.id,
        role=account.role,
        project=account.project,
        whole=account.project == DEFAULT_PROJECT_ID,
        address=address,
    )
