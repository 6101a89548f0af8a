"""Accounts and API tokens: made, changed, revoked. Tokens leave here once and are kept as their digest alone."""

import asyncio
from dataclasses import dataclass

from sqlalchemy import Connection

from bartizan.app.service.admission import DEFAULT_PROJECT_ID
from bartizan.app.service.changes import Deed, Who, change
from bartizan.app.service.passwords import hash_password
from bartizan.app.service.refusals import Conflict, Missing, NotAllowed, Unfit
from bartizan.app.service.service import Service
from bartizan.app.service.signing_in import WITHIN, digest_of, new_token
from bartizan.model.node import Role
from bartizan.store.accounts import (
    Account,
    ApiToken,
    NewApiToken,
    accounts,
    add_account,
    add_api_token,
    api_tokens,
    change_account,
    end_sessions,
    ensure_project,
    find_account,
    revoke_api_token,
)
from bartizan.store.rules import Author


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAccount:
    """An account to make. password: None for one that only tokens are used of."""

    name: str
    role: Role
    project: str
    password: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Alteration:
    """What is to be otherwise about an account; None: as it was."""

    role: Role | None = None
    password: str | None = None
    disabled: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedToken:
    """An API token to make. account: whose; None: the asker's own. expires_at: milliseconds since 1970 UTC."""

    label: str
    role: Role
    account: str | None
    expires_at: int | None


async def make_account(service: Service, who: Who, new: NewAccount) -> Account:
    """A new account.

    Raises:
        ConfigError: the password cannot be one. Conflict: there is one of that name.
    """
    password = await _hashed(service, new.password)

    def run(connection: Connection, author: Author) -> Account:
        where = Author(project=ensure_project(connection, new.project), account=author.account, now=author.now)
        return add_account(connection, new.name, new.role, password=password, author=where)

    return await change(
        service, who, run, lambda made: Deed("account.create", made.name, f"role {made.role}, project {new.project}")
    )


async def alter_account(service: Service, who: Who, name: str, wanted: Alteration) -> Account:
    """An account with other values; whoever is signed in with it is not any more.

    Raises:
        Missing: there is none. Conflict: nobody would be left who can look after accounts.
    """
    password = await _hashed(service, wanted.password)
    values = {"role": wanted.role, "password": password, "disabled": wanted.disabled}
    given = {key: value for key, value in values.items() if value is not None}

    def run(connection: Connection, _: Author) -> Account:
        found = find_account(connection, name=name)
        if found is None:
            raise Missing(f"no account {name!a}")
        change_account(connection, found.id, **given)
        end_sessions(connection, found.id)
        if not _officers(connection):
            raise Conflict("at least one security officer has to stay")
        return find_account(connection, number=found.id) or found

    said = ", ".join("password" if key == "password" else f"{key} {value}" for key, value in given.items())
    return await change(service, who, run, lambda found: Deed("account.change", found.name, said))


async def make_api_token(service: Service, who: Who, wanted: WantedToken) -> tuple[str, ApiToken]:
    """A new API token, and what is kept of it.

    Raises:
        Unfit: no such account. NotAllowed: it is not the asker's to make.
    """
    own = wanted.account in {None, who.account}
    if not own and not (who.whole and who.role is Role.SECURITY_OFFICER):
        raise NotAllowed("tokens of other accounts are made by a security officer of the default project")
    if not own and service.settings.trust.two_persons:
        raise NotAllowed("trust.two_persons is set: nobody makes tokens of other accounts")
    if own and wanted.role not in WITHIN[who.role]:
        raise NotAllowed(f"as {who.role} one cannot make a token for the role {wanted.role}")
    token = new_token()

    def run(connection: Connection, author: Author) -> ApiToken:
        owner = find_account(connection, name=wanted.account or who.account)
        if owner is None:
            raise Unfit(f"account: {wanted.account!a} is none")
        if wanted.role not in WITHIN[owner.role]:
            raise NotAllowed(f"a token of {owner.name} ({owner.role}) cannot have the role {wanted.role}")
        new = NewApiToken(
            account=owner.id,
            label=wanted.label,
            digest=digest_of(token),
            role=wanted.role,
            expires_at=wanted.expires_at,
        )
        return add_api_token(connection, new, author=author)

    def deed(made: ApiToken) -> Deed:
        detail = f"{made.label}: role {made.role} of {wanted.account or who.account}"
        return Deed("api-token.create", str(made.id), detail)

    return token, await change(service, who, run, deed)


async def withdraw_api_token(service: Service, who: Who, number: int) -> None:
    """Make an API token useless.

    Raises:
        Missing: there is none that the asker may revoke, or it was revoked.
    """

    def run(connection: Connection, author: Author) -> None:
        if number not in {one.id for one in seen_tokens(connection, who)}:
            raise Missing(f"no API token {number}")
        if not revoke_api_token(connection, number, now=author.now):
            raise Conflict(f"the API token {number} was revoked before")

    await change(service, who, run, lambda _: Deed("api-token.revoke", str(number)))


def seen_tokens(connection: Connection, who: Who) -> list[ApiToken]:
    """The API tokens that somebody may see: officers and auditors of the default project all, others their own."""
    every = api_tokens(connection)
    if who.whole and who.role in {Role.SECURITY_OFFICER, Role.AUDITOR}:
        return every
    return [one for one in every if one.account == who.number]


def _officers(connection: Connection) -> int:
    """How many can look after accounts."""
    return sum(
        one.role is Role.SECURITY_OFFICER and not one.disabled and one.project == DEFAULT_PROJECT_ID
        for one in accounts(connection)
    )


async def _hashed(service: Service, password: str | None) -> str | None:
    if password is None:
        return None
    async with service.attempts.room:
        return await asyncio.to_thread(hash_password, password)
