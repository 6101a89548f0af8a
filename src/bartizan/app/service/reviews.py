"""Reviews: a person decides about an enrolment that is unusual. The node asks again by itself and gets the answer."""

from sqlalchemy import Connection

from bartizan.app.service.changes import Deed, Who, change
from bartizan.app.service.refusals import Conflict, Missing
from bartizan.app.service.service import Service
from bartizan.store.joining import Review, decide_review, review_numbered
from bartizan.store.rules import Author


async def decide(service: Service, who: Who, number: int, *, state: str, reason: str) -> Review:
    """Approve or reject.

    Raises:
        Missing: there is no such review that the asker may see. Conflict: it was decided before.
    """

    def run(connection: Connection, author: Author) -> Review:
        found = review_numbered(connection, number, project_id=who.sees)
        if found is None:
            raise Missing(f"no review {number}")
        decided = decide_review(connection, number, state=state, by=author.account, reason=reason, now=author.now)
        if decided is None:
            raise Conflict(f"review {number} was {found.state} by {found.decided_by} already")
        return decided

    def deed(found: Review) -> Deed:
        return Deed(f"review.{state}", f"node:{found.node_name}", f"review {number}, {found.kind}: {reason}")

    return await change(service, who, run, deed)
