"""The life of Reference Values: proposed, approved, retired or revoked; every step by somebody named."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from sqlalchemy import Connection

from bartizan.app.service.changes import Deed, Who, change
from bartizan.app.service.policies import NAME, second_person
from bartizan.app.service.refusals import Changed, Conflict, Missing, Unfit
from bartizan.app.service.service import Service
from bartizan.formats.reference_file import decode_reference, encode_reference
from bartizan.model.reference import ReferenceSet, ReferenceState
from bartizan.reference.diff import Difference, differences
from bartizan.store.rules import Author, StoredSet, add_set, change_set, find_set

LEADS_TO: Mapping[ReferenceState, frozenset[ReferenceState]] = {
    ReferenceState.PROPOSED: frozenset({ReferenceState.APPROVED, ReferenceState.REVOKED}),
    ReferenceState.APPROVED: frozenset({ReferenceState.RETIRED, ReferenceState.REVOKED}),
    ReferenceState.RETIRED: frozenset({ReferenceState.REVOKED}),
    ReferenceState.REVOKED: frozenset(),
}
"""The steps that there are; whoever wants to go back proposes the set anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A step to take. valid_from, valid_until: of an approval; seen: digest of the document that the asker saw."""

    to: ReferenceState
    reason: str
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    seen: bytes | None = None


async def propose_set(service: Service, who: Who, raw: bytes) -> StoredSet:
    """A new version of a set, as a proposal whatever state its document says.

    Raises:
        DecodeError, Unfit: it is no set's canonical document.
    """
    found = await asyncio.to_thread(_decoded, raw)
    if NAME.fullmatch(found.name) is None:
        raise Unfit("name: 1 to 128 characters of A-Z a-z 0-9 . _ - expected")
    document = await asyncio.to_thread(encode_reference, replace(found, state=ReferenceState.PROPOSED))
    return await change(
        service,
        who,
        lambda connection, author: add_set(connection, found.name, document, ReferenceState.PROPOSED, author=author),
        lambda made: Deed(
            "reference-set.propose", f"reference:{made.name}", f"version {made.version}, {made.digest.hex()}"
        ),
    )


async def take_step(service: Service, who: Who, number: int, step: Step) -> StoredSet:
    """Take a set to another state of its life.

    Raises:
        Missing: there is no such set. Conflict: its state does not lead there. Changed: it is not what the asker saw.
        Unfit: it would be valid for no time. NotAllowed: it needs a second person.
    """
    stored = await service.read(lambda connection: stored_set(connection, number))
    may_go(stored, step)
    if step.to is ReferenceState.APPROVED:
        second_person(service, stored.created_by, who.account)
    document = await asyncio.to_thread(_changed, stored.document, step)

    def run(connection: Connection, author: Author) -> StoredSet:
        if stored_set(connection, number).digest != stored.digest:
            raise Changed("it was changed meanwhile; look at it again")
        approver = author.account if step.to is ReferenceState.APPROVED else None
        change_set(connection, number, document, step.to, approver=approver, now=author.now)
        return stored_set(connection, number)

    def deed(made: StoredSet) -> Deed:
        detail = f"version {made.version}, {made.digest.hex()}: {step.reason}"
        return Deed(f"reference-set.{step.to}", f"reference:{made.name}", detail)

    found = await change(service, who, run, deed)
    await service.reload()
    return found


def compare(connection: Connection, old: int, new: int) -> tuple[Difference, ...]:
    """What one set has otherwise than another.

    Raises:
        Missing: there is no such set.
    """
    one, other = (decode_reference(stored_set(connection, number).document) for number in (old, new))
    return differences(one, other)


def stored_set(connection: Connection, number: int) -> StoredSet:
    """A set by its number.

    Raises:
        Missing: there is none.
    """
    found = find_set(connection, number)
    if found is None:
        raise Missing(f"no Reference Values {number}")
    return found


def may_go(stored: StoredSet, step: Step) -> None:
    """Nothing, if a set may take this step.

    Raises:
        Conflict, Changed: it may not. Unfit: it would be valid for no time.
    """
    if step.valid_from is not None and step.valid_until is not None and step.valid_from >= step.valid_until:
        raise Unfit("valid_until: behind valid_from expected")
    if step.seen is not None and step.seen != stored.digest:
        raise Changed("it was changed since; look at it again")
    if step.to not in LEADS_TO[ReferenceState(stored.state)]:
        raise Conflict(f"{stored.name} version {stored.version} is {stored.state}, which does not lead to {step.to}")


def _changed(document: bytes, step: Step) -> bytes:
    return encode_reference(after_step(decode_reference(document), step))


def after_step(found: ReferenceSet, step: Step) -> ReferenceSet:
    """The set as it is after a step."""
    if step.to is not ReferenceState.APPROVED:
        return replace(found, state=step.to)
    return replace(
        found,
        state=step.to,
        valid_from=_to_the_second(step.valid_from) or found.valid_from,
        valid_until=_to_the_second(step.valid_until) or found.valid_until,
    )


def _to_the_second(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.astimezone(UTC).replace(microsecond=0)


def _decoded(raw: bytes) -> ReferenceSet:
    try:
        return decode_reference(raw)
    except RecursionError as error:
        raise Unfit("Reference Values: nested too deeply") from error
