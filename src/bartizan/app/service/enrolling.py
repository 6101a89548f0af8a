"""Enrolment as a service: who may come in, proof that the keys live in one TPM, and nobody replaced silently.

A node comes in by a join token for its name and role, by an EK registered beforehand, or after a person's review. What
would replace an enrolled name, EK or AK is always reviewed: a board swap and a cleared TPM look like a takeover.
"""

import asyncio
import hashlib
import hmac
import os
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import IntegrityError

from bartizan.app.enrol_node import SECRET_BYTES, open_enrolment
from bartizan.app.service.clock import Clock, Now
from bartizan.app.service.identity import reported_identity
from bartizan.app.service.refusals import EnrolError, InReview
from bartizan.app.service.settings import Attestation
from bartizan.errors import VerifyError
from bartizan.formats.agent_message import decode_enrol
from bartizan.formats.tpm2 import encode_credential
from bartizan.model.certificate import TrustAnchors
from bartizan.model.digest import SIZES, HashAlg
from bartizan.model.evidence import Enrolment, ReportedIdentity
from bartizan.model.node import NodeRecord
from bartizan.model.protocol import EnrolRequest
from bartizan.model.tpm import PublicArea
from bartizan.store.joining import (
    APPROVED,
    OPEN,
    REJECTED,
    PendingEnrolment,
    Review,
    add_review,
    begin_enrolment,
    close_review,
    drop_enrolment,
    find_enrolment,
    find_registered,
    find_review,
    find_token,
    open_reviews,
    token_digest,
    use_token,
)
from bartizan.store.nodes import NewNode, add_node, enrolled_as, enrolled_since, retire_node
from bartizan.store.rules import Author
from bartizan.store.writer import Writer
from bartizan.verify.credential import Entropy, ek_key
from bartizan.verify.identity import verify_endorsement

DEFAULT_PROJECT = 1
"""Where nodes belong that nobody has put anywhere yet."""
MAX_OPEN_REVIEWS = 1000
"""Enrolments that wait for a person; beyond that, nobody unknown may ask."""
MAX_OPEN_REVIEWS_OF_EK = 4
"""Of them for one TPM: whoever has one cannot keep all others out."""
RETRY_REVIEW = 60
"""Seconds after which a node asks again whether it was decided."""
PINNED = (HashAlg.SHA256, HashAlg.SHA384, HashAlg.SHA512)
"""Banks that may decide, the first one that firmware filled; SHA-1 never does."""
ENROLMENT_BYTES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A credential for a node that may enrol, and the seconds it has to answer."""

    enrolment: bytes
    id_object: bytes
    encrypted_secret: bytes
    expires_in: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolled:
    """A node that is enrolled now. replaced: ids of nodes that are enrolled no more, by a person's decision."""

    record: NodeRecord
    replaced: tuple[str, ...] = ()


class _Keys(NamedTuple):
    """The Names of a node's keys."""

    ek_name: bytes
    ak_name: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Admission:
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


