"""Facts from explained events: believed where a digest is computed again from the data, and only there."""

import hashlib
from dataclasses import replace

import pytest

from bartizan.formats.texts import MAX_TEXT
from bartizan.model.boot_facts import BootFacts
from bartizan.model.boot_log import BootLog, Event, EventType
from bartizan.model.digest import HashAlg
from bartizan.verify.boot import verify_boot
from bartizan.verify.boot_facts import extract_facts
from tests.simulator.boot_logs import (
    BOOTS,
    changed,
    digests,
    log_of,
    measured,
    of_pcr,
    recorded,
    started_from,
    tpm_after,
    variable,
    with_events,
)

SHA256 = HashAlg.SHA256
IMAGE_SECURITY = "cbb219d73a3d9645a3bcdad00e67656f"
SHIM = "50ab5d6046e00043abb63dd810dd8b23"
SHA256_LIST = bytes.fromhex("2616c4c14c509240aca941f936934328")
X509_LIST = bytes.fromhex("a159c0a5e494a74a87b5ab155c2bf072")
OWNER = bytes(16)
CONFIG, AUTHORITY, IPL = EventType.EFI_VARIABLE_DRIVER_CONFIG, EventType.EFI_VARIABLE_AUTHORITY, EventType.IPL
GOOD, OFF = recorded("boots/good"), recorded("boots/attack_sb_off")
OLD_SHIM = recorded("google_go-eventlog/testdata__eventlogs__tpm__cos-85-amd-sev.bin")
SYSTEMD_BOOT = recorded("tpm2-software_tpm2-tools/test__integration__fixtures__event-sd-boot-fedora37.bin")


def facts_of(log: BootLog, *, guess: str | None = None) -> BootFacts:
    """Of a log that explains its TPM's PCRs."""
    held = {SHA256: tpm_after(log)[SHA256]}
    return verify_boot(log, held, pinned=SHA256, untrusted_command_line=guess).facts


def facts(*events: Event, guess: str | None = None) -> BootFacts:
    return facts_of(log_of(*events), guess=guess)


def setting(name: str, data: bytes, *, of: bytes | None = None, pcr: int = 7) -> Event:
    return measured(pcr, CONFIG, variable(name, data), of=of)


def signature_list(kind: bytes, *entries: bytes) -> bytes:
    """EFI_SIGNATURE_LIST of entries of one length."""
    size = len(OWNER) + len(entries[0])
    head = (28 + size * len(entries)).to_bytes(4, "little") + bytes(4) + size.to_bytes(4, "little")
    return kind + head + b"".join(OWNER + entry for entry in entries)


def test_nothing_is_known_without_events() -> None:
    nothing = extract_facts(None, (), SHA256)

    assert nothing.secure_boot is nothing.secure_boot_event is nothing.sbat is None
    assert nothing.authorities == nothing.images == nothing.texts == nothing.first_step == ()
    assert nothing.dbx_images == nothing.dbx_certificates == frozenset()
    assert nothing.startup_locality == 0


# --- Secure Boot


@pytest.mark.parametrize(("value", "on"), [(b"\1", True), (b"\0", False), (b"", False)])
def test_secure_boot_is_on_or_off(value: bytes, on: bool) -> None:
    found = facts(setting("SecureBoot", value))

    assert (found.secure_boot, found.secure_boot_event) == (on, 0)


@pytest.mark.parametrize("value", [b"\2", b"\1\0", b"\xff"])
def test_another_value_of_secure_boot_is_not_known(value: bytes) -> None:
    assert facts(setting("SecureBoot", value)).secure_boot is None


def test_secure_boot_is_not_known_from_data_that_its_digest_does_not_cover() -> None:
    event = setting("SecureBoot", b"\1", of=variable("SecureBoot", b"\0"))

    assert facts(event).secure_boot is None


@pytest.mark.parametrize(
    "event",
    [
        setting("SecureBoot", b"\1", pcr=5),
        setting("secureboot", b"\1"),
        measured(7, EventType.EFI_VARIABLE_BOOT, variable("SecureBoot", b"\1")),
        measured(7, CONFIG, variable("SecureBoot", b"\1")[:-1]),
    ],
)
def test_secure_boot_is_known_from_its_own_event_of_pcr_7_only(event: Event) -> None:
    assert facts(event).secure_boot is None


def test_secure_boot_is_not_known_where_pcr_7_is_not_explained() -> None:
    held = {SHA256: {**tpm_after(GOOD)[SHA256], 7: bytes(32)}}

    assert verify_boot(GOOD, held, pinned=SHA256).facts.secure_boot is None


@pytest.mark.parametrize(("log", "on"), [(GOOD, True), (OFF, False)])
def test_recorded_machines_say_whether_secure_boot_was_on(log: BootLog, on: bool) -> None:
    assert facts_of(log).secure_boot is on


# --- authorities


