"""TPM 2.0 commands, marshalled by hand for an Attester that must not gain a dependency.

One method a command, in the words of TPM 2.0 Library Part 3 (Commands), revision 1.59. Whatever occupies a slot of the
TPM (loaded key, primary key, session) is a context manager and is flushed on the way out, also after an error. Public
areas, private areas and credentials pass through as the TPM wrote them (with their length in front): nothing here
judges evidence.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from enum import IntEnum
from typing import NamedTuple

from bartizan.collect.channel import EMPTY_PASSWORD, Channel, Command, by_password, by_policy, response_parameters
from bartizan.collect.codes import TpmError
from bartizan.collect.marshal import NULL, SHA256, Parser, digest_values, selection, sized, u8, u16, u32
from bartizan.collect.transport import Transport


class StartupType(IntEnum):
    """TPM_SU; TPM 2.0 Part 2, 6.10."""

    CLEAR = 0
    STATE = 1


OWNER, RH_NULL, ENDORSEMENT = 0x40000001, 0x40000007, 0x4000000B
"""TPM_RH; Part 2, 7.4."""
NV_FIRST, TRANSIENT_FIRST, PERSISTENT_FIRST = 0x01000000, 0x80000000, 0x81000000
"""The first handle of each type; Part 2, 7.2."""
LOADED_SESSION_FIRST = 0x02000000
CAP_HANDLES, CAP_PCRS, CAP_PROPERTIES = 1, 5, 6
"""TPM_CAP; Part 2, 6.12."""
PT_FIRST, PT_MANUFACTURER, PT_VENDOR_STRING, PT_FIRMWARE = 0x100, 0x105, 0x106, 0x10B
"""TPM_PT; Part 2, 6.13. Four words of vendor string and two of firmware version follow one another."""
PT_COUNT = PT_FIRMWARE + 2 - PT_FIRST
POLICY_SESSION = 1
"""TPM_SE; Part 2, 6.11."""
NV_AUTH_READ = 1 << 18
"""TPMA_NV; Part 2, 13.4: the index's own, empty, password reads it, whoever owns the machine."""
NV_CHUNK = 512
"""Bytes of one TPM2_NV_Read: what every PC Client TPM allows (TPM_PT_NV_BUFFER_MAX is no less)."""
MAX_HANDLES = 254
"""Handles in one TPML_HANDLE: MAX_CAP_HANDLES of the reference implementation; Part 2, 10.9.5."""
MAX_PROPERTIES = 127
"""Entries of one TPML_TAGGED_TPM_PROPERTY: MAX_TPM_PROPERTIES; Part 2, 10.9.8."""
MAX_DIGESTS = 8
"""Digests in one TPML_DIGEST; Part 2, 10.9.3."""
NONCE_SIZE = 16
"""Bytes of nonceCaller: the least that Part 3, 11.1 allows."""


class NvPublic(NamedTuple):
    """What TPM2_NV_ReadPublic says of an index: its TPMA_NV attributes and its size in bytes."""

    attributes: int
    size: int


class Product(NamedTuple):
    """Who made the TPM: four-letter vendor id, vendor string, firmware version as one 64-bit number."""

    manufacturer: str
    model: str
    firmware_version: int


class KeyBlob(NamedTuple):
    """A key outside the TPM: TPM2B_PRIVATE, encrypted by its parent, and TPM2B_PUBLIC."""

    private: bytes
    public: bytes


class PrimaryKey(NamedTuple):
    """A primary key while it is loaded: its handle and TPM2B_PUBLIC."""

    handle: int
    public: bytes


