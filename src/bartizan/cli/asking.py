"""What every command that asks a service takes: where it is, which key it has, and the token of who asks.

A token never stands on a command line, where everybody on the machine could read it; and one that was found in a data
folder goes to that folder's service alone.
"""

import inspect
import os
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Annotated, Concatenate, ParamSpec

import typer

from bartizan.app.service.settings import Settings
from bartizan.cli.console import reporting
from bartizan.connectors.service.address import Reach
from bartizan.connectors.service.client import ServiceClient
from bartizan.connectors.service.data_folder import CLIENT_FILE, TOKEN_FILES, read_client_file, read_token
from bartizan.errors import ConfigError, DeclinedError
from bartizan.model.node import Role

Parameters = ParamSpec("Parameters")
TOKEN_VARIABLE = "BARTIZAN_TOKEN"  # noqa: S105  a variable's name
JOIN_PREFIX = "bzj_"
Url = Annotated[str | None, typer.Option("--url", help="Where the service is.", metavar="URL", envvar="BARTIZAN_URL")]
Pin = Annotated[
    str | None,
    typer.Option(
        "--pin",
        help="The service's key, as `bartizan serve` prints it; without it the system's CAs must vouch.",
        metavar="sha256:HEX",
        envvar="BARTIZAN_PIN",
    ),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        help="A file with your API token; or the token itself in BARTIZAN_TOKEN.",
        metavar="F",
        envvar="BARTIZAN_TOKEN_FILE",
    ),
]
Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        help="On the service's own machine: its data folder, which tells address, key and token.",
        metavar="DIR",
        envvar="BARTIZAN_DATA",
    ),
]
OPTIONS = (("url", Url), ("pin", Pin), ("token_file", TokenFile), ("data", Data))
ADVICE: Mapping[int, str] = {
    401: "give an API token with --token-file, BARTIZAN_TOKEN_FILE or BARTIZAN_TOKEN; on the service's own machine"
    " --data DIR finds one",
    403: "use a token of that role; a security officer makes one with `bartizan api-token create`",
    412: "look at it again, then repeat",
}
"""What to do about a refusal, by its status."""


def asking(
    role: Role = Role.OPERATOR,
) -> Callable[[Callable[Concatenate[ServiceClient, Parameters], int]], Callable[..., None]]:
    """Make a function of a client, and of options, a command. role: whose token to take from a data folder."""

    def decorate(command: Callable[Concatenate[ServiceClient, Parameters], int]) -> Callable[..., None]:
        @wraps(command)
        def asked(*args: Parameters.args, **kwargs: Parameters.kwargs) -> int:
            where = {name: kwargs.pop(name, None) for name, _ in OPTIONS}
            with ServiceClient(reach_of(where, role)) as client:
                try:
                    return command(client, *args, **kwargs)
                except DeclinedError as error:
                    raise advised(error) from error

        made = reporting(asked)
        _take(made, inspect.signature(command, eval_str=True))
        return made

    return decorate


def _take(made: Callable[..., None], signature: inspect.Signature) -> None:
    """Give a command the options of the connection instead of the client."""
    client, *own = signature.parameters.values()
    parameters = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own]
    parameters += [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
        for name, annotation in OPTIONS
    ]
    made.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # as PEP 362 has it
    made.__annotations__ = {one.name: one.annotation for one in parameters}
    assert client.annotation is ServiceClient  # noqa: S101  what is left out is the client


def advised(error: DeclinedError) -> DeclinedError:
    """The same refusal with what to do about it."""
    advice = error.advice or ADVICE.get(error.status, "")
    return DeclinedError(error.what, error.why, status=error.status, errors=error.errors, advice=advice)


def reach_of(given: Mapping[str, object], role: Role) -> Reach:
    """Where the service is and who asks, from options, environment and data folder.

    Raises:
        ConfigError: it does not say, says two things, or names what cannot be used.
    """
    url, pin, data = given["url"], given["pin"], given["data"]
    token = _own_token(given["token_file"])
    if url is not None and data is not None:
        raise ConfigError("both --url (or BARTIZAN_URL) and --data (or BARTIZAN_DATA) are given; one of them is enough")
    if url is not None:
        return Reach(url=str(url), pin=None if pin is None else str(pin), token=token)
    folder = _folder(data)
    found = read_client_file(folder)
    return Reach(url=found.url, pin=found.pin if pin is None else str(pin), token=token or _left_token(folder, role))


def _folder(data: object) -> Path:
    folder = data if isinstance(data, Path) else Settings().folder
    if data is None and not _there(folder / CLIENT_FILE):
        raise ConfigError(
            "where is the service? Give --url and --pin (or BARTIZAN_URL and BARTIZAN_PIN);"
            " on its own machine --data DIR"
        )
    return folder


def _there(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False


def _own_token(file: object) -> str | None:
    if isinstance(file, Path):
        token = read_token(file)
        if token is None:
            raise ConfigError(f"{file}: no such file; it should hold an API token")
    else:
        token = os.environ.get(TOKEN_VARIABLE, "").strip() or None
    if token is not None and (not token.isascii() or not token.isprintable()):
        raise ConfigError("the API token: printable characters on one line expected")
    if token is not None and token.startswith(JOIN_PREFIX):
        raise ConfigError("this is a join token, which lets a node in; an API token (bzt_…) is needed here")
    return token


def _left_token(folder: Path, role: Role) -> str | None:
    """The token of the role in a data folder, or any that is there: the service says what it is not good for."""
    names = dict.fromkeys([TOKEN_FILES.get(role, ""), *TOKEN_FILES.values()])
    return next((token for name in names if name and (token := read_token(folder / name)) is not None), None)
