"""The Attester's TPM commands and the credentials, against a real emulated TPM."""

import hashlib
import os
from collections.abc import Callable
from contextlib import ExitStack

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

from bartizan.collect.codes import HANDLE, INTEGRITY, LOCALITY, TpmError
from bartizan.collect.identity import (
    EkReading,
    create_ak,
    open_ek,
    read_certificates,
    read_nv,
)
from bartizan.collect.marshal import SHA1, SHA256, SHA384
from bartizan.collect.templates import EK_RSA2048
from bartizan.collect.tpm import (
    ENDORSEMENT,
    LOADED_SESSION_FIRST,
    PERSISTENT_FIRST,
    TRANSIENT_FIRST,
    KeyBlob,
    Tpm,
)
from bartizan.connectors.swtpm.launch import power_on
from bartizan.connectors.swtpm.manufacture import Factory, manufacture
from bartizan.connectors.swtpm.process import RunningTpm, run_tpm
from bartizan.formats.tpm2 import decode_attest, decode_public, decode_signature, encode_credential
from bartizan.model.digest import HashAlg
from bartizan.model.tpm import CertifyInfo, EccKey, PublicArea, QuoteInfo
from bartizan.verify.credential import make_credential
from bartizan.verify.signature import load_key, verify_signature
from tests.integration.emulated import BANKS, KERNEL, NONCE, extended, start_value
from tests.simulator.quotes import flipped

AK_KINDS = ("ecc256", "rsa2048")


def activate(tpm: Tpm, ek: EkReading, *, named: Callable[[PublicArea], bytes], secret: bytes) -> bytes:
    """What the TPM makes of a credential for its EK and an AK of this name."""
    area = decode_public(ek.public)
    key = create_ak(tpm, ek)
    credential = make_credential(
        area,
        ak_name=named(decode_public(key.public)),
        secret=secret,
        entropy=generate_private_key(SECP256R1()) if isinstance(area.key, EccKey) else os.urandom(32),
    )
    id_object, encrypted_secret = encode_credential(credential)
    with tpm.loaded(ek.handle, key) as ak:
        return tpm.activate_credential(ak, ek.handle, id_object=id_object, encrypted_secret=encrypted_secret)


def check_signature(key: KeyBlob, attest: bytes, signature: bytes) -> None:
    area = decode_public(key.public)
    verify_signature(area.key, attest, decode_signature(signature), scheme=area.scheme)


def occupied(tpm: Tpm) -> tuple[int, ...]:
    return tpm.handles(TRANSIENT_FIRST) + tpm.handles(LOADED_SESSION_FIRST)


# What the TPM says of itself.


def test_product_and_banks_are_read(tpm: Tpm) -> None:
    product = tpm.product()

    assert (product.manufacturer, product.model) == ("IBM", "SW   TPM")
    assert product.firmware_version > 0
    assert tpm.banks() == {alg: tuple(range(24)) for alg in BANKS}


def test_the_ek_certificate_in_nv_is_for_the_ek_and_from_the_factory(tpm: Tpm, factory: Factory) -> None:
    with open_ek(tpm) as ek:
        assert ek.certificate is not None
        certificate = x509.load_der_x509_certificate(ek.certificate)
        issuer = x509.load_pem_x509_certificate(factory.issuer_certificate.read_bytes())
        root = x509.load_pem_x509_certificate(factory.root_certificate.read_bytes())

        assert ek.handle == EK_RSA2048.handle
        assert certificate.public_key() == load_key(decode_public(ek.public).key)
        certificate.verify_directly_issued_by(issuer)
        issuer.verify_directly_issued_by(root)


def test_all_certificates_in_nv_are_read(tpm: Tpm) -> None:
    certificates = read_certificates(tpm)

    assert list(certificates) == [0x01C00002, 0x01C00016, 0x01C08000]
    assert [hex(der[0]) for der in certificates.values()] == ["0x30"] * 3


def test_an_nv_index_that_does_not_exist_reads_as_none(tpm: Tpm) -> None:
    with pytest.raises(TpmError) as refused:
        tpm.nv_read(0x01C00100)

    assert refused.value.is_about(HANDLE)
    assert read_nv(tpm, 0x01C00100) is None


def test_the_default_template_makes_the_persistent_ek_again(tpm: Tpm) -> None:
    with tpm.primary(ENDORSEMENT, EK_RSA2048.shared + EK_RSA2048.unique) as key:
        assert key.public == tpm.read_public(EK_RSA2048.handle)
    assert EK_RSA2048.handle in tpm.handles(PERSISTENT_FIRST)


def test_an_ecc_ek_is_made_from_its_template_and_is_the_same_each_time(tpm: Tpm) -> None:
    with open_ek(tpm, "ecc256") as ek:
        first = ek.public
        assert ek.certificate is None
    with open_ek(tpm, "ecc256") as ek:
        assert ek.public == first


# PCRs.


def test_an_extend_reaches_all_three_banks(tpm: Tpm) -> None:
    tpm.pcr_extend(4, {alg: alg.digest(b"loader") for alg in BANKS})

    read = tpm.pcr_read({alg: range(24) for alg in BANKS})
    for alg in BANKS:
        assert list(read[alg]) == list(range(24))
        assert read[alg][4] == extended(alg, start_value(alg), b"loader")
        assert read[alg][5] == start_value(alg)


def test_a_bank_that_is_not_active_reads_as_empty(tpm: Tpm) -> None:
    assert tpm.pcr_read({HashAlg.SHA512: range(24)}) == {HashAlg.SHA512: {}}


def test_locality_0_cannot_extend_a_launch_pcr(tpm: Tpm) -> None:
    with pytest.raises(TpmError, match="not allowed from this locality") as refused:
        tpm.pcr_extend(17, {SHA256: KERNEL})
    assert refused.value.is_about(LOCALITY)


