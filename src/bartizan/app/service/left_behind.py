"""What `bartizan serve` leaves in its data folder, so that commands on the same machine find and may use it.

`client.json`: where it is reached, and its pin. `admin.token`, `operator.token`, `auditor.token`: API tokens of the
first accounts, made once, when there is no account yet; whoever moves them elsewhere finds no new ones.
"""

from collections.abc import Mapping
from pathlib import Path

import msgspec
from sqlalchemy import Engine

from bartizan.app.service.bootstrap import bootstrap_account
from bartizan.app.service.keys import write_secret
from bartizan.connectors.service.data_folder import CLIENT_FILE, TOKEN_FILES, ClientFile
from bartizan.model.node import Role
from bartizan.store.accounts import accounts

FIRST_ACCOUNTS: Mapping[Role, str] = {
    Role.SECURITY_OFFICER: "admin",
    Role.OPERATOR: "operator",
    Role.AUDITOR: "auditor",
}
"""The accounts of the first hour: who decides, who runs the fleet, who reads evidence and audit; nobody does all."""
ANYWHERE: Mapping[str, str] = {"//0.0.0.0": "//127.0.0.1", "//[::]": "//[::1]"}
"""What listens on every address is reached here by loopback."""


def leave_client_files(engine: Engine, folder: Path, *, url: str, pin: str | None) -> None:
    """Write them. The service's own start is the only one who may.

    Raises:
        ConfigError: the folder cannot be written to.
    """
    for bound, reached in ANYWHERE.items():
        url = url.replace(bound, reached)
    write_secret(folder / CLIENT_FILE, msgspec.json.encode(ClientFile(url=url, pin=pin)) + b"\n")
    with engine.connect() as connection:
        fresh = not accounts(connection)
    if fresh:
        for role, name in FIRST_ACCOUNTS.items():
            token = bootstrap_account(engine, name, role)
            write_secret(folder / TOKEN_FILES[role], token.encode() + b"\n")
