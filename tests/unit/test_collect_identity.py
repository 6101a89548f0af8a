"""Which Endorsement Key is used, which certificates are read; no TPM involved."""

import pytest

from bartizan.collect.channel import Command
from bartizan.collect.codes import TpmError
from bartizan.collect.identity import create_ak, open_ek, read_certificates, read_nv
from bartizan.collect.marshal import SHA256, sized, u16, u32
from bartizan.collect.templates import AK_TEMPLATES, EK_ECC256, EK_RSA2048, EkTemplate
from bartizan.collect.tpm import KeyBlob
from bartizan.formats.tpm2 import decode_public
from bartizan.model.tpm import Attribute, EccKey, RsaKey
from tests.unit.scripted_tpm import done, done_authorized, refused, scripted

MISSING = refused(0x18B)
FLUSHED = done()
TRANSIENT = 0x80000000


def nv(contents: bytes) -> tuple[bytes, bytes]:
    """What reading an NV index takes: its public area and its contents."""
    area = u32(0x01C00002) + u16(SHA256) + u32(1 << 18) + sized(b"") + u16(len(contents))
    return done(sized(area) + sized(bytes(34))), done_authorized(sized(contents))


def handles(*found: int) -> bytes:
    return done(b"\0" + u32(1) + u32(len(found)) + b"".join(map(u32, found)))


def public(area: bytes) -> bytes:
    return done(sized(area) + sized(bytes(34)) + sized(bytes(34)))


def primary(area: bytes) -> bytes:
    return done_authorized(sized(area), handle=TRANSIENT)


def filled(template: EkTemplate, filling: bytes = b"\x11") -> bytes:
    return template.shared + template.unique.replace(b"\0" * 32, filling * 32)


def asked_template(command: bytes) -> bytes:
    """The TPMT_PUBLIC inside a TPM2_CreatePrimary: after header, hierarchy, password and inSensitive."""
    after = command[10 + 4 + 4 + 9 + 6 :]
    return after[2 : 2 + int.from_bytes(after[:2], "big")]


def test_the_persistent_ek_is_used_where_it_is_the_default_one() -> None:
    tpm, script = scripted(*nv(b"cert"), handles(EK_RSA2048.handle), public(filled(EK_RSA2048)))
    with open_ek(tpm) as ek:
        assert ek == (EK_RSA2048.handle, sized(filled(EK_RSA2048)), b"cert")
    assert Command.FLUSH_CONTEXT not in script.codes


@pytest.mark.parametrize("kind", ["rsa2048", "ecc256"])
def test_without_a_persistent_ek_it_is_made_from_the_template_and_flushed(kind: str) -> None:
    template = EK_RSA2048 if kind == "rsa2048" else EK_ECC256
    tpm, script = scripted(MISSING, handles(0x81010016), MISSING, MISSING, primary(filled(template)), FLUSHED)
    with open_ek(tpm, kind) as ek:
        assert ek == (TRANSIENT, sized(filled(template)), None)
        assert asked_template(script.commands[-1]) == template.shared + template.unique
    assert script.codes[-1] == Command.FLUSH_CONTEXT


def test_another_key_at_the_conventional_handle_is_not_taken_for_the_ek() -> None:
    other = public(filled(EK_ECC256))
    made = primary(filled(EK_RSA2048))
    tpm, _ = scripted(MISSING, handles(EK_RSA2048.handle), other, MISSING, MISSING, made, FLUSHED)
    with open_ek(tpm) as ek:
        assert ek.handle == TRANSIENT


def test_the_manufacturers_own_template_is_used() -> None:
    tpm, script = scripted(MISSING, handles(), *nv(b"own template"), primary(b"public"), FLUSHED)
    with open_ek(tpm):
        assert asked_template(script.commands[-1]) == b"own template"