class Tpm:
    """One TPM behind one transport; commands go one at a time.

    endorsement: the password of the endorsement hierarchy, where its owner has set one.
    Every method raises `TpmError` when the TPM refuses, is silent or answers out of format.
    """

    def __init__(
        self, transport: Transport, *, sleep: Callable[[float], None] = time.sleep, endorsement: bytes = b""
    ) -> None:
        self._channel = Channel(transport, sleep=sleep)
        self._endorsement = by_password(endorsement)

    def __enter__(self) -> Tpm:  # noqa: PYI034  typing.Self came after Python 3.9
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the TPM."""
        self._channel.close()

    # Which TPM, in which state.

    def startup(self, kind: StartupType = StartupType.CLEAR) -> None:
        """TPM2_Startup; a machine's firmware has done this long before any agent runs. Part 3, 9.3."""
        self._channel.run(Command.STARTUP, u16(kind)).finish()

    def shutdown(self, kind: StartupType = StartupType.CLEAR) -> None:
        """TPM2_Shutdown before power goes, so that the clock stays `safe`. Part 3, 9.4."""
        self._channel.run(Command.SHUTDOWN, u16(kind)).finish()

    def _capability(self, capability: int, first: int, *, count: int) -> Parser:
        """The list in a TPM2_GetCapability response; Part 3, 30.2."""
        reply = self._channel.run(Command.GET_CAPABILITY, u32(capability) + u32(first) + u32(count))
        reply.u8()  # moreData
        found = reply.u32()
        if found != capability:
            raise reply.refuse(f"capability {capability} expected, found {found}")
        return reply

    def product(self) -> Product:
        """Manufacturer, model and firmware; Part 2, 6.13."""
        reply = self._capability(CAP_PROPERTIES, PT_FIRST, count=PT_COUNT)
        found = {reply.u32(): reply.u32() for _ in range(reply.count(MAX_PROPERTIES))}
        reply.finish()
        model = b"".join(u32(found.get(PT_VENDOR_STRING + word, 0)) for word in range(4))
        return Product(
            manufacturer=_letters(u32(found.get(PT_MANUFACTURER, 0))),
            model=_letters(model),
            firmware_version=found.get(PT_FIRMWARE, 0) << 32 | found.get(PT_FIRMWARE + 1, 0),
        )

    def banks(self) -> dict[int, tuple[int, ...]]:
        """The active PCR banks: TPM_ALG_ID to the PCRs it has; banks without PCRs are left out."""
        reply = self._capability(CAP_PCRS, 0, count=1)
        banks = reply.selection()
        reply.finish()
        return {alg: pcrs for alg, pcrs in banks.items() if pcrs}

    def handles(self, first: int) -> tuple[int, ...]:
        """Handles in use from `first` on, of the same type: NV indices, sessions, loaded or persistent keys."""
        reply = self._capability(CAP_HANDLES, first, count=MAX_HANDLES)
        found = tuple(reply.u32() for _ in range(reply.count(MAX_HANDLES)))
        reply.finish()
        return found

    # NV memory.

    def nv_read_public(self, index: int) -> NvPublic:
        """TPM2_NV_ReadPublic; Part 3, 31.6."""
        reply = self._channel.run(Command.NV_READ_PUBLIC, u32(index))
        area = Parser(reply.sized(), Command.NV_READ_PUBLIC.label)
        area.take(4 + 2)  # the index again, its Name's algorithm
        attributes = area.u32()
        area.sized()  # authPolicy
        public = NvPublic(attributes, area.u16())
        area.finish()
        return public

    def nv_read(self, index: int) -> bytes:
        """The contents of an NV index that needs no password, read in chunks; Part 3, 31.13."""
        public = self.nv_read_public(index)
        reader = index if public.attributes & NV_AUTH_READ else OWNER
        contents = b""
        while len(contents) < public.size:
            wanted = min(NV_CHUNK, public.size - len(contents))
            reply = self._channel.run_authorized(Command.NV_READ, (reader, index), u16(wanted) + u16(len(contents)))
            part = reply.sized()
            if len(part) != wanted:
                raise reply.refuse(f"{wanted} bytes asked for, {len(part)} sent")
            contents += part
        return contents

    # PCRs.

    def pcr_read(self, banks: Mapping[int, Iterable[int]]) -> dict[int, dict[int, bytes]]:
        """PCR values by bank and index; a bank or PCR that the TPM does not have is left out. Part 3, 22.4."""
        return {alg: self._read_bank(alg, pcrs) for alg, pcrs in banks.items()}

    def _read_bank(self, alg: int, pcrs: Iterable[int]) -> dict[int, bytes]:
        wanted = set(pcrs)
        values: dict[int, bytes] = {}
        while wanted:
            read = self._read_some(alg, wanted)
            if not read:
                break
            values.update(read)
            wanted -= set(read)
        return values

    def _read_some(self, alg: int, wanted: Iterable[int]) -> dict[int, bytes]:
        """The first PCRs of a bank, as many as fit into one response."""
        reply = self._channel.run(Command.PCR_READ, selection({alg: wanted}))
        reply.u32()  # pcrUpdateCounter
        read = reply.selection().get(alg, ())
        values = [reply.sized() for _ in range(reply.count(MAX_DIGESTS))]
        reply.finish()
        if len(values) != len(read) or not set(read) <= set(wanted):
            raise reply.refuse(f"{len(values)} digests for the PCRs {read}")
        return {pcr: values[place] for place, pcr in enumerate(read)}

    def pcr_extend(self, pcr: int, digests: Mapping[int, bytes]) -> None:
        """TPM2_PCR_Extend of one PCR in several banks; Part 3, 22.2."""
        self._channel.run_authorized(Command.PCR_EXTEND, (pcr,), digest_values(digests)).finish()

    # Keys and sessions: what takes a slot.

    def flush(self, handle: int) -> None:
        """TPM2_FlushContext; Part 3, 28.4."""
        self._channel.run(Command.FLUSH_CONTEXT, u32(handle)).finish()

    @contextmanager
    def _held(self, handle: int) -> Iterator[None]:
        try:
            yield
        except BaseException:
            with suppress(TpmError):  # the first error is the one to report
                self.flush(handle)
            raise
        self.flush(handle)

    @contextmanager
    def primary(self, hierarchy: int, template: bytes) -> Iterator[PrimaryKey]:
        """A TPM2_CreatePrimary from a TPMT_PUBLIC, loaded while the block runs; Part 3, 24.1."""
        auths = (self._endorsement if hierarchy == ENDORSEMENT else EMPTY_PASSWORD,)
        reply = self._channel.send_authorized(Command.CREATE_PRIMARY, (hierarchy,), _new_key(template), auths=auths)
        handle = reply.u32()
        with self._held(handle):
            yield PrimaryKey(handle, response_parameters(reply, Command.CREATE_PRIMARY).whole_sized())

    @contextmanager
    def _endorsement_policy(self) -> Iterator[bytes]:
        """An authorization by TPM2_PolicySecret(endorsement): what the default EK templates ask for.

        TPM2_StartAuthSession is unsalted and unbound: nothing that travels in it is secret. Part 3, 11.1 and 23.4.
        """
        start = u32(RH_NULL) + u32(RH_NULL) + sized(os.urandom(NONCE_SIZE)) + sized(b"")
        reply = self._channel.run(Command.START_AUTH_SESSION, start + u8(POLICY_SESSION) + u16(NULL) + u16(SHA256))
        session = reply.u32()
        with self._held(session):
            unlimited = sized(b"") + sized(b"") + sized(b"") + u32(0)  # nonceTPM, cpHashA, policyRef, expiration
            auths = (self._endorsement,)
            self._channel.run_authorized(Command.POLICY_SECRET, (ENDORSEMENT, session), unlimited, auths=auths)
            yield by_policy(session)

    def read_public(self, handle: int) -> bytes:
        """The TPM2B_PUBLIC of a loaded or persistent key; Part 3, 12.4."""
        return self._channel.run(Command.READ_PUBLIC, u32(handle)).whole_sized()

    def create(self, ek: int, template: bytes) -> KeyBlob:
        """A new key under an EK, from a TPMT_PUBLIC; it stays outside the TPM. Part 3, 12.1."""
        with self._endorsement_policy() as policy:
            reply = self._channel.run_authorized(Command.CREATE, (ek,), _new_key(template), auths=(policy,))
        return KeyBlob(reply.whole_sized(), reply.whole_sized())

    @contextmanager
    def loaded(self, ek: int, key: KeyBlob) -> Iterator[int]:
        """The handle of a key that `create` made under this EK, while the block runs; Part 3, 12.2."""
        with self._endorsement_policy() as policy:
            parameters = key.private + key.public
            handle = self._channel.send_authorized(Command.LOAD, (ek,), parameters, auths=(policy,)).u32()
        with self._held(handle):
            yield handle

    def save_context(self, handle: int) -> bytes:
        """A loaded key as the TPM encrypts it for itself, to be loaded again until the next TPM reset; Part 3, 28.2."""
        return self._channel.run(Command.CONTEXT_SAVE, u32(handle)).rest()

    @contextmanager
    def restored(self, context: bytes) -> Iterator[int]:
        """The handle of a key from `save_context`, while the block runs; Part 3, 28.3."""
        handle = self._channel.run(Command.CONTEXT_LOAD, context).u32()
        with self._held(handle):
            yield handle

    # Proofs.

    def activate_credential(self, ak: int, ek: int, *, id_object: bytes, encrypted_secret: bytes) -> bytes:
        """The secret of a credential made for this EK and this AK's Name; Part 3, 12.5.

        id_object, encrypted_secret: TPM2B_ID_OBJECT and TPM2B_ENCRYPTED_SECRET.
        """
        blobs = id_object + encrypted_secret
        with self._endorsement_policy() as policy:
            auths = (EMPTY_PASSWORD, policy)
            reply = self._channel.run_authorized(Command.ACTIVATE_CREDENTIAL, (ak, ek), blobs, auths=auths)
        secret = reply.sized()
        reply.finish()
        return secret

    def quote(self, ak: int, extra_data: bytes, banks: Mapping[int, Iterable[int]]) -> tuple[bytes, bytes]:
        """TPMS_ATTEST and TPMT_SIGNATURE over these PCRs, in the key's own scheme; Part 3, 18.4."""
        return self._attested(Command.QUOTE, (ak,), sized(extra_data) + u16(NULL) + selection(banks))

    def certify(self, key: int, ak: int, extra_data: bytes) -> tuple[bytes, bytes]:
        """TPMS_ATTEST and TPMT_SIGNATURE that a loaded key is in this TPM; Part 3, 18.2."""
        return self._attested(Command.CERTIFY, (key, ak), sized(extra_data) + u16(NULL))

    def _attested(self, command: Command, handles: Sequence[int], parameters: bytes) -> tuple[bytes, bytes]:
        auths = (EMPTY_PASSWORD,) * len(handles)
        reply = self._channel.run_authorized(command, handles, parameters, auths=auths)
        return reply.sized(), reply.rest()


def _new_key(template: bytes) -> bytes:
    """The parameters of TPM2_Create and TPM2_CreatePrimary: no password, no outside data, no creation PCRs."""
    return sized(sized(b"") + sized(b"")) + sized(template) + sized(b"") + selection({})


def _letters(name: bytes) -> str:
    """A vendor's string: what is printable of it, without the filling."""
    return "".join(filter(str.isprintable, name.decode("ascii", "ignore"))).strip()
