"""Each rule that a boot log keeps by itself: a log that keeps it, and one for each way to break it."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from bartizan.model.boot_log import BootLog, Event, EventType, LogFormat
from bartizan.model.digest import HashAlg
from bartizan.model.result import Tier
from bartizan.verify.log_rules import MAX_ACTION, check_log, variable_digest_holds
from tests.simulator.boot_logs import (
    CLOSING,
    ERROR,
    ONES,
    appended,
    log_of,
    measured,
    recorded,
    separator,
    started_from,
    variable,
    with_events,
)

SHA256, SHA384 = HashAlg.SHA256, HashAlg.SHA384
CONTRA, WARNING = Tier.CONTRAINDICATED, Tier.WARNING
CONFIG, AUTHORITY = EventType.EFI_VARIABLE_DRIVER_CONFIG, EventType.EFI_VARIABLE_AUTHORITY
NAMES = ("SecureBoot", "PK", "KEK", "db", "dbx")
EXITED = measured(5, EventType.EFI_ACTION, b"Exit Boot Services Returned with Success")
CALLING = measured(4, EventType.EFI_ACTION, b"Calling EFI Application from Boot Option")
IMAGE = measured(4, EventType.EFI_BOOT_SERVICES_APPLICATION, b"", of=b"loader")


def setting(name: str, data: bytes = b"\1") -> Event:
    return measured(7, CONFIG, variable(name, data))


POLICY = tuple(setting(name) for name in NAMES)
ALLOWED = measured(7, AUTHORITY, variable("db", b"a certificate"))


def found(*events: Event) -> list[tuple[str, Tier, int | None]]:
    """What is said of a log of these events: check, tier, and the event it points at."""
    return [(finding.id, finding.tier, finding.at.event) for finding in check_log(log_of(*events), SHA256)]


def uefi(*events: Event) -> list[tuple[str, Tier, int | None]]:
    """The same for a UEFI machine's log; its other events come first, so that an index of 0 is the first given."""
    return [
        (check, tier, at if at is None else at - len(POLICY) - 1)
        for check, tier, at in found(*POLICY, separator(7), *events)
    ]


def test_a_log_that_keeps_every_rule_says_nothing() -> None:
    closing = [separator(pcr) for pcr in range(7)]

    assert found(started_from(3), *POLICY, separator(7), ALLOWED, CALLING, *closing, IMAGE, EXITED) == []


def test_an_event_without_a_digest_in_the_bank_is_not_judged_in_it() -> None:
    elsewhere = replace(separator(4, b"odd!"), digests={HashAlg.SHA1: bytes(20)})

    assert found(*POLICY, separator(7), elsewhere) == []


# --- (1) digests


@pytest.mark.parametrize(
    ("kind", "pcr", "tier"),
    [
        (CONFIG, 1, CONTRA),
        (EventType.EFI_VARIABLE_BOOT, 1, CONTRA),
        (EventType.EFI_VARIABLE_BOOT2, 1, CONTRA),
        (EventType.EFI_GPT_EVENT, 5, WARNING),
        (EventType.EFI_ACTION, 5, CONTRA),
    ],
)
def test_a_digest_that_is_defined_as_a_hash_must_be_it(kind: int, pcr: int, tier: Tier) -> None:
    data = variable("Boot0000", b"x") if kind != EventType.EFI_ACTION else b"Exit Boot Services Invocation"

    assert ("boot.digest", tier, 0) in uefi(measured(pcr, kind, data, of=b"something else"))
    assert uefi(measured(pcr, kind, data)) == []


def test_an_action_of_another_pcr_may_be_measured_otherwise() -> None:
    assert uefi(measured(1, EventType.EFI_ACTION, b"Entering ROM Based Setup", of=b"other")) == []


@pytest.mark.parametrize("kind", [EventType.EFI_VARIABLE_BOOT, EventType.EFI_VARIABLE_BOOT2])
def test_a_boot_variable_may_be_measured_by_its_value(kind: int) -> None:
    data = variable("BootOrder", b"\1\0\0\0")

    assert uefi(measured(1, kind, data, of=b"\1\0\0\0")) == []
    assert not variable_digest_holds(measured(1, kind, b"not a variable", of=b""), SHA256)
    assert not variable_digest_holds(measured(1, CONFIG, data, of=b"\1\0\0\0"), SHA256)


def test_a_boot_order_whose_bytes_are_a_separators_is_no_look_alike() -> None:
    """BootOrder 0001, 0000 has the value that a separator has which reports an error."""
    assert uefi(measured(1, EventType.EFI_VARIABLE_BOOT, variable("BootOrder", ERROR), of=ERROR)) == []


