"""The privileged half: it holds the TPM, reads the logs and the posture, and answers three requests.

It composes what a quote carries out of node, nonce and posture itself, so that whoever speaks for it on the network
cannot have anything else signed. Order: posture, quote, PCRs, logs; the lists may be ahead of the quote, never behind.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Callable, Dict, List, Mapping, NamedTuple, Optional, Protocol

from bartizan.agent.errors import CollectError
from bartizan.agent.ima import ImaReader
from bartizan.agent.keys import Keys, OpenTpm, Quoted
from bartizan.agent.messages import MAX_NONCE, MIN_NONCE, NAME, Asked, Evidence, Identity, bound_extra_data
from bartizan.agent.state import Store
from bartizan.collect.codes import TpmError
from bartizan.collect.posture.document import collect_posture

BOOT_LOG = "sys/kernel/security/tpm0/binary_bios_measurements"
LAUNCH_LOG = "sys/kernel/security/slaunch/eventlog"
"""Where Linux with Secure Launch (TrenchBoot) shows the log of a dynamic launch."""
IMA_LIST = "sys/kernel/security/ima/binary_runtime_measurements"
COMMAND_LINE = "proc/cmdline"
LOGS = {"boot_log": BOOT_LOG, "launch_log": LAUNCH_LOG, "command_line": COMMAND_LINE}
MAX_LOG = 4 * 1024 * 1024
"""Bytes of one log; the largest real one seen has 1 MiB with padding."""
MAX_POSTURE = 4 * 1024 * 1024


class Collector(Protocol):
    """What the loop needs of the privileged half, wherever it runs; every method may raise `CollectError`."""

    def identity(self) -> Identity:
        """Who the node is."""

    def activate(self, id_object: bytes, encrypted_secret: bytes) -> bytes:
        """The secret that the Verifier made for this TPM."""

    def evidence(self, asked: Asked) -> Evidence:
        """A quote for a challenge, and all that goes with it."""


class Machine(NamedTuple):
    """What is to be attested: a file tree and a TPM.

    posture: what yields the posture document; None sends none.
    """

    root: Path
    open_tpm: OpenTpm
    posture: Optional[Callable[[], bytes]]


def machine_at(root: Path, open_tpm: OpenTpm) -> Machine:
    """The machine whose /sys and /proc lie below `root`, with its posture."""
    return Machine(root, open_tpm, lambda: collect_posture(root))


class LocalCollector:
    """The collector of the machine that it runs on."""

    def __init__(self, machine: Machine, store: Store) -> None:
        self._machine = machine
        self._keys = Keys(machine.open_tpm, store)
        self._ima = ImaReader(machine.root / IMA_LIST)

    def identity(self) -> Identity:
        """Who the node is; makes its attestation key the first time.

        Raises:
            CollectError: the TPM does not do its part.
        """
        try:
            return self._keys.identity()
        except TpmError as error:
            raise CollectError(f"TPM: {error}") from error

    def activate(self, id_object: bytes, encrypted_secret: bytes) -> bytes:
        """The secret that the Verifier made for this TPM.

        Raises:
            CollectError: the TPM does not open it.
        """
        try:
            return self._keys.activate(id_object, encrypted_secret)
        except TpmError as error:
            raise CollectError(f"TPM: {error}") from error

    def evidence(self, asked: Asked) -> Evidence:
        """A quote for a challenge, and all that goes with it.

        (1) posture, (2) quote, (3) PCRs, (4) logs: in full if the Verifier holds none of this boot.

        Raises:
            CollectError: the TPM or a log cannot be read, or no quote can be bound to what is asked.
        """
        if not NAME.fullmatch(asked.node) or not MIN_NONCE <= len(asked.nonce) <= MAX_NONCE:
            raise CollectError("a node id and a nonce as the protocol has them expected")
        notes: List[str] = []
        posture = self._posture(notes)  # (1)
        quoted = self._quote(asked, posture)  # (2) (3)
        if not quoted.steady:
            notes.append("PCRs were extended while they were read, each time")
        held = asked.held
        is_same_boot = held is not None and _is_of(held.reset_count, held.restart_count, quoted)
        first = held.ima_entries if held is not None and is_same_boot and not asked.full else 0
        ima = self._ima.read(first)  # (4)
        restarted = ima is not None and ima.first != first
        if first and ima is None:
            notes.append("IMA list: it is gone")
        in_full = asked.full or not is_same_boot or restarted or bool(first and ima is None)
        known = held.posture_digest if held is not None and is_same_boot else None
        digest = hashlib.sha256(posture).digest() if posture else None
        return Evidence(
            attest=quoted.attest,
            signature=quoted.signature,
            pcrs=quoted.pcrs,
            boot=self._boot(notes) if in_full else None,
            ima=None if ima is None else {"first": ima.first, "entries": ima.entries},
            posture=posture if digest is not None and digest != known else None,
            posture_digest=digest if digest is not None and digest == known else None,
            notes=(*notes, *(() if ima is None else ima.notes)),
        )

    def _posture(self, notes: List[str]) -> bytes:
        """The posture document; empty where none is wanted, or none can be had."""
        if self._machine.posture is None:
            return b""
        try:
            posture = self._machine.posture()
        except (OSError, ValueError) as error:
            notes.append(f"posture: cannot be collected: {error}")
            return b""
        if len(posture) > MAX_POSTURE:
            notes.append(f"posture: {len(posture)} bytes are over the limit of {MAX_POSTURE}")
            return b""
        return posture

    def _quote(self, asked: Asked, posture: bytes) -> Quoted:
        try:
            return self._keys.quote(bound_extra_data(asked.node, asked.nonce, posture), asked.banks)
        except TpmError as error:
            raise CollectError(f"TPM: {error}") from error

    def _boot(self, notes: List[str]) -> Mapping[str, object]:
        """The logs of how the machine started, those that it has."""
        found: Dict[str, object] = {}
        for name, path in LOGS.items():
            log = read_log(self._machine.root / path, notes)
            if log is not None:
                found[name] = log
        return found


def _is_of(reset_count: int, restart_count: int, quoted: Quoted) -> bool:
    return (reset_count, restart_count) == (quoted.reset_count, quoted.restart_count)


def read_log(path: Path, notes: List[str]) -> Optional[bytes]:
    """A log as it is; None, with a note unless it is simply absent, where it cannot be had."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            log = file.read(MAX_LOG + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        notes.append(f"{path.name}: cannot be read: {error.strerror}")
        return None
    if len(log) > MAX_LOG:
        notes.append(f"{path.name}: over {MAX_LOG} bytes; not sent")
        return None
    return log
