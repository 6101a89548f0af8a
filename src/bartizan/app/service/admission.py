"""Who may join, and on whose word: a registration, a join token or a person; nobody enrolled is replaced silently.

It reads and writes in the caller's transaction, one enrolment after the other, and believes that the keys were proved.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from sqlalchemy import Connection

from bartizan.app.service.clock import Now
from bartizan.app.service.refusals import EnrolError
from bartizan.model.node import NodeRecord
from bartizan.model.protocol import EnrolRequest
from bartizan.store.alone import Alone, serially
from bartizan.store.joining import (
    APPROVED,
    OPEN,
    REJECTED,
    RegisteredEk,
    Review,
    add_review,
    close_review,
    find_registered,
    find_review,
    find_token,
    open_reviews,
    token_digest,
)
from bartizan.store.nodes import enrolled_as, enrolled_since, retired_since
from bartizan.store.rules import Author

DEFAULT_PROJECT_ID = 1
"""The first project's row number: where nodes belong that nobody has put anywhere yet."""
MAX_OPEN_REVIEWS = 1000
"""Enrolments that wait for a person; beyond that, nobody unknown may ask."""
MAX_OPEN_REVIEWS_OF_EK = 4
"""Of them for one TPM: whoever has one cannot keep all others out."""


class Keys(NamedTuple):
    """The Names of a node's keys."""

    ek_name: bytes
    ak_name: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """Why a node may come in. replaces: whom it replaces, by a person's decision; same: it is enrolled already.

    review: the one that says so, and does so once.
    """

    by: str
    project: int
    token: int | None = None
    registered: bool = False
    replaces: tuple[NodeRecord, ...] = ()
    same: NodeRecord | None = None
    review: int | None = None
    approver: str | None = None


def admitted(connection: Connection, request: EnrolRequest, keys: Keys, now: Now) -> Admission | Review:
    """Why a node with a proved EK may come in, or the review that has to say so.

    Steps: (1) it is enrolled already, with these very keys; (2) a registration or a token says that it may, and nobody
    has its name or EK; (3) a person decides about everything else. A registration that is older than the retirement of
    a node with its EK is spent: it proves whose the EK is, and lets nobody in.

    Raises:
        EnrolError: it may not.
    """
    serially(connection, Alone.ENROLMENT)
    present = enrolled_as(connection, name=request.name, ek_name=keys.ek_name)
    wanted = (request.name, request.role, *keys)
    for one in present:  # (1)
        if (one.name, one.role, one.ek_name, one.ak_name) == wanted:
            return Admission(by="itself", project=one.project, same=one)
    listed = find_registered(connection, keys.ek_name)
    known = _standing_review(connection, request, keys, present)
    admission: Admission | None = None
    if listed is not None and (listed.node_name, listed.role) != (request.name, request.role):
        expected = f"{listed.node_name} ({listed.role})"
        raise EnrolError(f"this EK is registered for {expected}, found {request.name} ({request.role})")
    if listed is not None and not retired_since(connection, keys.ek_name, listed.created_at):  # (2)
        admission = Admission(by="registration", project=listed.project)
    elif request.token is not None and (known is None or (known.state != APPROVED and not present)):
        admission = _by_token(connection, request, now)
    if admission is not None and not present:
        return replace(admission, registered=listed is not None)
    if known is None:  # (3)
        said = admission or listed
        known = _put_before_a_person(connection, request, keys, said, present=present, now=now)
    if known.state == REJECTED:
        raise EnrolError(f"rejected by {known.decided_by}: {known.reason}")
    return known if known.state == OPEN else _by_review(known, listed, present)


def _by_token(connection: Connection, request: EnrolRequest, now: Now) -> Admission:
    """The admission that a token gives.

    Raises:
        EnrolError: it gives none.
    """
    token = find_token(connection, token_digest(request.token or ""))
    if token is None:
        raise EnrolError("the join token is unknown here")
    if token.used_at is not None:
        raise EnrolError("the join token was used already; each enrols one node once")
    if token.expires_at <= now.milliseconds:
        raise EnrolError("the join token has expired; an operator makes another one with: bartizan token create")
    if (token.node_name, token.role) != (request.name, request.role):
        expected = f"{token.node_name} ({token.role})"
        raise EnrolError(f"the join token is for {expected}, found {request.name} ({request.role})")
    return Admission(by=f"token {token.id} of {token.created_by}", project=token.project, token=token.id)


