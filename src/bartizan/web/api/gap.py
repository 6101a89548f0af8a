"""The gap report: what keeps the fleet's nodes from their next level, and what would lift them."""

from litestar import get

from bartizan.app.service.check_names import known_check
from bartizan.app.service.gap import Gap, gap_of
from bartizan.web.api.caller import Asker, Serving
from bartizan.web.api.operation import Described
from bartizan.web.api.shapes import Exact


@get("/gap", operation_id="show_gap", operation_class=Described, summary="What keeps nodes down", tags=["findings"])
async def show_gap(service: Serving, who: Asker, check: Exact = None) -> Gap:
    """What keeps nodes from their next level, by check and posture rule: how many of which roles, what lifts them."""
    if check is not None:
        known_check(service.rules.rules, check)
    return await service.read(lambda connection: gap_of(connection, service.rules.rules, project=who.sees, only=check))


ROUTES = (show_gap,)
