"""Replies of the service: their status, the document in them, and what they say when they say no."""

from __future__ import annotations

from bartizan.agent.errors import MessageError
from bartizan.agent.members import Members, members
from bartizan.agent.messages import Fault, read_fault
from bartizan.agent.text import plain
from bartizan.agent.transport import Reply

OK, ACCEPTED, BAD, FORBIDDEN, UNKNOWN, CONFLICT = 200, 202, 400, 403, 404, 409
TOO_LARGE, UNPROCESSABLE, TOO_MANY, UNAVAILABLE = 413, 422, 429, 503


def document(reply: Reply, what: str) -> Members:
    """The document of a reply that says yes.

    Raises:
        MessageError: it holds none.
    """
    return members(reply.body, f"reply to {what}")


def fault_of(reply: Reply) -> Fault:
    """What an error reply says; nothing where it is not the service's own, such as a proxy's page."""
    try:
        found = members(reply.body, "error")
        fault = read_fault(found)
        found.optional("due_in", int)
        found.finish()
    except MessageError:
        return Fault()
    return fault


def in_words(reply: Reply, fault: Fault) -> str:
    """A reply that says no, for people."""
    if not fault.kind:
        return f"the service answered {reply.status}"
    at = "" if fault.offset is None else f" at byte {fault.offset}"
    return plain(f"the service answered {reply.status} {fault.kind}: {fault.what}{at}: {fault.why}")
