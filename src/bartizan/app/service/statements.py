"""Whether what people said beside verdicts was said to this service: it signs each statement, and believes no other.

A row that somebody wrote or changed in the database counts for nothing, and is told in an alarm. What a database can do
is to lose a statement, and to bring back one that was ended before its time, until that time.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import structlog
from sqlalchemy import Connection

from bartizan.app.service.clock import Now
from bartizan.app.service.signing import Signer
from bartizan.errors import ConfigError, ConnectorError, DecodeError, VerifyError
from bartizan.formats.jws import decode_jws
from bartizan.formats.key_file import NamedKey
from bartizan.formats.strict import json_value
from bartizan.model.statement import Statement, StatementKind
from bartizan.store.alarms import alarms, clear_alarms, raise_alarm
from bartizan.store.statements import statements
from bartizan.verify.ear import verify_signer

ALARM = "forged"
REMEMBERED = 4096
"""Signatures whose content is remembered."""
NAMED = 5
"""Rows that the alarm names."""
log = structlog.get_logger("bartizan.service")


@dataclass(slots=True, kw_only=True)
class Statements:
    """Signs and checks them, with the keys that sign results."""

    signer: Signer
    _keys: dict[str, NamedKey] = field(default_factory=dict)
    _read: OrderedDict[bytes, Mapping[str, Any]] = field(default_factory=OrderedDict)

    def signed(self, made: Statement, now: Now) -> Statement:
        """The same with the service's signature.

        Raises:
            ConfigError, ConnectorError: the key cannot be used.
        """
        return replace(made, signature=self.signer.state(made.said, now).encode())

    def believed(self, found: Statement) -> bool:
        """It stands as it was signed."""
        return found.signature is not None and self._content(found.signature) == found.said

    def look(self, connection: Connection, now: Now) -> tuple[str | None, bool]:
        """What to say of rows that are not as they were signed; whether an alarm about it stands."""
        found = [
            one
            for kind in StatementKind
            for one in statements(connection, kind)
            if not self.believed(one) and self._matters(one, now.milliseconds)
        ]
        standing = any(one.kind == ALARM for one in alarms(connection, standing=True))
        return (_why(found) if found else None), standing

    def _matters(self, found: Statement, at: int) -> bool:
        """An unsigned row whose time is over claims nothing; one that was signed otherwise was changed."""
        return found.ends_at > at or (found.signature is not None and self._content(found.signature) is not None)

    def _content(self, signature: bytes) -> Mapping[str, Any] | None:
        """What was signed; None where this service did not sign it."""
        if signature in self._read:
            self._read.move_to_end(signature)
            return self._read[signature]
        try:
            token = decode_jws(signature)
            verify_signer(token, self._known())
            content: Mapping[str, Any] = json_value(token.payload, "statement")
        except (DecodeError, VerifyError):
            return None
        self._read[signature] = content
        while len(self._read) > REMEMBERED:
            self._read.popitem(last=False)
        return content

    def _known(self) -> list[NamedKey]:
        """Every key that this service signs or signed with; those of before while a token is out of reach."""
        try:
            self._keys |= self.signer.known()
        except (ConfigError, ConnectorError) as error:
            log.warning("the keys that sign cannot be read", why=str(error))
        return list(self._keys.values())


def tell(connection: Connection, why: str | None, *, now: Now) -> None:
    """Raise the alarm, or end it."""
    if why is None:
        clear_alarms(connection, ALARM, now=now.milliseconds)
    else:
        raise_alarm(connection, ALARM, why, now=now.milliseconds)


def _why(found: list[Statement]) -> str:
    named = ", ".join(f"{one.kind} {one.id}" for one in found[:NAMED]) + (", …" if len(found) > NAMED else "")
    what = "row counts" if len(found) == 1 else "rows count"
    return (
        f"{len(found)} {what} for nothing: not signed by this service as it stands ({named}); somebody wrote to the"
        " database, the key that signs results was replaced, or the row is from before rows were signed"
    )
