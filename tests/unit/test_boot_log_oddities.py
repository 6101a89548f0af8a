"""What real boot logs were seen to hold, and what follows from it: one section for each oddity.

Where a recorded log shows it, that log is used; else one made from a recorded log.
"""

from dataclasses import replace

import pytest

from bartizan.app.chain import chain_of
from bartizan.app.defaults import default_policy
from bartizan.app.inspect_log import inspect_log
from bartizan.errors import DecodeError
from bartizan.formats.event_data import decode_event_data
from bartizan.formats.event_text import describe
from bartizan.formats.signature_list import decode_signature_lists
from bartizan.formats.tcg_log import decode_boot_log
from bartizan.formats.uefi import decode_variable
from bartizan.model.boot_log import NO_PCR, BootLog, EventType, LogFormat
from bartizan.model.digest import HashAlg, PcrBanks
from bartizan.model.policy import Waiver
from bartizan.model.result import Finding, Tier
from bartizan.verify.boot import fitting_log, verify_boot
from bartizan.verify.log_rules import check_log
from bartizan.verify.replay import replay, startup_locality
from tests.simulator import machine
from tests.simulator.boot_logs import (
    ERROR,
    LOGS,
    ONES,
    agile_event,
    appended,
    banks_of,
    boot_pcrs,
    changed,
    digests,
    encode,
    inserted,
    known_pcrs,
    measured,
    measured_otherwise,
    of_pcr,
    recorded,
    separator,
    spec_id,
    started_from,
    tpm_after,
    variable,
)

SHA1, SHA256, SHA384 = HashAlg.SHA1, HashAlg.SHA256, HashAlg.SHA384
BANKS = (SHA1, SHA256, SHA384)
GOOD, GOOD_PCRS = recorded("boots/good"), boot_pcrs("good")
LOCALITY_3 = "google_go-eventlog/testdata__eventlogs__tpm__glinux-alex.bin"
WINDOWS = "keylime_python3-uefi-eventlog/testing__good_logs__thinkpad__p511.bin"
GCE_WINDOWS = "google_go-attestation/x__windows_gcp_shielded_vm__eventlog.bin"
OLD_SHIM = "google_go-eventlog/testdata__eventlogs__tpm__cos-85-amd-sev.bin"
SHA1_ONLY = "google_go-eventlog/testdata__eventlogs__tpm__debian-10.bin"
PADDED = "intel-secl_intel-secl/pkg__tagent__test__eventlog__txt-logs.bin"
SHORT = "google_go-attestation/attest__testdata__short_no_action_eventlog"


def said(findings: tuple[Finding, ...], check: str) -> list[tuple[Tier, int | None]]:
    """Tier and PCR of one check's findings."""
    return [(finding.tier, finding.at.pcr) for finding in findings if finding.id == check]


def index_of(log: BootLog, pcr: int, kind: int) -> int:
    return next(event.index for event in of_pcr(log, pcr) if event.reported_type == kind)


def refusal(raw: bytes) -> tuple[str, int]:
    with pytest.raises(DecodeError) as error:
        decode_boot_log(raw)
    return error.value.what, error.value.offset


# --- StartupLocality 3 as EV_NO_ACTION: PCR 0 starts at 00…03 in every bank; only the first, before PCR 0, counts
def test_startup_locality_3_starts_pcr_0_in_every_bank() -> None:
    log, known = recorded(LOCALITY_3), banks_of(known_pcrs()[LOCALITY_3])

    assert startup_locality(log) == 3
    assert {alg: replay(log, alg)[0] for alg in (SHA1, SHA256)} == {alg: known[alg][0] for alg in (SHA1, SHA256)}


@pytest.mark.parametrize("locality", [0, 4])
def test_only_the_first_startup_locality_counts_and_a_second_one_is_reported(locality: int) -> None:
    log = appended(recorded(LOCALITY_3), started_from(locality, banks=(SHA1, SHA256)))

    assert replay(log, SHA256) == replay(recorded(LOCALITY_3), SHA256)
    assert said(check_log(log, SHA256), "boot.locality") == [(Tier.WARNING, 0)]


