"""How a TPM 2.0 command travels: header, authorization area, patience with a busy TPM, response code.

It knows the frame that all commands share (TPM 2.0 Library Part 1, 18), not what any of them means.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from enum import IntEnum

from bartizan.collect.codes import BUSY_CODES, TpmError
from bartizan.collect.marshal import Parser, sized, u8, u16, u32
from bartizan.collect.transport import HEADER, Transport


class Command(IntEnum):
    """TPM_CC of the commands that Bartizan sends; TPM 2.0 Part 2, 6.5.2."""

    CREATE_PRIMARY = 0x131
    STARTUP = 0x144
    SHUTDOWN = 0x145
    ACTIVATE_CREDENTIAL = 0x147
    CERTIFY = 0x148
    NV_READ = 0x14E
    POLICY_SECRET = 0x151
    CREATE = 0x153
    LOAD = 0x157
    QUOTE = 0x158
    CONTEXT_LOAD = 0x161
    CONTEXT_SAVE = 0x162
    FLUSH_CONTEXT = 0x165
    NV_READ_PUBLIC = 0x169
    READ_PUBLIC = 0x173
    START_AUTH_SESSION = 0x176
    GET_CAPABILITY = 0x17A
    PCR_READ = 0x17E
    PCR_EXTEND = 0x182

    @property
    def label(self) -> str:
        """Its name as people look it up: `TPM2_QUOTE`."""
        return f"TPM2_{self.name}"


NO_SESSIONS, SESSIONS = 0x8001, 0x8002
"""TPM_ST of commands and responses; Part 2, 6.9."""
PASSWORD = 0x40000009
"""TPM_RS_PW; Part 2, 7.4."""
CONTINUE_SESSION = 1
"""TPMA_SESSION; Part 2, 8.4: the session outlives the command and is flushed by us."""

ATTEMPTS = 20
"""Times a busy TPM is asked the same: with the pauses below, about 14 s."""
FIRST_PAUSE, LONGEST_PAUSE = 0.01, 1.0
"""Seconds between two attempts: doubled each time up to the longest."""


def by_password(password: bytes) -> bytes:
    """An authorization by a password, which the TPM gets in the clear; TPMS_AUTH_COMMAND, Part 2, 10.13.2."""
    return u32(PASSWORD) + sized(b"") + u8(0) + sized(password)


EMPTY_PASSWORD = by_password(b"")


def by_policy(session: int) -> bytes:
    """An authorization by a policy session; TPMS_AUTH_COMMAND, Part 2, 10.13.2."""
    return u32(session) + sized(b"") + u8(CONTINUE_SESSION) + sized(b"")


class Channel:
    """Sends commands through one transport, one at a time.

    Every method raises `TpmError` when the TPM refuses, is silent or answers out of format.
    """

    def __init__(self, transport: Transport, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._transport = transport
        self._sleep = sleep

    def close(self) -> None:
        """Let go of the TPM."""
        self._transport.close()

    def run(self, command: Command, body: bytes) -> Parser:
        """The response to a command without authorization; `body` is its handles, then its parameters."""
        return self._send(command, body, NO_SESSIONS)

    def run_authorized(
        self, command: Command, handles: Sequence[int], parameters: bytes, *, auths: Sequence[bytes] = (EMPTY_PASSWORD,)
    ) -> Parser:
        """The response parameters of a command with one authorization for each of its first handles."""
        return response_parameters(self.send_authorized(command, handles, parameters, auths=auths), command)

    def send_authorized(
        self, command: Command, handles: Sequence[int], parameters: bytes, *, auths: Sequence[bytes] = (EMPTY_PASSWORD,)
    ) -> Parser:
        """The same, from the response's handle on, for commands that yield one."""
        area = b"".join(auths)
        return self._send(command, b"".join(map(u32, handles)) + u32(len(area)) + area + parameters, SESSIONS)

    def _send(self, command: Command, body: bytes, tag: int) -> Parser:
        message = u16(tag) + u32(HEADER + len(body)) + u32(command) + body
        reply, reply_tag, code = self._ask(message, command)
        pause = FIRST_PAUSE
        for _ in range(ATTEMPTS - 1):
            if code not in BUSY_CODES:
                break
            self._sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
            reply, reply_tag, code = self._ask(message, command)
        if code:
            raise TpmError.refused(command.label, code)
        if reply_tag != tag:
            raise reply.refuse(f"tag 0x{tag:04x} expected, found 0x{reply_tag:04x}")
        return reply

    def _ask(self, message: bytes, command: Command) -> tuple[Parser, int, int]:
        reply = Parser(self._transport.exchange(message), command.label)
        tag, _size = reply.u16(), reply.u32()
        return reply, tag, reply.u32()


def response_parameters(reply: Parser, command: Command) -> Parser:
    """The parameters alone; passwords and unbound policies leave nothing to check in what follows them."""
    return Parser(reply.take(reply.u32()), command.label)
