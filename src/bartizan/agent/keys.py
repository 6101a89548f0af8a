"""The node's TPM as the agent uses it: who it is, opening the Verifier's secret, quoting. It reads no logs.

Each task opens the TPM, does its work and lets go of it with every slot flushed, so that other users of the TPM go on.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Callable, ContextManager, Iterator, NamedTuple, Optional, Tuple

from bartizan.agent.errors import CollectError, Unusable
from bartizan.agent.messages import Banks, Identity
from bartizan.agent.state import AK, SavedKey, Store
from bartizan.collect.codes import INTEGRITY, TpmError
from bartizan.collect.identity import EkReading, create_ak, open_ek, read_certificates, read_nv
from bartizan.collect.marshal import Parser
from bartizan.collect.templates import EK_TEMPLATES
from bartizan.collect.tpm import LOADED_SESSION_FIRST, TRANSIENT_FIRST, KeyBlob, Tpm
from bartizan.collect.transport import RESOURCE_MANAGER, DeviceTransport, SocketTransport, Transport, open_device

OpenTpm = Callable[[], ContextManager[Tpm]]

NO_P256 = (0x0A6, 0x08A, 0x092)
"""Curve, type, scheme: what a TPM without P-256 or ECDSA says to our first template; TPM 2.0 Part 2, 6.6.3."""
ATTEMPTS = 5
"""Quotes made for one challenge until the PCRs stood still in between: IMA extends PCR 10 whenever it likes."""
MAX_AUTH = 64
"""Bytes of a password: the largest digest; TPM 2.0 Part 2, 10.4.5."""
UNIX, MANAGED = "unix:", "tpmrm"
"""How an address of a Unix socket begins, and the name of a device with a resource manager."""
TCP = re.compile(r"tcp:([^\s/]+):([0-9]{1,5})")


class Quoted(NamedTuple):
    """A quote, and the PCR values read after it."""

    attest: bytes
    signature: bytes
    pcrs: Mapping[int, bytes]
    reset_count: int
    restart_count: int
    steady: bool


class Attested(NamedTuple):
    """What the agent reads in its own quote."""

    extra_data: bytes
    clock: int
    reset_count: int
    restart_count: int
    safe: int
    pcr_digest: bytes


def read_attest(attest: bytes) -> Attested:
    """The fields of a TPMS_ATTEST of a quote; TPM 2.0 Part 2, 10.12.8 and 10.12.12.

    Raises:
        TpmError: it is none.
    """
    parser = Parser(attest, "quote")
    parser.take(4 + 2)  # magic, type
    parser.sized()  # qualifiedSigner
    extra_data = parser.sized()
    clock = int.from_bytes(parser.take(8), "big")
    reset, restart, safe = parser.u32(), parser.u32(), parser.u8()
    parser.take(8)  # firmwareVersion
    parser.selection()
    digest = parser.sized()
    parser.finish()
    return Attested(extra_data, clock, reset, restart, safe, digest)


def tpm_opener(address: Optional[str], auth_file: Optional[Path] = None) -> OpenTpm:
    """How to open the TPM at an address: `/dev/…`, `tcp:host:port`, `unix:path`; None is this machine's own.

    Raises:
        Unusable: no such address; the password's file cannot be read, or others can read it.
    """
    tcp = TCP.fullmatch(address or "")
    if address is not None and not (tcp or address.startswith(("/", f"{UNIX}/"))):
        raise Unusable(f"TPM address {address!a}: /dev/…, tcp:host:port or unix:/path expected")
    password = read_password(auth_file) if auth_file is not None else b""

    @contextmanager
    def opened() -> Iterator[Tpm]:
        transport, is_managed = _open_transport(address, tcp)
        with Tpm(transport, endorsement=password) as tpm:
            if not is_managed:
                flush_all(tpm)
            yield tpm

    return opened


def _open_transport(address: Optional[str], tcp: Optional[re.Match[str]]) -> Tuple[Transport, bool]:
    """The way to the TPM, and whether a resource manager stands in between."""
    if address is None:
        return open_device(), Path(RESOURCE_MANAGER).exists()
    if tcp:
        return SocketTransport((tcp.group(1), int(tcp.group(2)))), False
    if address.startswith(UNIX):
        return SocketTransport(address[len(UNIX) :]), False
    return DeviceTransport(address), Path(address).name.startswith(MANAGED)


def flush_all(tpm: Tpm) -> None:
    """Free every slot: without a resource manager whoever opens it is alone; what is loaded is left over."""
    for handle in tpm.handles(TRANSIENT_FIRST) + tpm.handles(LOADED_SESSION_FIRST):
        tpm.flush(handle)


def read_password(path: Path) -> bytes:
    """The endorsement hierarchy's password: the file's first line.

    Raises:
        Unusable: it cannot be read, is too long, or others than its owner can read it.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            line = file.readline(MAX_AUTH + 2).rstrip(b"\r\n")
    except OSError as error:
        raise Unusable(f"endorsement password file {path}: {error.strerror}") from error
    if mode & 0o077:
        raise Unusable(f"endorsement password file {path}: others can read it; chmod 600 {path}")
    if len(line) > MAX_AUTH:
        raise Unusable(f"endorsement password file {path}: at most {MAX_AUTH} bytes expected")
    return line


