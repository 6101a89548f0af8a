"""Join tokens: each lets one node of one name and role in, once. They leave here once and are kept as their digest."""

import secrets
import shlex
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from bartizan.app.service.changes import Deed, Who, change
from bartizan.app.service.keys import pin_of
from bartizan.app.service.refusals import Conflict, Missing
from bartizan.app.service.service import Service
from bartizan.store.joining import JoinToken, add_token, find_join_token, token_digest, withdraw_token
from bartizan.store.rules import Author

TOKEN_PREFIX = "bzj_"  # noqa: S105  what join tokens begin with, so that scanners find lost ones
SECRET_BYTES = 32
SECOND = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A new join token, what is kept of it, and the line that enrols the node."""

    token: str
    kept: JoinToken
    line: str


async def make_join_token(service: Service, who: Who, *, name: str, role: str, seconds: int, url: str) -> Made:
    """A token for one node. url: how its agent reaches the service."""
    token = TOKEN_PREFIX + secrets.token_urlsafe(SECRET_BYTES)

    def run(connection: Connection, author: Author) -> JoinToken:
        ends = author.now + seconds * SECOND
        return add_token(connection, token_digest(token), node_name=name, role=role, expires_at=ends, author=author)

    def deed(made: JoinToken) -> Deed:
        return Deed("join-token.create", f"node:{made.node_name}", f"token {made.id}, role {made.role}")

    kept = await change(service, who, run, deed)
    return Made(token=token, kept=kept, line=enrol_line(service, token, name=name, role=role, url=url))


async def cancel_join_token(service: Service, who: Who, number: int) -> None:
    """Make a join token useless.

    Raises:
        Missing: there is none that the asker may see. Conflict: it was used, or is useless already.
    """

    def run(connection: Connection, author: Author) -> JoinToken:
        found = find_join_token(connection, number, project_id=who.sees)
        if found is None:
            raise Missing(f"no join token {number}")
        if not withdraw_token(connection, number, now=author.now):
            how = "was used" if found.used_at is not None else "has expired or was withdrawn"
            raise Conflict(f"the join token {number} {how} already: it lets nobody in")
        return found

    await change(
        service, who, run, lambda found: Deed("join-token.withdraw", f"node:{found.node_name}", f"token {number}")
    )


def enrol_line(service: Service, token: str, *, name: str, role: str, url: str) -> str:
    """What to type on the node, as root."""
    words = ["bartizan-agent", "enrol", "--service", url, "--name", name, "--role", role]
    pin = service_pin(service) if url.startswith("https:") else None
    if pin is not None:
        words += ["--pin", pin]
    return f"BARTIZAN_TOKEN={token} {shlex.join(words)}"


def service_pin(service: Service) -> str | None:
    """What agents know the service by; None where it has no certificate: TLS ends elsewhere.

    Raises:
        ConfigError: the certificate cannot be read.
    """
    listen = service.settings.listen
    certificate = Path(listen.certificate) if listen.certificate else service.settings.keys / "tls.crt"
    return pin_of(certificate) if certificate.is_file() else None