def test_the_authorities_of_a_recorded_boot_are_named_by_their_certificates() -> None:
    found = facts_of(GOOD).authorities

    assert [authority.variable for authority in found] == ["db", "MokListRT"]
    assert all(authority.vouched and authority.fingerprint for authority in found)


def test_an_old_shims_authorities_are_vouched_for_but_for_the_last_byte() -> None:
    events = of_pcr(OLD_SHIM, 7)
    uncovered = [e.index for e in events if e.reported_type == AUTHORITY and e.digests[SHA256] != SHA256.digest(e.data)]
    found = {authority.event: authority for authority in facts_of(OLD_SHIM).authorities}

    assert uncovered
    assert all(found[index].vouched and found[index].fingerprint for index in uncovered)


def test_an_authority_with_other_data_names_nobody() -> None:
    event = next(event for event in GOOD.events if event.reported_type == AUTHORITY)

    first = facts_of(changed(GOOD, event.index, data=event.data[:-1] + b"\0")).authorities[0]

    assert (first.event, first.vouched, first.fingerprint) == (event.index, False, None)


def test_an_authority_that_is_no_certificate_has_no_fingerprint() -> None:
    for data in (b"", OWNER + bytes(32)):
        [authority] = facts(measured(7, AUTHORITY, variable("db", data, vendor=IMAGE_SECURITY))).authorities
        assert (authority.vouched, authority.fingerprint) == (True, None)


def test_what_cannot_be_read_is_no_authority_here() -> None:
    assert facts(measured(7, AUTHORITY, b"?"), measured(4, AUTHORITY, variable("db", b""))).authorities == ()


# --- revocations


def test_the_machines_dbx_is_read_from_its_vouched_event() -> None:
    image, certificate = b"\x11" * 32, b"not quite a certificate"
    data = signature_list(SHA256_LIST, image, b"\x22" * 32) + signature_list(X509_LIST, certificate)

    found = facts(setting("dbx", data))

    assert found.dbx_read
    assert found.dbx_images == {image, b"\x22" * 32}
    assert found.dbx_certificates == {hashlib.sha256(certificate).digest()}


def test_a_dbx_that_is_not_vouched_for_or_cannot_be_read_revokes_nothing() -> None:
    data = signature_list(SHA256_LIST, b"\x11" * 32)

    for event in (setting("dbx", data, of=b"other"), setting("dbx", data[:-1]), setting("db", data)):
        assert facts(event).dbx_images == frozenset()
        assert not facts(event).dbx_read


def sbat(data: bytes, *, of: bytes | None = None, name: str = "SbatLevel") -> Event:
    return measured(7, AUTHORITY, variable(name, data, vendor=SHIM), of=of)


def test_sbat_generations_are_read_and_are_no_authority() -> None:
    found = facts(sbat(b"sbat,1,2022052400\nshim,2\ngrub,3\n"))

    assert found.sbat == {"sbat": 1, "shim": 2, "grub": 3}
    assert found.authorities == ()


def test_sbat_generations_that_are_not_vouched_for_or_cannot_be_read_are_not_known() -> None:
    level = b"sbat,1,2022052400\nshim,2\n"

    for event in (sbat(level, of=b"other"), sbat(b"shim,2\n"), sbat(level, name="Other"), measured(7, AUTHORITY, b"?")):
        assert facts(event).sbat is None


def test_recorded_sbat_levels_are_read() -> None:
    assert (facts_of(GOOD).sbat or {}).get("shim", 0) > 0
    assert facts_of(OLD_SHIM).sbat is None


# --- images, the first step


def test_images_are_the_events_of_image_types_in_any_pcr() -> None:
    events = [
        measured(4, EventType.EFI_BOOT_SERVICES_APPLICATION, b"a"),
        measured(2, EventType.EFI_BOOT_SERVICES_DRIVER, b"b"),
        measured(2, EventType.EFI_RUNTIME_SERVICES_DRIVER, b"c"),
        measured(4, EventType.EFI_ACTION, b"d"),
    ]

    assert [image.data for image in facts(*events).images] == [b"a", b"b", b"c"]


@pytest.mark.parametrize("locality", [0, 3, 4])
def test_the_startup_locality_is_told(locality: int) -> None:
    log = log_of(started_from(locality), measured(0, EventType.S_CRTM_VERSION, b"1"))
    held = {SHA256: tpm_after(log, locality=locality)[SHA256]}

    assert verify_boot(log, held, pinned=SHA256).facts.startup_locality == locality


def test_who_says_to_have_measured_the_first_code_is_told() -> None:
    events = [
        measured(0, EventType.S_CRTM_CONTENTS, b"Boot Guard Measured S-CRTM\0"),
        measured(0, EventType.EFI_HCRTM_EVENT, b"H\xff"),
        measured(1, EventType.S_CRTM_CONTENTS, b"elsewhere"),
        measured(0, EventType.POST_CODE, b"POST CODE"),
    ]

    assert facts(*events).first_step == ("Boot Guard Measured S-CRTM", "H\\xff")


# --- texts: what GRUB and systemd-boot measured