def test_a_startup_locality_behind_the_first_measurement_of_pcr_0_does_not_count() -> None:
    log = inserted(GOOD, index_of(GOOD, 0, EventType.S_CRTM_VERSION) + 1, started_from(3, banks=BANKS))

    assert replay(log, SHA256) == replay(GOOD, SHA256)
    assert said(check_log(log, SHA256), "boot.locality") == [(Tier.WARNING, 0)]


# --- PCR index 0xFFFFFFFF and EV_NO_ACTION with non-zero digest: never extends; -1 is legal only there
def test_windows_informative_events_extend_nothing() -> None:
    informative = [event for event in recorded(WINDOWS).events if event.pcr == NO_PCR]

    assert informative
    assert {event.reported_type for event in informative} == {EventType.NO_ACTION}
    assert any(any(digest) for event in informative for digest in event.digests.values())
    assert set(replay(recorded(WINDOWS), SHA256)) <= set(range(24))


@pytest.mark.parametrize("pcr", [24, 255, NO_PCR])
def test_another_index_over_23_refuses_the_log(pcr: int) -> None:
    raw = encode(GOOD)

    assert refusal(raw + agile_event(pcr, EventType.ACTION, digests(b"", BANKS).items(), b"")) == ("pcrIndex", len(raw))


# --- separator data other than 0 and -1: allowed outside PCR 0-7; in 0-7 value 1 is a firmware error
@pytest.mark.parametrize("name", [WINDOWS, GCE_WINDOWS])
def test_windows_closes_pcr_12_to_14_with_its_own_separators(name: str) -> None:
    log = recorded(name)

    assert {event.pcr for event in log.events if event.data == b"WBCL" and event.pcr != NO_PCR} == {12, 13, 14}
    assert inspect_log((LOGS / name).read_bytes(), None).status is Tier.AFFIRMING


@pytest.mark.parametrize("pcr", range(8))
def test_a_firmware_error_in_a_separator_is_reported(pcr: int) -> None:
    log = measured_otherwise(GOOD, index_of(GOOD, pcr, EventType.SEPARATOR), ERROR)

    [finding] = check_log(log, SHA256)

    assert (finding.id, finding.tier, finding.at.pcr) == ("boot.separator", Tier.CONTRAINDICATED, pcr)
    assert "the firmware reports an error" in finding.why


@pytest.mark.parametrize("pcr", range(8))
def test_any_other_separator_of_the_firmware_is_reported(pcr: int) -> None:
    log = measured_otherwise(GOOD, index_of(GOOD, pcr, EventType.SEPARATOR), b"WBCL")

    assert said(check_log(log, SHA256), "boot.separator") == [(Tier.CONTRAINDICATED, pcr)]


@pytest.mark.parametrize("pcr", range(8))
def test_both_good_separators_are_accepted(pcr: int) -> None:
    assert check_log(measured_otherwise(GOOD, index_of(GOOD, pcr, EventType.SEPARATOR), ONES), SHA256) == ()


# --- two separators in each of PCR 0-7: contraindicated by default, a named exception can waive it
def closed_twice() -> machine.Machine:
    last = max(event.index for event in GOOD.events if event.reported_type == EventType.SEPARATOR)
    return machine.good().inserted(last + 1, *(separator(pcr, banks=BANKS) for pcr in range(8)))


def test_a_second_separator_is_contraindicated_in_each_pcr() -> None:
    result = machine.judged(closed_twice())

    assert said(result.findings, "boot.separator") == [(Tier.CONTRAINDICATED, pcr) for pcr in range(8)]
    assert result.contraindicated
    assert result.level == 1


