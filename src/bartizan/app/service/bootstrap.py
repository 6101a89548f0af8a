"""The first account: made on the service's own machine, by who may write its database. No service has to run."""

import time

from sqlalchemy import Engine

from bartizan.app.service.signing_in import digest_of, new_token
from bartizan.errors import ConfigError
from bartizan.model.node import Role
from bartizan.store.accounts import (
    NewApiToken,
    add_account,
    add_api_token,
    add_audit,
    ensure_default_project,
    find_account,
)
from bartizan.store.rules import Author

LOCAL = "local command"
DAY = 24 * 3600 * 1000
TOKEN_DAYS = 365


def bootstrap_account(engine: Engine, name: str, role: Role) -> str:
    """A new API token of this account, which is made if there is none; it is in the audit.

    Raises:
        ConfigError: there is an account of this name with another role.
    """
    now = time.time_ns() // 1_000_000
    token = new_token()
    with engine.begin() as connection:
        author = Author(project=ensure_default_project(connection), account=LOCAL, now=now)
        account = find_account(connection, name=name)
        if account is None:
            account = add_account(connection, name, role, password=None, author=author)
        if account.role is not role or account.disabled:
            state = "is disabled" if account.disabled else f"is {account.role}"
            raise ConfigError(f"account {name} {state}; {role} was asked for: take another name")
        new = NewApiToken(
            account=account.id,
            label="first token",
            digest=digest_of(token),
            role=role,
            expires_at=now + TOKEN_DAYS * DAY,
        )
        made = add_api_token(connection, new, author=author)
        entry = {"at": now, "account": LOCAL, "role": role.value, "address": "local", "action": "api-token.create"}
        add_audit(connection, entry | {"target": str(made.id), "detail": f"first token of {name} ({role})"})
    return token
