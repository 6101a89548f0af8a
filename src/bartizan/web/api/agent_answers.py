"""What agents are answered: replies, and refusals with a kind that says what to do (docs/reference/protocol.md)."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from bartizan.app.service.refusals import Busy, EnrolError, InReview, LogsWanted, NonceError, UnknownNode
from bartizan.errors import BartizanError, DecodeError, VerifyError
from bartizan.formats.agent_message import encode_reply
from bartizan.model.cbor import Key
from bartizan.model.protocol import Offer

MAX_ERROR = 1000
"""Characters of a reason."""
KINDS: Mapping[type[BartizanError], tuple[HTTPStatus, str]] = {
    DecodeError: (HTTPStatus.BAD_REQUEST, "decode"),
    EnrolError: (HTTPStatus.FORBIDDEN, "enrolment"),
    UnknownNode: (HTTPStatus.NOT_FOUND, "node"),
    NonceError: (HTTPStatus.CONFLICT, "nonce"),
    LogsWanted: (HTTPStatus.CONFLICT, "logs"),
    VerifyError: (HTTPStatus.UNPROCESSABLE_ENTITY, "verify"),
    Busy: (HTTPStatus.SERVICE_UNAVAILABLE, "busy"),
}
AT_ONCE = frozenset({NonceError, LogsWanted})
"""Refusals after which the node is to try again at once."""


class Unusable(BartizanError):  # noqa: N818  it is what the request is
    """A request that is refused before its body is looked at."""

    def __init__(self, status: HTTPStatus, why: str) -> None:
        super().__init__(why)
        self.status = status


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply and its status; retry_after: seconds."""

    status: HTTPStatus
    body: bytes
    retry_after: int | None = None


def good(body: Mapping[Key, object], offer: Offer | None = None) -> Answer:
    """What was asked for, with the next challenge."""
    return Answer(HTTPStatus.OK, encode_reply(body, offer))


def waiting(review: InReview) -> Answer:
    """A person has to decide first."""
    body: dict[Key, object] = {"review": str(review.review), "why": str(review), "retry_in": review.retry_in}
    return Answer(HTTPStatus.ACCEPTED, encode_reply(body))


def refused(error: BartizanError, offer: Offer | None = None) -> Answer:
    """A refusal, with the next challenge where the node is known."""
    status, kind = KINDS.get(type(error), (HTTPStatus.BAD_REQUEST, "request"))
    said: dict[Key, object] = {"kind": kind, "what": kind, "why": str(error)[:MAX_ERROR]}
    if isinstance(error, Unusable):
        status = error.status
        kind = "size" if status is HTTPStatus.REQUEST_ENTITY_TOO_LARGE else kind
        said |= {"kind": kind, "what": kind}
    elif isinstance(error, DecodeError):
        said = {"kind": kind, "what": error.what, "why": error.why[:MAX_ERROR], "offset": error.offset}
        if error.what.endswith(".version"):
            said["kind"] = "version"
    elif isinstance(error, VerifyError):
        said |= {"what": error.check, "why": error.why[:MAX_ERROR]}
    retry_after = error.retry_after if isinstance(error, Busy) else None
    return Answer(status, encode_reply({"error": said}, offer), retry_after)


def failed(status: HTTPStatus, kind: str, why: str, *, retry_after: int | None = None) -> Answer:
    """The service could not do its part."""
    return Answer(status, encode_reply({"error": {"kind": kind, "what": kind, "why": why}}), retry_after)
