"""The keys that sign results: a new one, published at once and used after its announcement."""

from datetime import datetime

import msgspec
from litestar import post

from bartizan.app.service.rotating import rotate_keys
from bartizan.web.api.caller import Asker, Serving
from bartizan.web.api.operation import Described
from bartizan.web.api.shapes import moment


class Rotated(msgspec.Struct, frozen=True, kw_only=True):
    """signs_from: when the new key is used; until then it is only published."""

    signs_from: datetime


@post(
    "/keys/rotate",
    operation_id="rotate_keys",
    operation_class=Described,
    summary="Make a new signing key",
    tags=["keys"],
    status_code=200,
)
async def rotate(service: Serving, who: Asker) -> Rotated:
    """Make a new key for signing results. Tokens of the present one stay good."""
    return Rotated(signs_from=moment(await rotate_keys(service, who)))


ROUTES = (rotate,)
