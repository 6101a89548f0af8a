"""Reviews: a person decides about an enrolment that is unusual. The node asks again by itself and gets the answer."""

from sqlalchemy import Connection

from bartizan.app.service.admission import decides
from bartizan.app.service.changes import Deed, Who, change
from bartizan.app.service.refusals import Conflict, Missing, NotAllowed
from bartizan.app.service.service import Service
from bartizan.store.joining import Review, decide_review, review_numbered
from bartizan.store.nodes import enrolled_as
from bartizan.store.rules import Author


async def decide(service: Service, who: Who, number: int, *, state: str, reason: str) -> Review:
    """Approve or reject.

    Raises:
        Missing: there is no such review that the asker may see. Conflict: it was decided before.
        NotAllowed: it is about a node that the asker does not see.
    """

    def run(connection: Connection, author: Author) -> Review:
        found = review_numbered(connection, number, project_id=who.sees)
        if found is None:
            raise Missing(f"no review {number}")
        present = enrolled_as(connection, name=found.node_name, ek_name=found.ek_name)
        if not who.whole and not decides(who.project, present):
            raise NotAllowed("a node of another project has this name or TPM; somebody of the default project decides")
        decided = decide_review(connection, number, state=state, by=author.account, reason=reason, now=author.now)
        if decided is None:
            raise Conflict(f"review {number} was {found.state} by {found.decided_by} already")
        return decided

    def deed(found: Review) -> Deed:
        return Deed(f"review.{state}", f"node:{found.node_name}", f"review {number}, {found.kind}: {reason}")

    return await change(service, who, run, deed)
