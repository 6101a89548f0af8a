"""Any bytes at all: event decoders return or raise `DecodeError`, and what is shown of them is harmless."""

import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bartizan.errors import DecodeError
from bartizan.formats.boot_text import decode_boot_text
from bartizan.formats.dbx_update import decode_signed_update
from bartizan.formats.device_path import decode_device_path, file_path, is_option_rom
from bartizan.formats.device_path_text import device_path_text, node_text
from bartizan.formats.device_security import decode_device_security
from bartizan.formats.event_data import DECODERS, decode_event_data
from bartizan.formats.event_text import LINE, describe
from bartizan.formats.inert import inert
from bartizan.formats.no_action import decode_no_action
from bartizan.formats.sbat import decode_sbat
from bartizan.formats.signature_list import decode_authority, decode_signature_lists, security_versions
from bartizan.formats.tagged_event import decode_tagged_events
from bartizan.formats.texts import decode_labelled, decode_text
from bartizan.formats.uefi import (
    decode_firmware_blob2,
    decode_handoff_tables2,
    decode_image_load,
    decode_partition_table,
    decode_variable,
)
from bartizan.formats.uefi_variable import decode_load_option, decode_variable_value
from bartizan.model.uefi import (
    EFI_GLOBAL,
    IMAGE_SECURITY,
    SHIM_LOCK,
    Guid,
    PathNode,
    SignatureEntry,
    SignatureList,
    Variable,
)
from tests.unit.uefi_bytes import (
    END,
    OWNER,
    SHA256_LIST,
    certificate,
    encoded,
    event,
    file_node,
    image_load,
    load_option,
    node,
    partition,
    partition_table,
    signature_list,
    tag,
    variable,
)

PCI = node(1, 1, b"\x00\x1f")
SAMPLES: dict[str, tuple[Callable[[bytes], object], bytes]] = {
    "variable": (decode_variable, variable("SecureBoot", b"\1")),
    "image": (decode_image_load, image_load(PCI + file_node(r"\EFI\a.efi") + END)),
    "path": (decode_device_path, PCI + file_node("a") + END),
    "gpt": (decode_partition_table, partition_table([partition("ESP"), partition("root")])),
    "lists": (decode_signature_lists, signature_list(SHA256_LIST, [(OWNER, bytes(32))] * 2)),
    "authority": (decode_authority, OWNER + certificate()),
    "option": (decode_load_option, load_option("debian", PCI + END)),
    "tags": (decode_tagged_events, tag(0x40010001, tag(0x40010003, tag(1, b"x")) + tag(2, b""))),
    "tables": (decode_handoff_tables2, b"\2HO" + b"\1" + bytes(7) + OWNER + bytes(8)),
    "blob": (decode_firmware_blob2, b"\3PEI" + bytes(16)),
    "no action": (decode_no_action, b"SP800-155 Event\0" + bytes(20)),
    "spdm": (decode_device_security, b"SPDM Device Sec2" + bytes(28) + b"\x0a" + bytes(7) + PCI + END),
    "sbat": (decode_sbat, b"sbat,1,2025021800\nshim,4\n"),
    "text": (decode_text, b"text\0"),
    "labelled": (decode_labelled, b"HPE\0\1"),
    "boot text": (decode_boot_text, b"kernel_cmdline: ro\0"),
    "update": (
        decode_signed_update,
        bytes(16) + bytes.fromhex("1b0000000002f10e9dd2af4adf68ee498aa9347d375665a7") + b"sig"
        + signature_list(SHA256_LIST, [(OWNER, bytes(32))]),
    ),
}  # fmt: skip


def refused(decoder: Callable[[bytes], object], raw: bytes) -> bool:
    try:
        decoder(raw)
    except DecodeError as error:
        return 0 <= error.offset <= len(raw) or pytest.fail(f"{error} of {len(raw)} bytes")
    return False


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_is_accepted_and_every_truncation_is_refused_or_fine(name: str) -> None:
    decoder, sample = SAMPLES[name]

    assert not refused(decoder, sample)
    for size in range(len(sample)):
        refused(decoder, sample[:size])


STRICT = ["variable", "image", "gpt", "option", "tables", "blob", "no action", "spdm", "labelled"]


@pytest.mark.parametrize("name", STRICT)
def test_a_form_with_a_fixed_end_refuses_every_truncation(name: str) -> None:
    decoder, sample = SAMPLES[name]

    assert all(refused(decoder, sample[:size]) for size in range(len(sample)))