def test_a_named_exception_lowers_it_to_a_warning_and_is_shown() -> None:
    waiver = Waiver(check="boot.separator", reason="firmware 2.1 of this board closes its PCRs twice")

    result = machine.judged(closed_twice(), policy=replace(default_policy(), waivers=(waiver,)))

    assert said(result.findings, "boot.separator") == [(Tier.WARNING, pcr) for pcr in range(8)]
    assert {finding.waiver for finding in result.findings if finding.id == "boot.separator"} == {waiver.reason}
    assert not result.contraindicated


# --- EV_EFI_VARIABLE_AUTHORITY digest is not H(data): do not demand it; DRIVER_CONFIG is H(data); BOOT is either
def test_an_old_shims_authority_need_not_have_the_digest_of_its_data() -> None:
    log = recorded(OLD_SHIM)
    authorities = [event for event in log.events if event.reported_type == EventType.EFI_VARIABLE_AUTHORITY]

    assert any(event.digests[SHA256] != SHA256.digest(event.data) for event in authorities)
    assert check_log(log, SHA256) == ()


@pytest.mark.parametrize("pcr", [1, 7])
def test_a_configuration_variable_must_have_the_digest_of_its_data(pcr: int) -> None:
    event = next(event for event in GOOD.events if event.reported_type == EventType.EFI_VARIABLE_DRIVER_CONFIG)
    log = changed(GOOD, event.index, pcr=pcr, data=event.data[:-1] + bytes([event.data[-1] ^ 1]))

    assert (Tier.CONTRAINDICATED, pcr) in said(check_log(log, SHA256), "boot.digest")


def test_a_boot_variable_may_be_measured_whole_or_by_its_value_and_not_otherwise() -> None:
    data = variable("BootOrder", b"\0\0\1\0")

    for covered, outcome in ((data, []), (b"\0\0\1\0", []), (b"\1\0\0\0", [(Tier.CONTRAINDICATED, 1)])):
        log = appended(GOOD, measured(1, EventType.EFI_VARIABLE_BOOT, data, of=covered, banks=BANKS))
        assert said(check_log(log, SHA256), "boot.digest") == outcome


# --- no ExitBootServices success event: cannot be demanded
@pytest.mark.parametrize("name", [LOCALITY_3, SHA1_ONLY, GCE_WINDOWS])
def test_a_log_without_the_end_of_boot_services_is_as_good(name: str) -> None:
    log = recorded(name)

    assert not any(event.data.startswith(b"Exit Boot Services") for event in log.events)
    assert not [f for f in check_log(log, HashAlg(log.algorithms[-1])) if f.tier is Tier.CONTRAINDICATED]


# --- exactly one bank; SHA-1 only: the Verifier pins filled banks; SHA-1 alone caps the tier at warning
def test_a_bank_that_firmware_never_extended_proves_nothing() -> None:
    """All PCRs of the pinned bank at reset are not an explained boot."""
    log = only(GOOD, SHA256)

    boot = verify_boot(log, tpm_after(log, banks=(SHA384,)), pinned=SHA384)

    assert said(boot.findings, "boot.pcr-explained") == [(Tier.NONE, None)]
    assert boot.events == ()


def only(log: BootLog, alg: HashAlg) -> BootLog:
    """The log as a machine with one bank has it."""
    events = tuple(replace(event, digests={alg: event.digests[alg]}) for event in log.events)
    return replace(log, algorithms=(alg,), events=events)


def test_sha1_alone_is_said_to_be_weak_and_keeps_the_level_down() -> None:
    sent = replace(machine.good().evidence(), boot_log=only(GOOD, SHA1))

    result = machine.attested(sent, challenge=replace(machine.CHALLENGE, pinned=SHA1)).result

    assert said(result.findings, "boot.strength") == [(Tier.WARNING, None)]
    assert machine.attested(sent).result.level == 1