def said(label: bytes, text: bytes, *, of: bytes | None = None, pcr: int = 8) -> Event:
    return measured(pcr, IPL, label + text, of=text if of is None else of)


@pytest.mark.parametrize(
    ("label", "kind"),
    [
        (b"grub_cmd: ", "grub_cmd"),
        (b"grub_cmd ", "grub_cmd"),
        (b"kernel_cmdline: ", "kernel_cmdline"),
        (b"grub_kernel_cmdline ", "kernel_cmdline"),
        (b"module_cmdline: ", "module_cmdline"),
    ],
)
def test_grubs_texts_are_believed_only_when_the_digest_is_of_the_text(label: bytes, kind: str) -> None:
    text = b"/vmlinuz root=/dev/sda1 ima_policy=tcb"

    [found] = facts(said(label, text)).texts
    assert (found.kind, found.text, found.pcr, found.event) == (kind, text.decode(), 8, 0)
    assert [t.text for t in facts(said(label, text + b"\0", of=text)).texts] == [text.decode()]
    assert [t.text for t in facts(said(label, text + b"\0", of=text + b"\0")).texts] == [text.decode()]
    assert facts(said(label, text, of=b"/vmlinuz root=/dev/sda1")).texts == ()
    assert facts(said(label, text + b" ", of=text)).texts == ()


@pytest.mark.parametrize("pcr", [4, 9, 11, 12, 14])
def test_a_text_is_grubs_only_in_the_pcr_that_grub_fills(pcr: int) -> None:
    assert facts(said(b"kernel_cmdline: ", b"ima_policy=tcb", pcr=pcr)).command_lines == ()


def test_other_texts_of_pcr_8_are_not_commands() -> None:
    long = b"kernel_cmdline: " + b"x" * MAX_TEXT

    events = (said(b"grub_linuxefi ", b"Kernel"), said(b"grub_other: ", b"x"), measured(8, IPL, long, of=b""))
    assert facts(*events, measured(8, EventType.EVENT_TAG, b"kernel_cmdline: x", of=b"x")).texts == ()


def test_bytes_that_are_no_utf8_are_kept() -> None:
    assert facts(said(b"kernel_cmdline: ", b"\xff\xfe")).texts[0].text == "\udcff\udcfe"


@pytest.mark.parametrize("pcr", [8, 12])
def test_a_utf16_command_line_is_believed_when_the_digest_is_of_its_bytes(pcr: int) -> None:
    data = "root=/dev/vda quiet\0".encode("utf-16-le")

    [found] = facts(measured(pcr, IPL, data)).command_lines
    assert (found.text, found.pcr) == ("root=/dev/vda quiet", pcr)
    assert facts(measured(pcr, IPL, data, of=b"other")).command_lines == ()
    assert facts(measured(pcr, IPL, data[:-1])).command_lines == ()
    assert facts(measured(9, IPL, data)).command_lines == ()


@pytest.mark.parametrize("data", [b"\x00\xd8", b"\x00\xdc", b"\xff\xff\x00\xd8"])
def test_half_a_surrogate_pair_breaks_nothing(data: bytes) -> None:
    assert len(facts(measured(12, IPL, data)).command_lines) == 1


def test_recorded_command_lines_are_read() -> None:
    for log in (GOOD, SYSTEMD_BOOT):
        assert facts_of(log).command_lines
    assert any("ima_policy=tcb" in line.text for line in facts_of(GOOD).command_lines)


def test_a_recorded_command_line_that_was_changed_is_not_believed() -> None:
    honest = facts_of(GOOD).command_lines
    lies = with_events(
        GOOD, (replace(e, data=e.data.replace(b"ima_policy=tcb", b"ima_policy=xxx")) for e in GOOD.events)
    )

    assert honest
    assert facts_of(lies).command_lines == ()


# --- a command line of which only the digest is measured


def test_a_kernel_that_firmware_started_measured_what_the_node_says() -> None:
    line = (BOOTS / "attack_sb_off" / "cmdline").read_text(encoding="utf-8").removesuffix("\n")

    assert [found.text for found in facts_of(OFF, guess=line).command_lines] == [line]
    assert facts_of(OFF).command_lines == ()


LINE = "root=/dev/vda ima_policy=tcb"


@pytest.mark.parametrize(
    ("pcr", "data"),
    [(9, LINE.encode("utf-16-le") + b"\0\0"), (11, LINE.encode()), (11, LINE.encode() + b"\0")],
)
def test_the_nodes_word_is_believed_where_its_digest_was_measured(pcr: int, data: bytes) -> None:
    event = measured(pcr, EventType.EVENT_TAG, b"LOAD_OPTIONS", of=data)

    assert [(line.pcr, line.text) for line in facts(event, guess=LINE).command_lines] == [(pcr, LINE)]
    assert facts(event, guess=LINE + " ").command_lines == ()
    assert facts(event).command_lines == ()
    assert facts(replace(event, pcr=8, digests=digests(data, (SHA256,))), guess=LINE).command_lines == ()