# Attestation Keys and quotes.


@pytest.mark.parametrize("kind", AK_KINDS)
def test_a_quote_verifies_with_the_attestation_key(tpm: Tpm, kind: str) -> None:
    tpm.pcr_extend(7, {alg: alg.digest(b"policy") for alg in BANKS})
    with open_ek(tpm) as ek:
        key = create_ak(tpm, ek, kind)
        with tpm.loaded(ek.handle, key) as ak:
            attest, signature = tpm.quote(ak, NONCE, {SHA1: range(8), SHA256: range(24), SHA384: [7]})

    check_signature(key, attest, signature)
    quoted = decode_attest(attest)
    assert quoted.extra_data == NONCE
    assert isinstance(quoted.body, QuoteInfo)
    selected = {selection.alg: selection.pcrs for selection in quoted.body.selections}
    assert selected == {SHA1: tuple(range(8)), SHA256: tuple(range(24)), SHA384: (7,)}
    read = tpm.pcr_read(selected)
    values = b"".join(read[alg][pcr] for alg, pcrs in selected.items() for pcr in pcrs)
    assert quoted.body.pcr_digest == hashlib.sha256(values).digest()


@pytest.mark.parametrize("kind", AK_KINDS)
def test_the_quote_names_a_signer_in_the_endorsement_hierarchy(tpm: Tpm, kind: str) -> None:
    with open_ek(tpm) as ek:
        key = create_ak(tpm, ek, kind)
        with tpm.loaded(ek.handle, key) as ak:
            attest, _ = tpm.quote(ak, NONCE, {SHA256: [0]})

    parent = HashAlg.SHA256.digest(ENDORSEMENT.to_bytes(4, "big") + decode_public(ek.public).name)
    prefix = SHA256.to_bytes(2, "big")
    named = HashAlg.SHA256.digest(prefix + parent + decode_public(key.public).name)
    assert decode_attest(attest).qualified_signer == prefix + named


def test_an_attestation_key_certifies_itself(tpm: Tpm) -> None:
    with open_ek(tpm) as ek:
        key = create_ak(tpm, ek)
        with tpm.loaded(ek.handle, key) as ak:
            attest, signature = tpm.certify(ak, ak, NONCE)

    check_signature(key, attest, signature)
    body = decode_attest(attest).body
    assert isinstance(body, CertifyInfo)
    assert body.name == decode_public(key.public).name


def test_an_attestation_key_survives_a_power_cycle_as_a_blob(running: RunningTpm, tpm: Tpm) -> None:
    with open_ek(tpm) as ek:
        key = create_ak(tpm, ek)
    power_on(running.control, tpm)
    with open_ek(tpm) as ek, tpm.loaded(ek.handle, key) as ak:
        attest, signature = tpm.quote(ak, NONCE, {SHA256: [0]})

    check_signature(key, attest, signature)


@pytest.mark.parametrize("ek_kind", ["rsa2048", "ecc256"])
@pytest.mark.parametrize("secret", [NONCE, b"\x00"], ids=["longest", "shortest"])
def test_a_credential_for_this_ek_and_ak_is_activated(tpm: Tpm, ek_kind: str, secret: bytes) -> None:
    with open_ek(tpm, ek_kind) as ek:
        assert activate(tpm, ek, named=lambda area: area.name, secret=secret) == secret


@pytest.mark.parametrize("ek_kind", ["rsa2048", "ecc256"])
def test_a_credential_for_another_ak_name_is_refused(tpm: Tpm, ek_kind: str) -> None:
    with open_ek(tpm, ek_kind) as ek, pytest.raises(TpmError, match="the integrity check failed") as refused:
        activate(tpm, ek, named=lambda area: flipped(area.name), secret=NONCE)
    assert refused.value.is_about(INTEGRITY)


def test_a_credential_for_another_tpm_is_refused(tpm: Tpm, factory: Factory) -> None:
    (state,) = manufacture(factory, ["other"])
    with run_tpm(state) as other, other.connect() as connected:
        power_on(other.control, connected)
        with open_ek(connected) as ek:
            foreign = ek.public
    with open_ek(tpm) as ek, pytest.raises(TpmError, match="TPM2_ACTIVATE_CREDENTIAL"):
        activate(tpm, ek._replace(public=foreign), named=lambda area: area.name, secret=NONCE)


def test_twenty_quotes_leave_no_slot_occupied(tpm: Tpm) -> None:
    with open_ek(tpm, "ecc256") as ek:
        key = create_ak(tpm, ek)
        for _ in range(20):
            with tpm.loaded(ek.handle, key) as ak:
                tpm.quote(ak, NONCE, {SHA256: range(24)})

    assert occupied(tpm) == ()


def test_an_error_in_the_block_leaves_no_slot_occupied(tpm: Tpm) -> None:
    for _ in range(4):
        with pytest.raises(TpmError), open_ek(tpm, "ecc256") as ek, tpm.loaded(ek.handle, create_ak(tpm, ek)) as ak:
            tpm.activate_credential(ak, ek.handle, id_object=b"\0\0", encrypted_secret=b"\0\0")

    assert occupied(tpm) == ()


def test_keys_left_loaded_are_named_as_the_cause(tpm: Tpm) -> None:
    template = EK_RSA2048.shared + EK_RSA2048.unique
    with ExitStack() as slots:
        for _ in range(3):
            slots.enter_context(tpm.primary(ENDORSEMENT, template))
        with pytest.raises(TpmError, match="no slot for objects is free"):
            slots.enter_context(tpm.primary(ENDORSEMENT, template))
    assert occupied(tpm) == ()