@dataclass(slots=True, kw_only=True)
class Enrolling:
    """The use case, with what it needs. anchors: accepted TPM CAs."""

    engine: Engine
    writer: Writer
    anchors: TrustAnchors
    settings: Attestation
    clock: Clock

    async def enrol(self, request: EnrolRequest, raw: bytes) -> Opened:
        """A credential for a node that may enrol. raw: the request as it came.

        Raises:
            DecodeError, VerifyError, EnrolError: it may not. InReview: a person has to decide.
        """
        now, identity = self.clock(), reported_identity(request)
        _pinned(request)
        await asyncio.to_thread(self._prove, identity, now)
        admitted = await self.writer.submit(lambda connection: _admitted(connection, request, identity, now))
        if isinstance(admitted, Review):
            raise _in_review(admitted)
        secret = os.urandom(SECRET_BYTES)
        credential = open_enrolment(identity, secret=secret, entropy=_entropy(identity))
        id_object, encrypted = encode_credential(credential)
        pending = PendingEnrolment(
            id=os.urandom(ENROLMENT_BYTES),
            request=raw,
            secret=secret,
            expires_at=now.milliseconds + self.settings.enrolment * 1000,
        )
        await self.writer.submit(lambda connection: begin_enrolment(connection, pending, now=now.milliseconds))
        return Opened(
            enrolment=pending.id,
            id_object=id_object,
            encrypted_secret=encrypted,
            expires_in=self.settings.enrolment,
        )

    async def activate(self, enrolment: bytes, secret: bytes) -> Enrolled:
        """The node that opened the credential. The same answer again gives the same node: its reply may have been lost.

        Raises:
            EnrolError: there is no such enrolment, or it has expired. VerifyError: the secret is not what was sent.
            InReview: something changed meanwhile, and a person has to decide.
        """
        now = self.clock()
        waiting = await self.writer.submit(
            lambda connection: find_enrolment(connection, enrolment, now=now.milliseconds)
        )
        if waiting is None:
            raise EnrolError("no enrolment of this number waits for an answer: it has expired, or never was")
        raw, digest = waiting
        if not hmac.compare_digest(hashlib.sha256(secret).digest(), digest):
            await self.writer.submit(lambda connection: drop_enrolment(connection, enrolment))
            raise VerifyError("identity.ak-residency", "the activation's answer is not the secret that was sent")
        try:
            found = await self.writer.submit(lambda connection: self._enrolled(connection, raw, now))
        except IntegrityError as error:
            raise EnrolError("the name or its EK was enrolled by somebody else meanwhile") from error
        if isinstance(found, Review):
            raise _in_review(found)
        return found

    def _prove(self, identity: ReportedIdentity, now: Now) -> None:
        """The EK is registered, or its certificate leads to an accepted CA.

        Raises:
            VerifyError: neither.
        """
        name = _ek(identity).name
        with self.engine.connect() as connection:
            listed = find_registered(connection, name)
        enrolment = Enrolment(anchors=self.anchors, registered_ek=None if listed is None else name)
        verify_endorsement(identity, enrolment=enrolment, now=now.date)

    def _enrolled(self, connection: Connection, raw: bytes, now: Now) -> Enrolled | Review:
        request = decode_enrol(raw)
        identity = reported_identity(request)
        admission = _admitted(connection, request, identity, now)
        if isinstance(admission, Review):
            return admission
        if admission.same is not None:
            return Enrolled(record=admission.same)
        _use_up(connection, admission, now)
        for gone in admission.replaces:
            retire_node(connection, gone.id, at=now.milliseconds)
        new = NewNode(
            uid=uuid.uuid4().hex,
            name=request.name,
            role=request.role,
            project=admission.project,
            ek_name=_ek(identity).name,
            ak_name=identity.ak.name,
            identity=raw,
            registered=admission.registered,
            banks=_banks(request),
            pinned=_pinned(request),
            enrolled_by=admission.by,
            approver=admission.approver,
        )
        due = now.milliseconds + self.settings.period * 1000
        record = add_node(connection, new, now=now.milliseconds, due=due)
        return Enrolled(record=record, replaced=tuple(gone.uid for gone in admission.replaces))


def _use_up(connection: Connection, admission: _Admission, now: Now) -> None:
    """What lets a node in does so once.

    Raises:
        EnrolError: its token was used meanwhile.
    """
    if admission.review is not None:
        close_review(connection, admission.review)
    if admission.token is not None and not use_token(connection, admission.token, now=now.milliseconds):
        raise EnrolError("the join token was used meanwhile")


def _admitted(
    connection: Connection, request: EnrolRequest, identity: ReportedIdentity, now: Now
) -> _Admission | Review:
    """Why a node with a proved EK may come in, or the review that has to say so.

    Steps: (1) it is enrolled already, with these very keys; (2) a registration or a token says that it may, and nobody
    has its name or EK; (3) a person decides about everything else.

    Raises:
        EnrolError: it may not.
    """
    ek_name, ak_name = _ek(identity).name, identity.ak.name
    present = enrolled_as(connection, name=request.name, ek_name=ek_name)
    wanted = (request.name, request.role, ek_name, ak_name)
    for one in present:  # (1)
        if (one.name, one.role, one.ek_name, one.ak_name) == wanted:
            return _Admission(by="itself", project=one.project, same=one)
    keys, listed = _Keys(ek_name, ak_name), find_registered(connection, ek_name)
    known = _standing_review(connection, request, keys, present)
    admission: _Admission | None = None
    if listed is not None:  # (2)
        if (listed.node_name, listed.role) != (request.name, request.role):
            expected = f"{listed.node_name} ({listed.role})"
            raise EnrolError(f"this EK is registered for {expected}, found {request.name} ({request.role})")
        admission = _Admission(by="registration", project=listed.project, registered=True)
    elif request.token is not None and (known is None or (known.state != APPROVED and not present)):
        admission = _by_token(connection, request, now)
    if admission is not None and not present:
        return admission
    if known is None:  # (3)
        known = _put_before_a_person(connection, request, keys, admission, present=present, now=now)
    if known.state == REJECTED:
        raise EnrolError(f"rejected by {known.decided_by}: {known.reason}")
    return known if known.state == OPEN else _by_review(known, admission, present)


