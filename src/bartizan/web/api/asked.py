"""A request, as handlers see it; nesting is bounded here, size and content by the routes."""

from typing import Any

from litestar import Request
from litestar.exceptions import ClientException

Asked = Request[Any, Any, Any]


class Bounded(Request[Any, Any, Any]):
    """A request whose body may be nested deeper than a decoder goes; that is the sender's fault."""

    async def json(self) -> Any:  # noqa: ANN401  what JSON is made of
        """The body's document.

        Raises:
            ClientException: it is nested too deeply.
        """
        try:
            return await super().json()
        except RecursionError as error:
            raise ClientException("the body is nested too deeply") from error
