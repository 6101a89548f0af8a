"""Who this Attester is: its Endorsement Key with certificates, and its Attestation Key.

It reads and makes keys in the TPM. Whether a certificate fits its key, or is any good, is for the Verifier to say.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from bartizan.collect.codes import HANDLE, NV_UNINITIALIZED, TpmError
from bartizan.collect.templates import AK_TEMPLATES, EK_TEMPLATES, EkTemplate, nonce_in_unique
from bartizan.collect.tpm import ENDORSEMENT, NV_FIRST, KeyBlob, Tpm

PLATFORM_CERTIFICATE = 0x01C08000
"""NV index of the platform certificate; TCG PC Client Platform TPM Profile 1.05, NV index registry."""
EK_CERTIFICATES = (0x01C00002, 0x01C0000A, 0x01C00012, 0x01C00014, 0x01C00016, 0x01C00018, 0x01C0001C, 0x01C0001E)
"""NV indices of EK certificates, low range (RSA-2048, P-256), then high range; EK Credential Profile 2.5, 2.2.1."""
CHAIN_FIRST, CHAIN_LAST = 0x01C00100, 0x01C001FF
"""NV indices of the EK's certificate chain; EK Credential Profile 2.5, 2.2.1."""


class EkReading(NamedTuple):
    """An Endorsement Key while it is usable.

    handle: persistent, or transient until the block ends; public: TPM2B_PUBLIC; certificate: the NV contents as they
    are (DER, perhaps with filling behind it), None where the manufacturer stored none.
    """

    handle: int
    public: bytes
    certificate: bytes | None


@contextmanager
def open_ek(tpm: Tpm, kind: str = "rsa2048") -> Iterator[EkReading]:
    """The default EK of this kind (`rsa2048` or `ecc256`): the persistent one, or made again from its template.

    Raises:
        TpmError: the TPM refuses; an endorsement password is set, for instance.
    """
    template = EK_TEMPLATES[kind]
    certificate = read_nv(tpm, template.certificate)
    public = _persistent_public(tpm, template)
    if public is not None:
        yield EkReading(template.handle, public, certificate)
        return
    with tpm.primary(ENDORSEMENT, _asked_template(tpm, template)) as key:
        yield EkReading(key.handle, key.public, certificate)


def _persistent_public(tpm: Tpm, template: EkTemplate) -> bytes | None:
    """What lies at the conventional handle, if it is a key of this template."""
    if template.handle not in tpm.handles(template.handle)[:1]:
        return None
    public = tpm.read_public(template.handle)
    return public if public[2:].startswith(template.shared) else None


def _asked_template(tpm: Tpm, template: EkTemplate) -> bytes:
    """The manufacturer's own template from NV, or the default one with the manufacturer's nonce, or the default one."""
    own = read_nv(tpm, template.template)
    if own is not None:
        return own
    nonce = read_nv(tpm, template.nonce)
    return template.shared + (template.unique if nonce is None else nonce_in_unique(template, nonce))


def create_ak(tpm: Tpm, ek: EkReading, kind: str = "ecc256") -> KeyBlob:
    """A new Attestation Key (`ecc256` or `rsa2048`) under the EK: restricted, signing, never leaving this TPM."""
    return tpm.create(ek.handle, AK_TEMPLATES[kind])


def read_nv(tpm: Tpm, index: int) -> bytes | None:
    """The contents of an NV index, None where it does not exist or was never written."""
    try:
        return tpm.nv_read(index)
    except TpmError as error:
        if error.is_about(HANDLE) or error.is_about(NV_UNINITIALIZED):
            return None
        raise


def read_certificates(tpm: Tpm) -> dict[int, bytes]:
    """Every certificate the manufacturer left in NV, by index and in its order: EKs, their chain, the platform.

    A certificate of the chain may continue in the next index; the Verifier joins them.
    """
    wanted = (index for index in tpm.handles(NV_FIRST) if _holds_certificate(index))
    read = ((index, read_nv(tpm, index)) for index in wanted)
    return {index: contents for index, contents in read if contents is not None}


def _holds_certificate(index: int) -> bool:
    return index in EK_CERTIFICATES or index == PLATFORM_CERTIFICATE or CHAIN_FIRST <= index <= CHAIN_LAST
