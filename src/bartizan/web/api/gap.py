"""The gap report: what keeps the fleet's nodes from their next level, and what would lift them."""

from litestar import get

from bartizan.app.service.gap import Gap, gap_of
from bartizan.web.api.caller import Asker, Serving
from bartizan.web.api.operation import Described


@get("/gap", operation_id="show_gap", operation_class=Described, summary="What keeps nodes down", tags=["findings"])
async def show_gap(service: Serving, who: Asker) -> Gap:
    """What keeps nodes from their next level, by check: how many of which roles, and what would lift them."""
    return await service.read(lambda connection: gap_of(connection, service.rules.rules.catalogue, project=who.sees))


ROUTES = (show_gap,)