def _standing_review(
    connection: Connection, request: EnrolRequest, keys: Keys, present: Sequence[NodeRecord]
) -> Review | None:
    """The review of these keys under this name.

    One made before somebody came who would be replaced says nothing, nor does one of a project that they are not of.
    """
    known = find_review(
        connection, ek_name=keys.ek_name, ak_name=keys.ak_name, node_name=request.name, role=request.role
    )
    if known is None or known.state == REJECTED:
        return known
    if not decides(known.project, present) or enrolled_since(connection, [one.id for one in present], known.created_at):
        close_review(connection, known.id)
        return None
    return known


def decides(project: int, present: Sequence[NodeRecord]) -> bool:
    """A project's people may have these nodes replaced: all are its own, or it is the default one, which sees all."""
    return project == DEFAULT_PROJECT_ID or all(one.project == project for one in present)


def _by_review(known: Review, listed: RegisteredEk | None, present: Sequence[NodeRecord]) -> Admission:
    """The admission that a person gave; it replaces whom that person saw."""
    return Admission(
        by=f"review {known.id}",
        project=known.project,
        registered=listed is not None,
        replaces=tuple(present),
        review=known.id,
        approver=known.decided_by,
    )


def _put_before_a_person(
    connection: Connection,
    request: EnrolRequest,
    keys: Keys,
    said: Admission | RegisteredEk | None,
    *,
    present: Sequence[NodeRecord],
    now: Now,
) -> Review:
    """A new review. said: what speaks for it, and is not enough.

    Raises:
        EnrolError: too many wait already.
    """
    if open_reviews(connection) >= MAX_OPEN_REVIEWS:
        raise EnrolError(f"{MAX_OPEN_REVIEWS} enrolments wait for a review already; ask with a join token")
    if open_reviews(connection, ek_name=keys.ek_name) >= MAX_OPEN_REVIEWS_OF_EK:
        raise EnrolError(f"{MAX_OPEN_REVIEWS_OF_EK} enrolments of this TPM wait for a review already")
    kind, why = _unusual(request, keys, present, spent=isinstance(said, RegisteredEk))
    wanted = said.project if said is not None else present[0].project if present else DEFAULT_PROJECT_ID
    project = wanted if decides(wanted, present) else DEFAULT_PROJECT_ID
    new = {
        "kind": kind,
        "why": why,
        "node_name": request.name,
        "role": request.role,
        "ek_name": keys.ek_name,
        "ak_name": keys.ak_name,
    }
    return add_review(connection, new, author=Author(project=project, account="agent", now=now.milliseconds))


def _unusual(request: EnrolRequest, keys: Keys, present: Sequence[NodeRecord], *, spent: bool) -> tuple[str, str]:
    """What a person has to look at: a kind, and a sentence."""
    by_name = next((one for one in present if one.name == request.name), None)
    by_ek = next((one for one in present if one.ek_name == keys.ek_name), None)
    if by_name is None and by_ek is None and spent:
        why = f"{request.name} ({request.role}) asks to join; a node with its TPM was retired after it was registered"
        return "retired-node", why
    if by_name is None and by_ek is None:
        return "unknown-node", f"{request.name} ({request.role}) asks to join, without a token or a registration"
    if by_ek is None:
        why = f"another TPM asks to be {request.name}: a board swap, or a takeover of the name"
        return "other-tpm", why
    if by_name is None or by_name.id != by_ek.id:
        why = f"the TPM of {by_ek.name} asks to be {request.name}: a renamed machine, or a takeover of the name"
        return "other-name", why
    if by_ek.ak_name != keys.ak_name:
        why = f"the TPM of {request.name} shows another attestation key: the agent's state was lost, or swapped"
        return "other-ak", why
    return "other-role", f"{request.name} asks for the role {request.role}; it is enrolled as {by_ek.role}"