# --- (2), (3), (4) separators and look-alikes


@pytest.mark.parametrize("pcr", range(8))
def test_a_false_separator_is_contraindicated_where_it_decides_and_else_a_warning(pcr: int) -> None:
    tier = CONTRA if pcr in (4, 5, 7) else WARNING
    false = measured(pcr, EventType.SEPARATOR, CLOSING, of=b"hidden")

    assert ("boot.look-alike", tier, 0) in found(false)


def test_a_false_separator_of_another_pcr_is_a_warning() -> None:
    assert found(measured(14, EventType.SEPARATOR, b"WBCL", of=b"hidden")) == [("boot.look-alike", WARNING, 0)]
    assert found(separator(14, b"WBCL")) == []


@pytest.mark.parametrize("data", [ERROR, b"firmware's own words"])
def test_an_error_separator_is_known_by_its_digest(data: bytes) -> None:
    assert found(measured(3, EventType.SEPARATOR, data, of=ERROR)) == [("boot.separator", CONTRA, 0)]


def test_an_error_value_in_another_pcr_is_a_separator_like_any() -> None:
    assert found(separator(12, ERROR)) == []


@pytest.mark.parametrize("data", [b"", b"\0" * 3, b"\0" * 5, b"\2\0\0\0"])
def test_a_separator_of_another_value_is_contraindicated(data: bytes) -> None:
    assert found(separator(0, data)) == [("boot.separator", CONTRA, 0)]


def test_a_second_separator_is_contraindicated_and_so_is_a_third() -> None:
    assert found(separator(2), separator(3), separator(2), separator(2, ONES)) == [
        ("boot.separator", CONTRA, 2),
        ("boot.separator", CONTRA, 3),
    ]
    assert found(separator(12), separator(12)) == []


@pytest.mark.parametrize("pcr", range(8))
@pytest.mark.parametrize("data", [CLOSING, ONES, ERROR])
def test_a_separators_digest_under_another_type_is_a_look_alike(pcr: int, data: bytes) -> None:
    tier = CONTRA if pcr in (4, 5, 7) else WARNING

    assert ("boot.look-alike", tier, 0) in found(measured(pcr, EventType.S_CRTM_CONTENTS, b"x", of=data))


def test_a_well_known_actions_digest_under_another_type_is_a_look_alike_in_pcr_4_and_5() -> None:
    hidden = replace(CALLING, reported_type=EventType.EFI_BOOT_SERVICES_APPLICATION, data=b"")

    assert uefi(hidden) == [("boot.look-alike", CONTRA, 0)]
    assert uefi(replace(hidden, pcr=2)) == []


# --- (5) PCR 7


def test_only_the_five_variables_may_come_first() -> None:
    for first in (ALLOWED, measured(7, EventType.IPL, b"x"), measured(7, EventType.EFI_SPDM_DEVICE_POLICY, b"")):
        assert ("boot.order", CONTRA, 0) in found(first, *POLICY)


def test_a_firmware_that_measures_no_policy_is_a_warning() -> None:
    assert found(CALLING, separator(7)) == [("boot.order", WARNING, 1)]
    assert found(CALLING, separator(7), ALLOWED) == [("boot.order", WARNING, 1)]
    assert ("boot.order", CONTRA, 2) in found(CALLING, separator(7), *POLICY)


@pytest.mark.parametrize("missing", range(1, 5))
def test_a_policy_that_ends_early_is_a_warning_and_one_with_a_gap_is_contraindicated(missing: int) -> None:
    assert found(*POLICY[:missing], separator(7)) == [("boot.order", WARNING, missing)]
    gap = found(*POLICY[:missing], *POLICY[missing + 1 :], separator(7))
    assert (("boot.order", CONTRA, missing) in gap) is (missing < 4)


@pytest.mark.parametrize("name", NAMES)
def test_a_variable_is_measured_once_and_before_the_separator(name: str) -> None:
    assert found(*POLICY, setting(name, b"\0")) == [("boot.order", CONTRA, 5)]
    assert found(*POLICY, separator(7), setting(name, b"\0")) == [("boot.order", CONTRA, 6)]


@pytest.mark.parametrize("name", ["AuditMode", "DeployedMode", "dbt", "dbr"])
def test_other_variables_may_follow_and_not_come_first(name: str) -> None:
    assert found(*POLICY, setting(name), separator(7)) == []
    assert found(POLICY[0], setting(name), *POLICY[1:], separator(7)) == []
    assert ("boot.order", CONTRA, 0) in found(setting(name), *POLICY, separator(7))