# --- the SHA-1 bank does not replay while SHA-256 does: decide on the pinned bank, report the other
def test_a_wrong_bank_beside_the_pinned_one_is_reported_and_decides_nothing() -> None:
    pcrs: PcrBanks = {**GOOD_PCRS, SHA1: {**GOOD_PCRS[SHA1], 2: bytes(20)}}

    boot = verify_boot(GOOD, pcrs, pinned=SHA256)

    assert said(boot.findings, "boot.pcr-explained") == [(Tier.AFFIRMING, None)]
    [other] = [f for f in boot.findings if f.id == "boot.other-bank" and f.tier is Tier.WARNING]
    assert (other.at.bank, other.why[-5:]) == ("sha1", "PCR 2")
    assert all(SHA1 not in event.digests for event in boot.events if event.pcr == 2)


# --- PCR 0 not explained by the log: say exactly that; not affirming; never learned silently
def test_an_unexplained_pcr_0_is_named_and_its_events_are_not_handed_on() -> None:
    pcrs: PcrBanks = {SHA256: {**GOOD_PCRS[SHA256], 0: b"\x5a" * 32}}

    boot = verify_boot(GOOD, pcrs, pinned=SHA256)

    assert said(boot.findings, "boot.pcr-explained") == [(Tier.CONTRAINDICATED, 0)]
    assert [each.pcr for each in boot.explanations if not each.explained] == [0]
    assert not [event for event in boot.events if event.pcr == 0]


# --- five resume logs for one quote, only the last fits: choose by replay
def test_of_several_logs_the_one_that_fits_the_quote_is_chosen() -> None:
    logs = [appended(GOOD, *(measured(12, 6, bytes([n]), banks=BANKS) for n in range(resumes))) for resumes in range(5)]

    for log in logs:
        assert fitting_log(logs, tpm_after(log), pinned=SHA256) is log
    assert fitting_log([], GOOD_PCRS, pinned=SHA256) is None
    assert fitting_log(logs, {}, pinned=SHA256) is logs[0]


# --- 0xFF or zero padding after the last event: accepted to the end, nothing else
def test_padding_is_accepted_and_anything_else_behind_the_log_is_not() -> None:
    raw = (LOGS / PADDED).read_bytes()

    assert decode_boot_log(raw).padding == 6558
    assert decode_boot_log(encode(GOOD) + b"\xff" * 999).padding == 999
    with pytest.raises(DecodeError):
        decode_boot_log(raw[:-1] + b"\x01")


# --- EV_NO_ACTION shorter than a Spec ID as the first event: legal, SHA-1 format
def test_a_short_informative_event_may_come_first() -> None:
    log = recorded(SHORT)

    assert log.format is LogFormat.SHA1
    assert [event.reported_type for event in log.events] == [EventType.NO_ACTION]


# --- log absent on an otherwise healthy boot: no boot claims, level 1 at most; not an exception
def test_a_healthy_boot_without_a_log_is_level_1_and_not_contraindicated() -> None:
    result = machine.attested(replace(machine.good().evidence(), boot_log=None)).result

    assert said(result.findings, "boot.log-present") == [(Tier.NONE, None)]
    assert (result.level, result.contraindicated) == (1, False)


# --- event types are not covered by digests: `test_boot_forgeries.py`; one genuine look-alike, in PCR 0
def test_the_genuine_look_alike_of_pcr_0_is_judged_with_its_reason() -> None:
    [finding] = check_log(recorded(LOCALITY_3), SHA256)

    assert (finding.id, finding.tier) == ("boot.look-alike", Tier.WARNING)
    assert (finding.at.pcr, finding.at.event) == (0, 3)
    assert "in PCR 0 this decides nothing" in finding.why


# --- lengths of 2^64-1, header overflows, 2^32-1 digests, two of one algorithm, lies about a digest's size: refused
def test_lengths_that_overflow_are_refused_where_they_stand() -> None:
    huge = (2**64 - 1).to_bytes(8, "little")
    lists = bytes(16) + (76).to_bytes(4, "little") + (2**32 - 1).to_bytes(4, "little") + (48).to_bytes(4, "little")

    for raw, offset in ((bytes(16) + huge + bytes(8), 16), (bytes(16) + bytes(8) + huge, 32)):
        with pytest.raises(DecodeError) as error:
            decode_variable(raw)
        assert error.value.offset == offset
    with pytest.raises(DecodeError):
        decode_signature_lists(lists + bytes(48))