@pytest.mark.parametrize("name", SAMPLES)
@given(raw=st.binary(max_size=200))
def test_a_decoder_is_total(name: str, raw: bytes) -> None:
    refused(SAMPLES[name][0], raw)


@pytest.mark.parametrize("name", SAMPLES)
@given(data=st.data())
def test_a_decoder_is_total_near_its_sample(name: str, data: st.DataObject) -> None:
    decoder, sample = SAMPLES[name]
    raw = bytearray(sample)
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.sampled_from([0, 1, 4, 0x7F, 0x80, 0xFF]))

    refused(decoder, bytes(raw))


KINDS = st.sampled_from(sorted({*DECODERS, 0x401, 0x12345678}))
NEAR = st.sampled_from([sample for _, sample in SAMPLES.values()])


@given(kind=KINDS, raw=st.one_of(st.binary(max_size=150), NEAR))
def test_any_event_has_data_and_a_harmless_line(kind: int, raw: bytes) -> None:
    said = describe(decode_event_data(event(kind, raw)))

    assert said.isprintable()
    assert 0 < len(said) <= LINE + 1


@given(
    vendor=st.sampled_from([EFI_GLOBAL, IMAGE_SECURITY, SHIM_LOCK, OWNER]),
    name=st.sampled_from(["SecureBoot", "BootOrder", "Boot0001", "db", "SbatLevel", "MokListRT", "x"]),
    raw=st.one_of(st.binary(max_size=100), NEAR),
)
def test_any_variable_has_a_value_or_is_refused(vendor: Guid, name: str, raw: bytes) -> None:
    refused(lambda data: decode_variable_value(Variable(vendor=vendor, name=name, data=data)), raw)


@given(name=st.text(max_size=30), data=st.binary(max_size=100), vendor=st.binary(min_size=16, max_size=16))
def test_a_variable_survives_a_round_trip(name: str, data: bytes, vendor: bytes) -> None:
    raw = variable(name, data, vendor=Guid(vendor))

    found = decode_variable(raw)

    assert (found.vendor, found.name, found.data) == (vendor, name, data)
    assert variable(found.name, found.data, vendor=found.vendor) == raw


ENTRY = st.builds(SignatureEntry, st.binary(min_size=16, max_size=16), st.binary(min_size=32, max_size=32))
LIST = st.builds(
    lambda entries: SignatureList(signature_type=SHA256_LIST, kind=None, entries=tuple(entries)),
    st.lists(ENTRY, max_size=5),
)


@given(st.lists(LIST, max_size=4))
def test_signature_lists_survive_a_round_trip(lists: list[SignatureList]) -> None:
    raw = encoded(lists)

    found = decode_signature_lists(raw)

    assert encoded(found) == raw
    assert [each.entries for each in found] == [each.entries for each in lists]
    refused(lambda _: security_versions(found), raw)


NODES = st.builds(PathNode, st.integers(1, 5), st.integers(0, 30), st.binary(max_size=70))


@given(st.lists(NODES, max_size=8))
def test_a_device_path_survives_a_round_trip_and_has_a_text(nodes: list[PathNode]) -> None:
    raw = b"".join(node(*each) for each in nodes) + END

    path = decode_device_path(raw)

    assert path.nodes == tuple(nodes)
    assert device_path_text(path).count("/") >= len(nodes) - 1
    assert isinstance(is_option_rom(path), bool)
    assert file_path(path) is None or isinstance(file_path(path), str)
    assert all(isinstance(node_text(each), str) for each in nodes)


@given(st.text(alphabet=st.characters(), max_size=80), st.integers(1, 60))
def test_inert_text_is_one_printable_line_within_its_limit(text: str, limit: int) -> None:
    shown = inert(text, limit=limit)

    assert shown.isprintable()
    assert "\x1b" not in shown
    assert not any(unicodedata.bidirectional(char) in {"R", "AL", "AN", "LRE", "RLO", "RLI", "PDF"} for char in shown)
    assert len(shown) <= limit + 1
    assert len(shown) <= limit or shown.endswith("…")


@given(st.binary(max_size=80))
def test_inert_takes_bytes_that_are_not_utf8(raw: bytes) -> None:
    assert inert(raw.decode("utf-8", "surrogateescape")).isprintable()


@given(st.text(alphabet=st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=200))
def test_inert_leaves_ascii_alone(text: str) -> None:
    assert inert(text) == text