def test_a_variable_that_cannot_be_read_is_contraindicated() -> None:
    assert found(*POLICY, measured(7, CONFIG, b"?")) == [("boot.order", CONTRA, 5)]


ACTIONS = [b"DMA Protection Disabled", b"UEFI Debug Mode", b"Security Level is Downgraded to 0"]


@pytest.mark.parametrize("text", [*ACTIONS, ACTIONS[0] + b"\0"])
@pytest.mark.parametrize("kind", [EventType.EFI_ACTION, EventType.ACTION])
@pytest.mark.parametrize("at", [0, 3, 5])
def test_a_known_action_may_stand_anywhere_in_pcr_7(text: bytes, kind: int, at: int) -> None:
    assert found(*POLICY[:at], measured(7, kind, text), *POLICY[at:], separator(7)) == []


def test_another_action_of_pcr_7_is_contraindicated() -> None:
    assert ("boot.order", CONTRA, 5) in found(*POLICY, measured(7, EventType.EFI_ACTION, b"harmless"))
    assert ("boot.order", CONTRA, 5) in found(*POLICY, measured(7, EventType.ACTION, ACTIONS[0], of=b"hidden"))


def test_an_authority_of_the_firmware_has_the_digest_of_its_data() -> None:
    false = measured(7, AUTHORITY, variable("db", b""), of=b"hidden")

    assert found(*POLICY, ALLOWED, separator(7)) == []
    assert found(*POLICY, false, separator(7)) == [("boot.order", CONTRA, 5)]
    assert found(*POLICY, separator(7), false) == []


@pytest.mark.parametrize("name", ["PK", "KEK", "dbx", "AuditMode", "DeployedMode", "SetupMode"])
def test_a_policy_variable_is_no_authority(name: str) -> None:
    assert found(*POLICY, separator(7), measured(7, AUTHORITY, variable(name, b""))) == [("boot.order", CONTRA, 6)]


@pytest.mark.parametrize("value", [b"", b"\0", b"\1"])
@pytest.mark.parametrize("kind", [AUTHORITY, EventType.EFI_SPDM_DEVICE_POLICY])
def test_the_variable_secure_boot_is_known_by_its_digest_whatever_it_is_called(value: bytes, kind: int) -> None:
    hidden = measured(7, kind, variable("db", b""), of=variable("SecureBoot", value))

    assert ("boot.look-alike", CONTRA, 6) in found(*POLICY, separator(7), hidden)


@pytest.mark.parametrize("kind", [EventType.EFI_SPDM_DEVICE_POLICY, EventType.EFI_SPDM_DEVICE_AUTHORITY])
def test_a_device_event_holds_the_device_database(kind: int) -> None:
    devices = variable("devdb", b"certificates")

    assert found(*POLICY, measured(7, kind, devices), separator(7)) == []
    assert found(*POLICY, measured(7, kind, devices, of=b"hidden"), separator(7)) == [("boot.order", CONTRA, 5)]
    assert found(*POLICY, measured(7, kind, variable("db", b"")), separator(7)) == [("boot.order", CONTRA, 5)]


@pytest.mark.parametrize("kind", [EventType.EFI_SPDM_FIRMWARE_BLOB, EventType.IPL, EventType.EFI_VARIABLE_BOOT, 0x99])
def test_what_has_no_place_in_pcr_7_is_contraindicated(kind: int) -> None:
    assert ("boot.order", CONTRA, 6) in found(*POLICY, separator(7), measured(7, kind, b"x"))


def test_a_bios_that_is_no_uefi_may_fill_pcr_7_as_it_likes() -> None:
    assert found(measured(7, EventType.ACTION, b"x", of=b"y"), measured(4, EventType.IPL, b"")) == []


# --- (6) PCR 4 and 5


def test_legacy_boot_code_has_a_place_behind_the_call_that_starts_it() -> None:
    code, table = measured(4, EventType.IPL, b"IPL code", of=b"code"), measured(5, EventType.IPL_PARTITION_DATA, b"t")
    call = measured(4, EventType.ACTION, b"Returned INT 19h")

    assert uefi(call, code, table, measured(4, EventType.COMPACT_HASH, b"boot")) == []
    assert uefi(code, call) == [("boot.look-alike", CONTRA, 0)]
    assert uefi(table) == [("boot.look-alike", CONTRA, 0)]
    assert uefi(replace(call, pcr=5), code) == [("boot.look-alike", CONTRA, 1)]
    assert uefi(measured(4, EventType.ACTION, b"Booting BCV Device"), code) == [("boot.look-alike", CONTRA, 1)]