def test_a_variable_of_pcr_7_whose_lengths_overflow_is_a_fault_of_the_log() -> None:
    data = bytes(16) + b"\xff" * 16
    log = appended(GOOD, measured(7, EventType.EFI_VARIABLE_DRIVER_CONFIG, data, banks=BANKS))

    assert said(check_log(log, SHA256), "boot.order") == [(Tier.CONTRAINDICATED, 7)]


def test_a_container_that_lies_about_its_digests_is_refused_where_it_does() -> None:
    header, twice = spec_id([(SHA256, 32)]), [(SHA256, bytes(32))] * 2
    both = spec_id([(SHA1, 20), (SHA256, 32)])

    assert refusal(header + agile_event(0, 1, twice, b"", count=2**32 - 1)) == ("digests.count", len(header) + 8)
    assert refusal(both + agile_event(0, 1, twice, b"")) == ("digest.algId", len(both) + 12 + 34)
    assert refusal(spec_id([(SHA256, 20)])) == ("digestSizes", 60)


# --- events after ExitBootServices in PCR 4 and 5: judged, since nothing boots after it
@pytest.mark.parametrize("pcr", [4, 5])
def test_a_measurement_behind_the_end_of_boot_services_is_contraindicated(pcr: int) -> None:
    late = measured(pcr, EventType.EFI_ACTION, b"Calling EFI Application from Boot Option", banks=BANKS)

    [finding] = check_log(appended(GOOD, late), SHA256)

    assert (finding.id, finding.tier, finding.at.pcr) == ("boot.after-exit", Tier.CONTRAINDICATED, pcr)


@pytest.mark.parametrize("pcr", [0, 7, 8, 9, 11, 14])
def test_a_measurement_of_another_pcr_behind_it_is_not(pcr: int) -> None:
    late = measured(pcr, EventType.EFI_VARIABLE_AUTHORITY, b"", of=b"late", banks=BANKS)

    assert not said(check_log(appended(GOOD, late), SHA256), "boot.after-exit")


# --- EV_IPL and others carry free text: inert everywhere it is shown (on a terminal: `test_cli_log.py`)
@pytest.mark.parametrize("kind", [EventType.IPL, EventType.ACTION, EventType.EFI_ACTION, EventType.S_CRTM_CONTENTS])
def test_free_text_of_an_event_is_one_line_without_control_characters(kind: EventType) -> None:
    hostile = "grub_cmd: \x1b]0;owned\x07\n- yaml: [x]\r<b>bold</b>\u202eevil\u0000".encode()

    shown = describe(decode_event_data(measured(8, kind, hostile)))

    assert shown.isprintable()
    assert "\u202e" not in shown


# --- CRTM, POST code, option ROMs: name who measured what
def test_the_chain_names_who_measured_what() -> None:
    rom = measured(2, EventType.EFI_BOOT_SERVICES_DRIVER, b"", of=b"option ROM", banks=BANKS)
    h_crtm = measured(0, EventType.EFI_HCRTM_EVENT, b"HCRTM", of=b"first code", banks=BANKS)
    started = replace(machine.good().inserted(0, h_crtm, rom), locality=4)

    outcome = machine.attested(started.evidence())
    assert outcome.verified is not None
    links = [(link.measurer, link.measured) for link in chain_of(outcome.verified, outcome.result.findings)]

    assert links[0][0] == "hardware CRTM (locality 4)"
    assert links[0][1].startswith("firmware")
    measured_by_firmware = [measured for measurer, measured in links if measurer == "firmware"]
    for part in ("settings", "option ROMs", "Secure Boot policy (on)"):
        assert any(measured.startswith(part) for measured in measured_by_firmware), part
    order = [links.index(link) for link in links if "shim" in link[1] or "grub" in link[1] or "command line" in link[1]]
    assert order == sorted(order)
    assert len(order) >= 3
