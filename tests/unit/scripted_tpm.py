"""A transport that answers from a script and remembers what it was asked."""

from collections.abc import Iterable

from bartizan.collect.codes import TpmError
from bartizan.collect.marshal import sized, u16, u32
from bartizan.collect.tpm import Tpm

NO_SESSIONS, SESSIONS = 0x8001, 0x8002
EMPTY_AUTH_REPLY = sized(b"") + b"\x01" + sized(b"")


def framed(tag: int, code: int, body: bytes = b"") -> bytes:
    return u16(tag) + u32(10 + len(body)) + u32(code) + body


def done(body: bytes = b"") -> bytes:
    """A success without sessions."""
    return framed(NO_SESSIONS, 0, body)


def done_authorized(parameters: bytes = b"", handle: int | None = None) -> bytes:
    """A success with sessions, and with a handle for commands that yield one."""
    front = b"" if handle is None else u32(handle)
    return framed(SESSIONS, 0, front + u32(len(parameters)) + parameters + EMPTY_AUTH_REPLY)


def refused(code: int) -> bytes:
    return framed(NO_SESSIONS, code)


class Script:
    """The transport; `commands` are the messages it got, `pauses` the seconds that the caller wanted to sleep."""

    def __init__(self, responses: Iterable[bytes]) -> None:
        self._responses = list(responses)
        self.commands: list[bytes] = []
        self.pauses: list[float] = []
        self.is_closed = False

    def exchange(self, command: bytes) -> bytes:
        self.commands.append(command)
        if not self._responses:
            raise TpmError("script", "has come to its end")
        return self._responses.pop(0)

    def close(self) -> None:
        self.is_closed = True

    @property
    def codes(self) -> list[int]:
        """The command codes in order."""
        return [int.from_bytes(command[6:10], "big") for command in self.commands]

    @property
    def unused(self) -> int:
        """Responses nobody asked for."""
        return len(self._responses)


def scripted(*responses: bytes) -> tuple[Tpm, Script]:
    """A TPM that gives these responses, and its script."""
    script = Script(responses)
    return Tpm(script, sleep=script.pauses.append), script