def test_a_recorded_legacy_boot_keeps_the_rules() -> None:
    log = recorded("immune-gmbh_guard-oss/apisrv__pkg__eventlog__testdata__binary_bios_measurements_15")

    assert any(event.reported_type == EventType.IPL and event.pcr == 4 for event in log.events)
    assert check_log(log, HashAlg.SHA1) == ()


@pytest.mark.parametrize("pcr", [4, 5])
@pytest.mark.parametrize("text", [b"x" * (MAX_ACTION + 1), b"two\nlines", b"\xc3\xa4", b"MZ\x90"])
def test_an_action_is_a_short_printable_text(pcr: int, text: bytes) -> None:
    assert uefi(measured(pcr, EventType.EFI_ACTION, text)) == [("boot.look-alike", CONTRA, 0)]
    assert uefi(measured(pcr, EventType.EFI_ACTION, b"x" * MAX_ACTION + b"\0")) == []


def test_an_action_of_the_bios_kind_has_the_digest_of_its_text_too() -> None:
    assert uefi(measured(4, EventType.ACTION, b"Calling INT 19h", of=b"hidden")) == [("boot.look-alike", CONTRA, 0)]


def test_devices_left_out_say_so_and_nothing_else() -> None:
    omitted = measured(4, EventType.OMIT_BOOT_DEVICE_EVENTS, b"BOOT ATTEMPTS OMITTED")

    assert uefi(omitted) == []
    assert uefi(replace(omitted, data=b"other")) == [("boot.look-alike", CONTRA, 0)]
    assert uefi(measured(4, omitted.reported_type, omitted.data, of=b"hidden")) == [("boot.look-alike", CONTRA, 0)]


# --- (7) after the end of boot services, (8) localities


def test_only_pcr_4_and_5_are_closed_by_the_end_of_boot_services() -> None:
    assert uefi(EXITED, IMAGE) == [("boot.after-exit", CONTRA, 1)]
    assert uefi(EXITED, EXITED) == [("boot.after-exit", CONTRA, 1)]
    assert uefi(EXITED, measured(11, EventType.IPL, b"x")) == []
    assert uefi(measured(5, EventType.EFI_ACTION, b"Exit Boot Services Returned with Failure"), IMAGE) == []


def test_a_startup_locality_that_does_not_count_is_a_warning() -> None:
    assert found(started_from(0), started_from(3)) == [("boot.locality", WARNING, 1)]
    assert found(started_from(0), separator(1), separator(0)) == []


# --- registers of a confidential machine


def ccel(events: Iterable[Event]) -> BootLog:
    return replace(with_events(log_of(banks=(SHA384,)), events), format=LogFormat.CCEL)


def of_register(register: int, kind: int, data: bytes, *, of: bytes | None = None) -> Event:
    return measured(register, kind, data, of=of, banks=(SHA384,))


@pytest.mark.parametrize(("register", "allowed"), [(1, 3), (2, 5)])
def test_a_register_has_as_many_separators_as_pcrs_behind_it(register: int, allowed: int) -> None:
    log = ccel([of_register(register, EventType.SEPARATOR, CLOSING)] * allowed)

    assert check_log(log, SHA384) == ()
    [finding] = check_log(appended(log, of_register(register, EventType.SEPARATOR, CLOSING)), SHA384)
    assert (finding.id, finding.tier) == ("boot.separator", CONTRA)
    assert f"more than the {allowed} separators" in finding.why


def test_the_rules_of_single_pcrs_are_not_those_of_registers() -> None:
    events = [
        of_register(1, EventType.EFI_VARIABLE_BOOT, variable("BootOrder", b"\0\0"), of=b"\0\0"),
        of_register(1, CONFIG, variable("SecureBoot", b"\1")),
        of_register(2, EventType.EFI_ACTION, b"Exit Boot Services Returned with Success"),
        of_register(4, EventType.IPL, b"anything"),
    ]

    assert check_log(ccel(events), SHA384) == ()


def test_false_digests_and_separators_are_told_of_registers_as_well() -> None:
    events = [
        of_register(1, CONFIG, variable("SecureBoot", b"\1"), of=b"hidden"),
        of_register(2, EventType.SEPARATOR, CLOSING, of=b"hidden"),
        of_register(1, EventType.EFI_ACTION, b"x", of=CLOSING),
    ]

    assert [(f.id, f.tier) for f in check_log(ccel(events), SHA384)] == [
        ("boot.digest", CONTRA),
        ("boot.look-alike", WARNING),
        ("boot.look-alike", WARNING),
    ]