def _by_token(connection: Connection, request: EnrolRequest, now: Now) -> _Admission:
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
    return _Admission(by=f"token {token.id} of {token.created_by}", project=token.project, token=token.id)


def _standing_review(
    connection: Connection, request: EnrolRequest, keys: _Keys, present: Sequence[NodeRecord]
) -> Review | None:
    """The review of these keys under this name; one made before somebody came who would be replaced says nothing."""
    known = find_review(
        connection, ek_name=keys.ek_name, ak_name=keys.ak_name, node_name=request.name, role=request.role
    )
    if known is None or known.state == REJECTED:
        return known
    if enrolled_since(connection, [one.id for one in present], known.created_at):
        close_review(connection, known.id)
        return None
    return known


def _by_review(known: Review, admission: _Admission | None, present: Sequence[NodeRecord]) -> _Admission:
    """The admission that a person gave; it replaces whom that person saw."""
    return _Admission(
        by=f"review {known.id}",
        project=known.project,
        registered=admission is not None and admission.registered,
        replaces=tuple(present),
        review=known.id,
        approver=known.decided_by,
    )


def _put_before_a_person(
    connection: Connection,
    request: EnrolRequest,
    keys: _Keys,
    admission: _Admission | None,
    *,
    present: Sequence[NodeRecord],
    now: Now,
) -> Review:
    """A new review.

    Raises:
        EnrolError: too many wait already.
    """
    if open_reviews(connection) >= MAX_OPEN_REVIEWS:
        raise EnrolError(f"{MAX_OPEN_REVIEWS} enrolments wait for a review already; ask with a join token")
    if open_reviews(connection, ek_name=keys.ek_name) >= MAX_OPEN_REVIEWS_OF_EK:
        raise EnrolError(f"{MAX_OPEN_REVIEWS_OF_EK} enrolments of this TPM wait for a review already")
    kind, why = _unusual(request, keys, present)
    project = admission.project if admission is not None else present[0].project if present else DEFAULT_PROJECT
    new = {
        "kind": kind,
        "why": why,
        "node_name": request.name,
        "role": request.role,
        "ek_name": keys.ek_name,
        "ak_name": keys.ak_name,
    }
    return add_review(connection, new, author=Author(project=project, account="agent", now=now.milliseconds))


def _unusual(request: EnrolRequest, keys: _Keys, present: Sequence[NodeRecord]) -> tuple[str, str]:
    """What a person has to look at: a kind, and a sentence."""
    by_name = next((one for one in present if one.name == request.name), None)
    by_ek = next((one for one in present if one.ek_name == keys.ek_name), None)
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


def _in_review(review: Review) -> InReview:
    """What a node is told whose enrolment waits for a person."""
    return InReview(review.why, review=review.id, retry_in=RETRY_REVIEW)


def _ek(identity: ReportedIdentity) -> PublicArea:
    if identity.ek is None:
        raise AssertionError("an enrolment request always has an EK")
    return identity.ek


def _banks(request: EnrolRequest) -> tuple[HashAlg, ...]:
    """The active banks that are known here."""
    return tuple(HashAlg(bank) for bank in sorted(request.banks) if bank in SIZES)


def _pinned(request: EnrolRequest) -> HashAlg:
    """The bank that decides.

    Raises:
        EnrolError: firmware filled none that may.
    """
    for bank in PINNED:
        if request.banks.get(bank):
            return bank
    active = ", ".join(bank.label for bank in _banks(request)) or "none"
    raise EnrolError(
        f"a PCR bank of sha256, sha384 or sha512 that firmware extends expected, found {active}; "
        "switch the sha256 bank on in the firmware's TPM settings"
    )


def _entropy(identity: ReportedIdentity) -> Entropy:
    """Fresh randomness of the kind that a credential for this EK needs."""
    ek = _ek(identity)
    key = ek_key(ek)
    if isinstance(key, EllipticCurvePublicKey):
        return ec.generate_private_key(key.curve)
    return os.urandom(ek.name_alg.size)
