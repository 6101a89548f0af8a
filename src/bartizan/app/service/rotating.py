"""A new key for signing results, by a person's wish."""

from sqlalchemy import Connection

from bartizan.app.service.changes import Deed, Who, change
from bartizan.app.service.refusals import Conflict
from bartizan.app.service.service import Service
from bartizan.store.rules import Author

SECOND = 1000


async def rotate_keys(service: Service, who: Who) -> int:
    """Make a new key; when it will sign, in milliseconds since 1970 UTC.

    Raises:
        Conflict: one is announced already, or the operator's own key signs. ConfigError: it cannot be written.
    """
    now, signer = service.clock(), service.signer
    if signer.own is not None:
        raise Conflict("trust.ear_key in the settings names the key that signs; to change it, put another file there")

    def run(_: Connection, __: Author) -> int:
        if signer.announcing(now):
            raise Conflict("a new key is announced already; it has to be in use before the next one")
        signer.rotate(now)
        return now.milliseconds + signer.announced * SECOND

    return await change(service, who, run, lambda _: Deed("keys.rotate", "result keys"))
