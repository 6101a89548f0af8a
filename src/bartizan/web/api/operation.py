"""How operations are described in the OpenAPI document: who may, how they are refused, bodies that are not JSON."""

from collections.abc import Mapping
from dataclasses import dataclass

from litestar.openapi.spec import (
    OpenAPIMediaType,
    OpenAPIResponse,
    OpenAPIType,
    Operation,
    Reference,
    RequestBody,
    Schema,
)

from bartizan.model.node import Role
from bartizan.web.api.problem import MEDIA_TYPE
from bartizan.web.api.rights import RIGHTS

KIBI = 1024
DEFAULT_BODY = 64 * KIBI
"""Bytes of a request's body, where nothing else is said."""
RAW_BODIES: Mapping[str, tuple[str, int]] = {
    "register_endorsement_keys": ("text/csv", 16 * KIBI * KIBI),
    "upload_policy": ("application/toml", 1024 * KIBI),
    "try_policy": ("application/toml", 1024 * KIBI),
    "propose_reference": ("application/json", 64 * KIBI * KIBI),
}
"""Operations that take their body as it is: its media type, and its size at most."""
REFUSALS = {
    400: "The request is not understood",
    401: "Nobody who is known here asks",
    403: "The asker's role does not allow it",
    404: "There is no such thing, or none that the asker may see",
    405: "Not with this method",
    409: "It cannot be done to the thing as it is now",
    412: "It is not any more what the asker saw",
    413: "The body is too large",
    415: "The body is of another media type",
    422: "What was sent is well formed and makes no sense",
    429: "Too many attempts; see Retry-After",
    503: "The service cannot do its part now; see Retry-After",
}
TAGGED = frozenset({"show_node", "show_result", "show_reference"})
"""Operations whose answer has an ETag."""
MORE_ANSWERS: Mapping[str, tuple[str, OpenAPIType]] = {
    "show_result": ("application/eat+jwt", OpenAPIType.STRING),
    "show_reference_document": ("application/json", OpenAPIType.OBJECT),
}
"""Answers of another media type or kind than the handler's type says."""
READERS = frozenset(Role)
PROBLEM = "#/components/schemas/Problem"


@dataclass
class Described(Operation):
    """An operation with what holds for all of them."""

    def __post_init__(self) -> None:
        """Add it."""
        right = RIGHTS.get(self.operation_id or "")
        raw = RAW_BODIES.get(self.operation_id or "")
        if raw is not None:
            kind = OpenAPIType.STRING if raw[0] != "application/json" else OpenAPIType.OBJECT
            self.request_body = RequestBody(required=True, content={raw[0]: OpenAPIMediaType(schema=Schema(type=kind))})
        statuses = {400, 503}
        if right is not None and right.roles:
            self.security = [{"token": []}, {"session": []}]
            statuses |= {401, 403}
            statuses |= {409} if right.roles != READERS else set()
        if self.request_body is not None:
            statuses |= {409, 413, 415, 422}
        if self.operation_id == "sign_out":
            statuses |= {409}
        if self.operation_id == "sign_in":
            statuses |= {401, 429}
        named = [one for one in self.parameters or [] if not isinstance(one, Reference)]
        if any(one.param_in == "path" for one in named):
            statuses |= {404, 409, 412}
        if any(one.name == "check" for one in named):
            statuses |= {422}
        self._mend_answers()
        self.responses = {**(self.responses or {}), **{str(status): _problem(status) for status in sorted(statuses)}}

    def _mend_answers(self) -> None:
        """What is not said by the handler's type."""
        found = (self.responses or {}).get("200")
        if self.operation_id in TAGGED:
            self.responses = {**(self.responses or {}), "304": OpenAPIResponse(description="The asker has it already")}
        more = MORE_ANSWERS.get(self.operation_id or "")
        if isinstance(found, OpenAPIResponse) and more is not None:
            media_type, kind = more
            found.content = {**(found.content or {}), media_type: OpenAPIMediaType(schema=Schema(type=kind))}


def _problem(status: int) -> OpenAPIResponse:
    return OpenAPIResponse(
        description=REFUSALS[status], content={MEDIA_TYPE: OpenAPIMediaType(schema=Reference(ref=PROBLEM))}
    )


_TEXT = {"type": "string"}
PROBLEM_SCHEMA = {
    "title": "Problem",
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": _TEXT,
        "title": _TEXT,
        "status": {"type": "integer"},
        "detail": _TEXT,
        "errors": {"type": "array", "items": _TEXT},
        "log": _TEXT,
    },
    "example": {
        "type": "urn:bartizan:problem:missing",
        "title": "Missing",
        "status": 404,
        "detail": "no node 'compute-01'",
    },
}
SECURITY_SCHEMES = {
    "token": {"type": "http", "scheme": "bearer", "description": "An API token, `bzt_…`"},
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "__Host-bartizan",
        "description": "A session's cookie; changes need the header X-CSRF-Token as well",
    },
}
