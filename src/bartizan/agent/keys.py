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

from bartizan.agent.errors import Unusable
from bartizan.agent.messages import Banks, Identity
from bartizan.agent.state import SavedKey, Store
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
        self._saved: Tuple[SavedKey, ...] = ()
        self._context: Optional[bytes] = None

    def identity(self) -> Identity:
        """Who this node is; makes the attestation key if there is none of this TPM yet.

        Raises:
            Unusable: a saved key is damaged.
        """
        with self._open() as tpm:
            with self._loaded(tpm) as loaded:
                ek, ak = loaded.ek.public, loaded.public
            product = tpm.product()
            return Identity(
                ek=ek,
                certificates=read_certificates(tpm),
                ak=ak,
                banks={alg: _is_filled(tpm, alg) for alg in tpm.banks()},
                manufacturer=product.manufacturer,
                model=product.model,
                firmware=product.firmware_version,
            )

    def activate(self, id_object: bytes, encrypted_secret: bytes) -> bytes:
        """The Verifier's secret, which only the TPM of both keys can open."""
        with self._open() as tpm, self._loaded(tpm) as loaded:
            return tpm.activate_credential(
                loaded.ak, loaded.ek.handle, id_object=id_object, encrypted_secret=encrypted_secret
            )

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

    @contextmanager
    def _attestation_key(self, tpm: Tpm) -> Iterator[int]:
        """The attestation key loaded: from the TPM's own context if it takes it, else anew under its parent.

        An endorsement key that is not persistent takes a TPM seconds to make; a context is loaded at once.
        """
        with ExitStack() as stack:
            handle = self._restored(tpm, stack)
            if handle is None:
                handle = stack.enter_context(self._loaded(tpm)).ak
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
    def _loaded(self, tpm: Tpm) -> Iterator["Loaded"]:
        """The attestation key of this TPM under its parent: the saved one that it takes, else one that is made now.

        A TPM takes no key of another one, nor its own of before it was cleared. The Verifier refuses what a new key
        signs until a person lets it in.
        """
        with ExitStack() as stack:
            self._saved = self._saved or self._store.load_keys()
            for saved in self._saved:
                found = _load_into(stack, tpm, saved)
                if found is not None:
                    break
            else:
                found = self._make_into(stack, tpm)
            yield found

    def _make_into(self, stack: ExitStack, tpm: Tpm) -> "Loaded":
        parent = _parent_kind(tpm)
        ek = stack.enter_context(open_ek(tpm, parent))
        made = SavedKey(parent, _new_ak(tpm, ek))
        self._store.add_key(made)
        self._saved = (made, *self._saved)
        return Loaded(ek, stack.enter_context(tpm.loaded(ek.handle, made.blob)), made.blob.public)


class Loaded(NamedTuple):
    """An attestation key in the TPM, with its parent; public: its public area."""

    ek: EkReading
    ak: int
    public: bytes


def _load_into(stack: ExitStack, tpm: Tpm, saved: SavedKey) -> Optional[Loaded]:
    """A saved key, loaded until the stack is closed; None where it is not of this TPM."""
    with ExitStack() as attempt:
        ek = attempt.enter_context(open_ek(tpm, saved.parent))
        try:
            handle = attempt.enter_context(tpm.loaded(ek.handle, saved.blob))
        except TpmError as error:
            if not error.is_about(INTEGRITY):
                raise
            return None
        stack.enter_context(attempt.pop_all())
        return Loaded(ek, handle, saved.blob.public)


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
