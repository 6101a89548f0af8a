"""TPM commands as they are marshalled, and what becomes of good, bad and malformed responses; no TPM involved."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bartizan.collect.channel import ATTEMPTS, LONGEST_PAUSE, Command
from bartizan.collect.codes import BUSY_CODES, TpmError, explain
from bartizan.collect.identity import open_ek, read_certificates
from bartizan.collect.marshal import SHA256, SHA384, Parser, selection, sized, u16, u32
from bartizan.collect.tpm import ENDORSEMENT, KeyBlob, Product, StartupType, Tpm
from tests.unit.scripted_tpm import Script, done, done_authorized, framed, refused, scripted

AK, EK, SESSION = 0x80000001, 0x81010001, 0x03000000
EMPTY_AUTH = "00000009400000090000000000"
OPEN_SESSION = (done(u32(SESSION) + sized(bytes(16))), done_authorized(sized(b"") + bytes(6)))
FLUSHED = done()


def sent(script: Script) -> str:
    return script.commands[-1].hex()


# The frame.


def test_a_command_without_authorization_is_tag_size_code_and_body() -> None:
    tpm, script = scripted(done(), done())
    tpm.startup()
    tpm.shutdown(StartupType.STATE)

    assert [command.hex() for command in script.commands] == ["80010000000c000001440000", "80010000000c000001450001"]


def test_an_authorized_command_carries_an_empty_password() -> None:
    tpm, script = scripted(done_authorized())
    tpm.pcr_extend(16, {SHA256: bytes(32)})

    assert sent(script) == "8002000000410000018200000010" + EMPTY_AUTH + "00000001000b" + "00" * 32


def test_a_quote_names_key_data_scheme_and_selection() -> None:
    tpm, script = scripted(done_authorized(sized(b"attest") + b"signature"))

    assert tpm.quote(AK, b"\xaa\xbb", {SHA256: [0, 10], SHA384: [23]}) == (b"attest", b"signature")
    selected = "00000002000b03010400000c03000080"
    assert sent(script) == "8002000000310000015880000001" + EMPTY_AUTH + "0002aabb0010" + selected


def test_a_selection_beyond_pcr_23_is_a_bug_of_the_caller() -> None:
    with pytest.raises(ValueError, match="0 to 23"):
        selection({SHA256: [24]})


# A busy TPM.


@pytest.mark.parametrize("code", sorted(BUSY_CODES))
def test_a_busy_tpm_is_asked_the_same_again(code: int) -> None:
    tpm, script = scripted(refused(code), refused(code), done())
    tpm.startup()

    assert len(set(script.commands)) == 1
    assert script.pauses == [0.01, 0.02]


def test_a_tpm_that_stays_busy_is_given_up() -> None:
    tpm, script = scripted(*[refused(0x922)] * (ATTEMPTS + 1))
    with pytest.raises(TpmError, match="0x922: the TPM could not start the command"):
        tpm.startup()

    assert (len(script.commands), script.unused) == (ATTEMPTS, 1)
    assert max(script.pauses) == LONGEST_PAUSE
    assert 10 < sum(script.pauses) < 20


@pytest.mark.parametrize("code", [0x101, 0x909, 0x921, 0x923])
def test_any_other_refusal_is_final(code: int) -> None:
    tpm, script = scripted(refused(code), done())
    with pytest.raises(TpmError):
        tpm.startup()
    assert (script.pauses, script.unused) == ([], 1)


# Refusals in words.


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (0x100, "0x100: the TPM was already started, or not yet"),
        (0x18B, "0x18b (handle 1): there is no such handle"),
        (0x1DF, "0x1df (parameter 1): the integrity check failed: the blob was not made for this TPM, key or name"),
        (0x9A2, "0x9a2 (session 1): the authorization failed: a password is set"),
        (0x09D, "0x09d: a policy check failed"),
        (0x902, "0x902: no slot for objects is free: someone left keys loaded"),
        (0x01E, "0x01e: the command's tag is unknown: this is a TPM 1.2"),
        (0x17F, "0x17f: refused"),
        (0xB0143, "0xb0143: refused"),
    ],
)
def test_a_response_code_is_explained(code: int, words: str) -> None:
    assert explain(code) == words


def test_an_error_names_the_command_and_keeps_the_code() -> None:
    tpm, _ = scripted(refused(0x18B))
    with pytest.raises(TpmError, match="TPM2_READ_PUBLIC: 0x18b") as caught:
        tpm.read_public(EK)
    assert (caught.value.what, caught.value.code, caught.value.is_about(0x08B)) == ("TPM2_READ_PUBLIC", 0x18B, True)


def test_an_error_without_a_code_is_about_none() -> None:
    assert not TpmError("TPM2_QUOTE", "gone").is_about(0)


# Malformed responses.


def test_a_success_with_another_tag_is_refused() -> None:
    tpm, _ = scripted(framed(0x8002, 0))
    with pytest.raises(TpmError, match="tag 0x8001 expected, found 0x8002"):
        tpm.startup()


def test_an_answer_of_a_tpm_1_2_is_recognised() -> None:
    tpm, _ = scripted(framed(0x00C4, 0x01E))
    with pytest.raises(TpmError, match=r"this is a TPM 1\.2"):
        tpm.startup()


@pytest.mark.parametrize("size", range(10))
def test_a_response_shorter_than_its_header_is_refused(size: int) -> None:
    tpm, _ = scripted(done()[:size])
    with pytest.raises(TpmError, match="malformed response"):
        tpm.startup()


def test_bytes_left_over_are_refused() -> None:
    tpm, _ = scripted(done(b"\0"))
    with pytest.raises(TpmError, match="1 bytes left over"):
        tpm.startup()


def test_parameters_larger_than_the_response_are_refused() -> None:
    tpm, _ = scripted(framed(0x8002, 0, u32(500)))
    with pytest.raises(TpmError, match="500 bytes expected, 0 left"):
        tpm.quote(AK, b"", {})


def everything(tpm: Tpm) -> list[Callable[[], object]]:
    """Each kind of response that is parsed."""
    return [
        tpm.product,
        tpm.banks,
        lambda: tpm.handles(0x80000000),
        lambda: tpm.nv_read(0x01C00002),
        lambda: tpm.pcr_read({SHA256: range(24)}),
        lambda: tpm.primary(ENDORSEMENT, b"").__enter__(),
        lambda: tpm.create(EK, b""),
        lambda: tpm.loaded(EK, KeyBlob(b"", b"")).__enter__(),
        lambda: tpm.activate_credential(AK, EK, id_object=b"", encrypted_secret=b""),
        lambda: tpm.quote(AK, b"", {}),
        lambda: tpm.certify(AK, AK, b""),
        lambda: tpm.read_public(EK),
        lambda: read_certificates(tpm),
        lambda: open_ek(tpm).__enter__(),
    ]


@given(data=st.data(), body=st.binary(max_size=80), tag=st.sampled_from([0x8001, 0x8002]))
def test_any_response_is_understood_or_a_tpm_error(data: st.DataObject, body: bytes, tag: int) -> None:
    tpm, _ = scripted(*[framed(tag, 0, body)] * 4)
    command = data.draw(st.sampled_from(everything(tpm)))
    try:
        command()
    except TpmError:
        return


# What the TPM says of itself.


def test_a_product_is_read_from_its_properties() -> None:
    values = {0x105: b"INTC", 0x106: b"Inte", 0x107: b"l\0\0\0", 0x10B: b"\0\1\0\2", 0x10C: b"\0\3\0\4"}
    listed = b"".join(u32(tag) + value for tag, value in values.items())
    tpm, script = scripted(done(b"\x01" + u32(6) + u32(len(values)) + listed))

    assert tpm.product() == Product("INTC", "Intel", 0x0001000200030004)
    assert sent(script).endswith("0000017a00000006000001000000000d")


def test_a_vendor_string_is_shown_without_control_characters() -> None:
    tpm, _ = scripted(done(b"\0" + u32(6) + u32(1) + u32(0x105) + b"A\x1b\xffB"))

    assert tpm.product().manufacturer == "AB"


def test_banks_without_pcrs_are_left_out() -> None:
    listed = u32(2) + u16(SHA256) + b"\3\xff\xff\xff" + u16(SHA384) + b"\3\0\0\0"
    tpm, _ = scripted(done(b"\0" + u32(5) + listed))

    assert tpm.banks() == {SHA256: tuple(range(24))}


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"\0" + u32(6) + u32(0), "capability 5 expected, found 6"),
        (b"\0" + u32(5) + u32(17), "at most 16 entries expected, found 17"),
        (b"\0" + u32(5) + u32(2) + (u16(SHA256) + b"\3\1\0\0") * 2, "listed twice"),
        (b"\0" + u32(5) + u32(1) + u16(SHA256) + b"\5\1\0\0\0\0", "bitmap of 5 bytes"),
        (b"\0" + u32(5) + u32(0) + b"\0", "1 bytes left over"),
    ],
)
def test_a_malformed_list_of_banks_is_refused(body: bytes, why: str) -> None:
    tpm, _ = scripted(done(body))
    with pytest.raises(TpmError, match=why):
        tpm.banks()


def test_more_handles_than_a_tpm_may_list_are_refused() -> None:
    tpm, _ = scripted(done(b"\0" + u32(1) + u32(255)))
    with pytest.raises(TpmError, match="at most 254"):
        tpm.handles(0x81000000)


# NV memory.

AUTH_READ, OWNER_READ = 1 << 18, 1 << 17


def nv_public(size: int, attributes: int = AUTH_READ) -> bytes:
    area = u32(0x01C00002) + u16(SHA256) + u32(attributes) + sized(b"") + u16(size)
    return done(sized(area) + sized(bytes(34)))


def test_nv_contents_are_read_in_chunks() -> None:
    tpm, script = scripted(nv_public(513), done_authorized(sized(b"a" * 512)), done_authorized(sized(b"b")))

    assert tpm.nv_read(0x01C00002) == b"a" * 512 + b"b"
    assert [command.hex()[-8:] for command in script.commands[1:]] == ["02000000", "00010200"]


@pytest.mark.parametrize(("attributes", "reader"), [(AUTH_READ, "01c00002"), (OWNER_READ, "40000001")])
def test_an_nv_index_is_read_by_its_own_password_where_that_is_allowed(attributes: int, reader: str) -> None:
    tpm, script = scripted(nv_public(1, attributes), done_authorized(sized(b"a")))
    tpm.nv_read(0x01C00002)

    assert script.commands[1].hex()[20:36] == reader + "01c00002"


def test_a_chunk_of_another_size_is_refused() -> None:
    tpm, _ = scripted(nv_public(4), done_authorized(sized(b"")))
    with pytest.raises(TpmError, match="4 bytes asked for, 0 sent"):
        tpm.nv_read(0x01C00002)


def test_an_empty_index_is_empty() -> None:
    tpm, script = scripted(nv_public(0))

    assert tpm.nv_read(0x01C00002) == b""
    assert script.codes == [Command.NV_READ_PUBLIC]


# PCRs.


def pcr_reply(pcrs: list[int], digests: list[bytes]) -> bytes:
    return done(u32(7) + selection({SHA256: pcrs}) + u32(len(digests)) + b"".join(map(sized, digests)))


def test_pcrs_that_do_not_fit_into_one_response_are_asked_for_again() -> None:
    first, second = [bytes([pcr]) * 32 for pcr in range(8)], [b"\x08" * 32]
    tpm, script = scripted(pcr_reply(list(range(8)), first), pcr_reply([8], second))

    assert tpm.pcr_read({SHA256: range(9)}) == {SHA256: dict(enumerate(first + second))}
    assert [command.hex()[-6:] for command in script.commands] == ["ff0100", "000100"]


def test_pcrs_that_the_tpm_does_not_have_are_left_out() -> None:
    tpm, _ = scripted(pcr_reply([0], [bytes(32)]), pcr_reply([], []))

    assert tpm.pcr_read({SHA256: [0, 1]}) == {SHA256: {0: bytes(32)}}


@pytest.mark.parametrize(
    ("pcrs", "digests"), [([3], [bytes(32)]), ([0], []), ([0], [bytes(32)] * 2), ([], [bytes(32)])]
)
def test_pcrs_that_were_not_asked_for_are_refused(pcrs: list[int], digests: list[bytes]) -> None:
    tpm, _ = scripted(pcr_reply(pcrs, digests))
    with pytest.raises(TpmError, match="digests for the PCRs"):
        tpm.pcr_read({SHA256: [0, 1]})


def test_more_digests_than_a_list_may_hold_are_refused() -> None:
    tpm, _ = scripted(done(u32(7) + selection({SHA256: range(9)}) + u32(9)))
    with pytest.raises(TpmError, match="at most 8"):
        tpm.pcr_read({SHA256: range(9)})


# Slots.


def test_a_session_is_flushed_after_its_command() -> None:
    tpm, script = scripted(*OPEN_SESSION, done_authorized(sized(b"priv") + sized(b"pub")), FLUSHED)

    assert tpm.create(EK, b"template") == KeyBlob(sized(b"priv"), sized(b"pub"))
    expected = [Command.START_AUTH_SESSION, Command.POLICY_SECRET, Command.CREATE, Command.FLUSH_CONTEXT]
    assert script.codes == expected
    assert sent(script).endswith(f"{SESSION:08x}")
    assert f"{SESSION:08x}0000010000" in script.commands[2].hex()


def test_a_session_is_flushed_after_a_refusal() -> None:
    tpm, script = scripted(OPEN_SESSION[0], refused(0x9A2), FLUSHED)
    with pytest.raises(TpmError, match="TPM2_POLICY_SECRET: 0x9a2"):
        tpm.create(EK, b"template")
    assert script.codes[-1] == Command.FLUSH_CONTEXT


def test_a_loaded_key_is_flushed_when_its_block_ends() -> None:
    tpm, script = scripted(*OPEN_SESSION, done_authorized(sized(b"name"), handle=AK), FLUSHED, FLUSHED)
    with tpm.loaded(EK, KeyBlob(b"", b"")) as handle:
        assert handle == AK
        assert script.unused == 1
    assert sent(script).endswith("0000016580000001")


def test_a_primary_key_is_flushed_when_its_response_is_malformed() -> None:
    tpm, script = scripted(framed(0x8002, 0, u32(AK) + u32(99)), FLUSHED)
    with pytest.raises(TpmError, match="TPM2_CREATE_PRIMARY: malformed"):
        tpm.primary(ENDORSEMENT, b"").__enter__()
    assert sent(script).endswith("0000016580000001")


def test_the_first_error_is_reported_when_the_flush_fails_too() -> None:
    tpm, _ = scripted(*OPEN_SESSION, refused(0x101))
    with pytest.raises(TpmError, match="TPM2_CREATE: 0x101"):
        tpm.create(EK, b"template")


def test_a_flush_that_fails_alone_is_reported() -> None:
    tpm, _ = scripted(*OPEN_SESSION, done_authorized(sized(b"") + sized(b"")), refused(0x1CB))
    with pytest.raises(TpmError, match="TPM2_FLUSH_CONTEXT"):
        tpm.create(EK, b"template")


def test_the_secret_of_a_credential_is_returned() -> None:
    tpm, script = scripted(*OPEN_SESSION, done_authorized(sized(b"secret")), FLUSHED)

    assert tpm.activate_credential(AK, EK, id_object=b"[id]", encrypted_secret=b"[es]") == b"secret"
    assert script.commands[2].endswith(b"[id][es]")
    assert script.commands[2].hex()[20:36] == f"{AK:08x}{EK:08x}"


def test_the_transport_is_closed_with_the_tpm() -> None:
    tpm, script = scripted()
    with tpm:
        assert not script.is_closed
    assert script.is_closed


def test_a_parser_reads_nothing_beyond_its_end() -> None:
    parser = Parser(b"\0\1\2", "test")

    assert (parser.u16(), parser.u8()) == (1, 2)
    with pytest.raises(TpmError, match="test: malformed response at byte 3: 1 bytes expected, 0 left"):
        parser.u8()