@pytest.mark.parametrize(
    ("template", "kind", "rest"), [(EK_RSA2048, "rsa2048", b""), (EK_ECC256, "ecc256", sized(bytes(32)))]
)
def test_the_manufacturers_nonce_goes_into_the_unique_field(template: EkTemplate, kind: str, rest: bytes) -> None:
    width = 256 if kind == "rsa2048" else 32
    tpm, script = scripted(MISSING, handles(), MISSING, *nv(b"nonce"), primary(b"public"), FLUSHED)
    with open_ek(tpm, kind):
        asked = asked_template(script.commands[-1])
    assert asked == template.shared + sized(b"nonce".ljust(width, b"\0")) + rest


def test_an_ek_is_flushed_when_its_block_fails() -> None:
    tpm, script = scripted(MISSING, handles(), MISSING, MISSING, primary(b"public"), FLUSHED)
    with pytest.raises(RuntimeError), open_ek(tpm):
        raise RuntimeError
    assert script.codes[-1] == Command.FLUSH_CONTEXT


def test_only_certificates_are_read_from_nv() -> None:
    present = handles(0x01400001, 0x01C00002, 0x01C00003, 0x01C00100, 0x01C001FF, 0x01C00200, 0x01C08000)
    contents = [b"ek", b"chain 1", b"chain 2", b"platform"]
    tpm, script = scripted(present, *(response for part in contents for response in nv(part)))

    indices = [0x01C00002, 0x01C00100, 0x01C001FF, 0x01C08000]
    assert read_certificates(tpm) == dict(zip(indices, contents, strict=True))
    assert script.unused == 0


@pytest.mark.parametrize("code", [0x18B, 0x14A])
def test_a_missing_or_empty_index_is_none(code: int) -> None:
    tpm, _ = scripted(refused(code))
    assert read_nv(tpm, 0x01C00002) is None


def test_a_defined_but_unwritten_certificate_is_left_out() -> None:
    public_area, _ = nv(b"cert")
    tpm, _ = scripted(handles(0x01C00002), public_area, refused(0x14A))
    assert read_certificates(tpm) == {}


def test_another_refusal_of_an_index_is_an_error() -> None:
    tpm, _ = scripted(refused(0x101))
    with pytest.raises(TpmError, match="failure mode"):
        read_nv(tpm, 0x01C00002)


@pytest.mark.parametrize("template", [EK_RSA2048, EK_ECC256])
def test_an_ek_template_is_a_restricted_decryption_key(template: EkTemplate) -> None:
    area = decode_public(sized(template.shared + template.unique))

    assert area.attributes == 0x000300B2
    assert isinstance(area.key, RsaKey if template is EK_RSA2048 else EccKey)


def test_an_ak_template_is_a_restricted_signing_key() -> None:
    area = decode_public(sized(AK_TEMPLATES["ecc256"]))

    assert area.attributes == (
        Attribute.FIXED_TPM
        | Attribute.FIXED_PARENT
        | Attribute.SENSITIVE_DATA_ORIGIN
        | Attribute.USER_WITH_AUTH
        | Attribute.NO_DA
        | Attribute.RESTRICTED
        | Attribute.SIGN_ENCRYPT
    )


def test_an_ak_is_created_under_the_ek_it_was_asked_for() -> None:
    session = done(u32(0x03000000) + sized(bytes(16)))
    ticket = done_authorized(sized(b"") + bytes(6))
    tpm, script = scripted(
        *nv(b"cert"),
        handles(EK_RSA2048.handle),
        public(filled(EK_RSA2048)),
        session,
        ticket,
        done_authorized(sized(b"private") + sized(b"public")),
        FLUSHED,
    )
    with open_ek(tpm) as ek:
        assert create_ak(tpm, ek, "rsa2048") == KeyBlob(sized(b"private"), sized(b"public"))
    create = script.commands[script.codes.index(Command.CREATE)]
    assert create[10:14] == u32(EK_RSA2048.handle)
    assert sized(AK_TEMPLATES["rsa2048"]) in create
