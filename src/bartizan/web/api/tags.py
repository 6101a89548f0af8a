"""ETags: a document that did not change is not sent again, and what changed meanwhile is not changed blindly."""

import hashlib
from typing import TypeVar

import msgspec
from litestar import Response
from litestar.enums import MediaType

from bartizan.app.service.refusals import Changed
from bartizan.web.api.asked import Asked

Shown = TypeVar("Shown")


def tag_of(document: object) -> str:
    """The ETag of a document."""
    return f'"{hashlib.sha256(msgspec.json.encode(document)).hexdigest()[:32]}"'


def tagged(request: Asked, document: Shown) -> Response[Shown] | Response[None]:
    """The document with its ETag, or that the asker has it."""
    tag = tag_of(document)
    headers = {"ETag": tag, "Cache-Control": "no-cache, private", "Vary": "Accept, Authorization, Cookie"}
    if tag in _tags(request.headers.get("if-none-match", "")):
        return Response(None, status_code=304, headers=headers, media_type=MediaType.TEXT)
    return Response(document, headers=headers)


def unchanged(request: Asked, document: object) -> None:
    """Nothing, if the asker saw the document as it is, or does not say what they saw.

    Raises:
        Changed: it is another one now.
    """
    said = request.headers.get("if-match")
    if said is not None and said.strip() != "*" and tag_of(document) not in _tags(said):
        raise Changed("it was changed since; look at it again")


def _tags(header: str) -> set[str]:
    return {tag.strip().removeprefix("W/") for tag in header.split(",")}