class Keys:
    """The endorsement key and the attestation key of one TPM; every method raises `TpmError` when the TPM refuses."""

    def __init__(self, open_tpm: OpenTpm, store: Store) -> None:
        self._open = open_tpm
        self._store = store
        self._saved: Optional[SavedKey] = None
        self._context: Optional[bytes] = None

    def identity(self) -> Identity:
        """Who this node is; makes the attestation key if there is none yet.

        Raises:
            CollectError: the saved key is of another TPM. Unusable: its file is damaged.
        """
        with self._open() as tpm:
            saved = self._key(tpm)
            with open_ek(tpm, saved.parent) as ek, self._loaded_under(tpm, ek.handle, saved):
                ek_public = ek.public
            product = tpm.product()
            return Identity(
                ek=ek_public,
                certificates=read_certificates(tpm),
                ak=saved.blob.public,
                banks={alg: _is_filled(tpm, alg) for alg in tpm.banks()},
                manufacturer=product.manufacturer,
                model=product.model,
                firmware=product.firmware_version,
            )

    def activate(self, id_object: bytes, encrypted_secret: bytes) -> bytes:
        """The Verifier's secret, which only the TPM of both keys can open."""
        with self._open() as tpm:
            saved = self._key(tpm)
            with open_ek(tpm, saved.parent) as ek, self._loaded_under(tpm, ek.handle, saved) as ak:
                return tpm.activate_credential(ak, ek.handle, id_object=id_object, encrypted_secret=encrypted_secret)

    def quote(self, extra_data: bytes, banks: Banks) -> Quoted:
        """A quote, and PCR values that fit it if the PCRs stood still for a moment."""
        with self._open() as tpm, self._attestation_key(tpm) as ak:
            for attempt in range(ATTEMPTS):
                attest, signature = tpm.quote(ak, extra_data, banks)
                read = read_attest(attest)
                values = {alg: b"".join(bank[pcr] for pcr in sorted(bank)) for alg, bank in tpm.pcr_read(banks).items()}
                steady = hashlib.sha256(b"".join(values.values())).digest() == read.pcr_digest
                if steady or attempt == ATTEMPTS - 1:
                    break
        return Quoted(attest, signature, values, read.reset_count, read.restart_count, steady)

    def _key(self, tpm: Tpm) -> SavedKey:
        """The attestation key: known, saved, or made now and saved."""
        if self._saved is None:
            self._saved = self._store.load_key()
        if self._saved is None:
            parent = _parent_kind(tpm)
            with open_ek(tpm, parent) as ek:
                made = SavedKey(parent, _new_ak(tpm, ek))
            self._store.save_key(made)
            self._saved = made
        return self._saved

    @contextmanager
    def _attestation_key(self, tpm: Tpm) -> Iterator[int]:
        """The attestation key loaded: from the TPM's own context if it takes it, else anew under its parent.

        An endorsement key that is not persistent takes a TPM seconds to make; a context is loaded at once.
        """
        with ExitStack() as stack:
            handle = self._restored(tpm, stack)
            if handle is None:
                saved = self._key(tpm)
                ek = stack.enter_context(open_ek(tpm, saved.parent))
                handle = stack.enter_context(self._loaded_under(tpm, ek.handle, saved))
                self._context = tpm.save_context(handle)
            yield handle

    def _restored(self, tpm: Tpm, stack: ExitStack) -> Optional[int]:
        if self._context is None:
            return None
        try:
            return stack.enter_context(tpm.restored(self._context))
        except TpmError:  # the TPM was reset since
            self._context = None
            return None

    @contextmanager
    def _loaded_under(self, tpm: Tpm, ek: int, saved: SavedKey) -> Iterator[int]:
        with ExitStack() as stack:
            try:
                handle = stack.enter_context(tpm.loaded(ek, saved.blob))
            except TpmError as error:
                if not error.is_about(INTEGRITY):
                    raise
                raise CollectError(
                    f"{self._store.folder / AK}: the saved attestation key is not of this TPM: the TPM was cleared, or "
                    "it is another machine's. Delete the file and enrol again; a person has to review that"
                ) from error
            yield handle


def _parent_kind(tpm: Tpm) -> str:
    """The endorsement key that the manufacturer certified; RSA-2048, which every TPM has, where it certified none."""
    for kind, template in EK_TEMPLATES.items():
        if read_nv(tpm, template.certificate) is not None:
            return kind
    return next(iter(EK_TEMPLATES))


def _new_ak(tpm: Tpm, ek: EkReading) -> KeyBlob:
    try:
        return create_ak(tpm, ek)
    except TpmError as error:
        if not any(error.is_about(code) for code in NO_P256):
            raise
    return create_ak(tpm, ek, "rsa2048")


def _is_filled(tpm: Tpm, alg: int) -> bool:
    """PCR 0 of the bank was extended: its value is not one that it starts with."""
    value = tpm.pcr_read({alg: [0]})[alg].get(0, b"")
    return bool(value) and value not in (bytes(len(value)), b"\xff" * len(value))
