"""Changes that somebody answers for: made and entered in the audit in one transaction. It checks no right.

One after the other, also at several Verifiers: what a change reads before it writes is so when it is committed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from bartizan.app.service.refusals import Conflict
from bartizan.app.service.service import Service
from bartizan.errors import BartizanError
from bartizan.model.node import Role
from bartizan.store.accounts import add_audit
from bartizan.store.alone import Alone, serially
from bartizan.store.rules import Author

Outcome = TypeVar("Outcome")
MAX_TARGET, MAX_DETAIL = 256, 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Who:
    """Somebody known who asks. role: what counts for this request; whole: sees every project.

    session: digest of the cookie, where it is not a token that they came with.
    """

    account: str
    number: int
    role: Role
    project: int
    whole: bool
    address: str
    session: bytes | None = None

    @property
    def sees(self) -> int | None:
        """The only project whose things they see; None for all."""
        return None if self.whole else self.project


@dataclass(frozen=True, slots=True)
class Deed:
    """What was done, as the audit says it: a verb, to what, and what else there is to say."""

    action: str
    target: str
    detail: str = ""


async def change(
    service: Service, who: Who, run: Callable[[Connection, Author], Outcome], deed: Callable[[Outcome], Deed]
) -> Outcome:
    """What a change returns, once it and its entry in the audit are committed.

    Raises:
        BartizanError: what the change raised; nothing was written. Conflict: it would be there twice.
    """
    author = Author(project=who.project, account=who.account, now=service.clock().milliseconds)
    entries: list[dict[str, object]] = []

    def work(connection: Connection) -> Outcome:
        entries.clear()
        serially(connection, Alone.CHANGES)
        outcome = run(connection, author)
        entry = audit_entry(who, deed(outcome), at=author.now)
        entries.append(entry | {"id": add_audit(connection, entry)})
        return outcome

    try:
        found = await service.writer.attempt(work, refusals=(BartizanError, IntegrityError))
    except IntegrityError as error:
        raise Conflict("there is one already") from error
    service.syslog.send(entries)
    return found


def audit_entry(who: Who, deed: Deed, *, at: int) -> dict[str, object]:
    """The audit's row."""
    return {
        "at": at,
        "account": who.account,
        "role": who.role.value,
        "address": who.address[:64],
        "action": deed.action,
        "target": deed.target[:MAX_TARGET],
        "detail": deed.detail[:MAX_DETAIL],
    }
