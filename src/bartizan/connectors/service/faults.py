"""What went wrong between client and service, said so that somebody can do something about it."""

import ssl
from http import HTTPStatus

import httpx
import msgspec

from bartizan.errors import BartizanError, ConnectorError, DeclinedError


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """A refusal as the service words it (RFC 9457)."""

    title: str
    detail: str
    errors: list[str] = []
    log: str = ""


def out_of_reach(url: str, error: httpx.HTTPError) -> ConnectorError:
    """Why there was no answer."""
    cause = _cause(error)
    if isinstance(error, httpx.ConnectTimeout):
        return ConnectorError(f"{url}: nobody answers there; is the address right, and open in between?")
    if isinstance(error, httpx.TimeoutException):
        return ConnectorError(f"{url}: no answer in time; whether it did what was asked is not known")
    if isinstance(cause, ConnectionRefusedError):
        return ConnectorError(f"{url}: nothing listens there; is the service running, and is this its address?")
    if isinstance(cause, ssl.SSLCertVerificationError):
        said = getattr(cause, "verify_message", None) or cause.strerror or str(cause)
        return ConnectorError(
            f"{url}: no certificate authority that this machine knows vouches for it ({said});"
            " give its pin, which `bartizan serve` printed at its start"
        )
    if isinstance(cause, ssl.SSLError):
        said = getattr(cause, "reason", None) or cause.strerror or str(cause)
        return ConnectorError(f"{url}: TLS failed ({said}); is it https that is spoken there?")
    return ConnectorError(f"{url}: the connection failed: {cause or error or type(error).__name__}")


def _cause(error: BaseException) -> OSError | None:
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, OSError):
            return found
        found = found.__cause__ or found.__context__
    return None


def refusal(url: str, status: int, document: bytes | None, *, retry_after: int | None) -> BartizanError:
    """A status that is no success. document: of the service's own making; None where something else answered."""
    try:
        found = None if document is None else msgspec.json.decode(document, type=Problem)
    except (msgspec.DecodeError, UnicodeDecodeError):
        found = None
    if found is None:
        said = f"{status} {HTTPStatus(status).phrase}" if status in set(HTTPStatus) else str(status)
        return ConnectorError(f"{url}: answers {said}, and not as Bartizan does; is this the service's address?")
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS:
        later = f"; come back in {retry_after} s" if retry_after is not None else ""
        log = f" (number {found.log})" if found.log else ""
        return ConnectorError(f"{url}: {found.detail}{log}{later}")
    return DeclinedError(found.title, found.detail, status=status, errors=tuple(found.errors))
