"""Enrolment as a service: who may come in, proof that the keys live in one TPM, and nobody replaced silently.

A node comes in by a join token for its name and role, by an EK registered beforehand, or after a person's review. What
would replace an enrolled name, EK or AK is always reviewed: a board swap and a cleared TPM look like a takeover.
"""

import asyncio
import hashlib
import hmac
import os
import uuid
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import IntegrityError

from bartizan.app.enrol_node import SECRET_BYTES, open_enrolment
from bartizan.app.service.admission import Admission, Keys, admitted
from bartizan.app.service.clock import Clock, Now
from bartizan.app.service.identity import reported_identity
from bartizan.app.service.refusals import EnrolError, InReview
from bartizan.app.service.settings import Attestation
from bartizan.errors import BartizanError, VerifyError
from bartizan.formats.agent_message import decode_enrol
from bartizan.formats.tpm2 import encode_credential
from bartizan.model.certificate import TrustAnchors
from bartizan.model.digest import SIZES, HashAlg
from bartizan.model.evidence import Enrolment, ReportedIdentity
from bartizan.model.node import NodeRecord
from bartizan.model.protocol import EnrolRequest
from bartizan.model.tpm import PublicArea
from bartizan.store.joining import (
    PendingEnrolment,
    Review,
    begin_enrolment,
    close_overtaken,
    close_review,
    drop_enrolment,
    find_enrolment,
    find_registered,
    use_token,
)
from bartizan.store.nodes import NewNode, add_node, retire_node
from bartizan.store.writer import Writer
from bartizan.verify.credential import Entropy, ek_key
from bartizan.verify.identity import verify_endorsement

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
        admission = await self.writer.attempt(
            lambda connection: admitted(connection, request, _keys(identity), now), refusals=(EnrolError,)
        )
        if isinstance(admission, Review):
            raise _in_review(admission)
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
        """The node that opened the credential; the same one for the same answer again, whose reply may have been lost.

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
            found = await self.writer.attempt(
                lambda connection: self._enrolled(connection, raw, now), refusals=(BartizanError, IntegrityError)
            )
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
        admission = admitted(connection, request, _keys(identity), now)
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
        overtaken = f"{new.name} was enrolled by {new.enrolled_by}"
        close_overtaken(connection, ek_name=new.ek_name, node_name=new.name, reason=overtaken, now=now.milliseconds)
        return Enrolled(record=record, replaced=tuple(gone.uid for gone in admission.replaces))


def _use_up(connection: Connection, admission: Admission, now: Now) -> None:
    """What lets a node in does so once.

    Raises:
        EnrolError: its token was used meanwhile.
    """
    if admission.review is not None:
        close_review(connection, admission.review)
    if admission.token is not None and not use_token(connection, admission.token, now=now.milliseconds):
        raise EnrolError("the join token was used meanwhile")


def _in_review(review: Review) -> InReview:
    """What a node is told whose enrolment waits for a person."""
    return InReview(review.why, review=review.id, retry_in=RETRY_REVIEW)


def _keys(identity: ReportedIdentity) -> Keys:
    return Keys(_ek(identity).name, identity.ak.name)


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
