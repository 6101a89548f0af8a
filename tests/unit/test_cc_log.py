"""Logs of confidential machines: their rules, and whether they lead to the registers of a quote."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bartizan.app.inspect_log import inspect_log
from bartizan.errors import ConfigError
from bartizan.formats.tcg_log import decode_boot_log
from bartizan.formats.tcg_log_writer import encode_agile_log
from bartizan.formats.tdx import decode_tdx_quote
from bartizan.model.boot_log import BootLog, Event, EventType, LogFormat, type_label
from bartizan.model.digest import HashAlg
from bartizan.model.result import Finding, Tier
from bartizan.verify.cc_log import check_quote, check_registers, compare_registers, register_name
from bartizan.verify.log_rules import check_log
from tests.simulator.boot_logs import (
    LOGS,
    appended,
    changed,
    inserted,
    log_of,
    measured,
    recorded,
    tpm_after,
    variable,
    without,
)
from tests.unit.cli_runner import run

VECTORS = Path(__file__).parent.parent / "vectors" / "confidential"
TRUSTEE = "confidential-containers_trustee/deps__eventlog__test_data__CCEL_data"
COS = "google_go-eventlog/testdata__eventlogs__ccel__cos-113-intel-tdx.bin"
CC_API = "cc-api_cc-trusted-api/common__golang__cctrusted_base__test_data__ccel_data.bin"
DSTACK = "Dstack-TEE_dstack/dstack__cc-eventlog__samples__ccel.bin"
DIRECT = "google_go-eventlog/testdata__eventlogs__ccel__event_log.bin"
CCELS = (
    *(COS, CC_API, DSTACK, DIRECT, TRUSTEE, f"{TRUSTEE}_grub", f"{TRUSTEE}_gcp", f"{TRUSTEE}_ovmf"),
    "google_go-eventlog/testdata__eventlogs__ccel__CCEL_unpadded.data.bin",
)
SHA384 = HashAlg.SHA384
SECURE_BOOT = 2
"""Where SecureBoot stands in the logs of OVMF."""


def said(findings: tuple[Finding, ...]) -> list[tuple[str, Tier]]:
    return [(finding.id, finding.tier) for finding in findings]


def only(findings: tuple[Finding, ...]) -> Finding:
    (found,) = findings
    return found


@pytest.mark.parametrize("name", CCELS)
def test_a_recorded_log_is_recognised_and_keeps_its_rules(name: str) -> None:
    log = recorded(name)

    assert log.format is LogFormat.CCEL
    assert check_log(log, SHA384) + check_registers(log, SHA384) == ()


def test_the_rules_of_registers_say_nothing_of_a_tpms_log() -> None:
    log = recorded("boots/good")

    assert check_registers(log, HashAlg.SHA256) == ()


@pytest.mark.parametrize("name", ["grub", "ovmf"])
def test_another_reader_sees_the_same_events(name: str) -> None:
    rows: list[dict[str, Any]] = json.loads((VECTORS / f"trustee-{name}.json").read_text("utf-8"))["uefi_event_logs"]
    log = recorded(f"{TRUSTEE}_{name}")

    assert [(e.pcr, type_label(e.reported_type), e.digests[SHA384].hex()) for e in log.events] == [
        (row["index"], row["type_name"], row["digests"][0]["digest"]) for row in rows
    ]


PAIRS = {
    "cos-113": (COS, {1: True, 2: True, 3: True, 4: True}, 0),
    # The running kernel extends RTMR2 with what IMA measures, which stands in no log of the firmware.
    "cc-api": (CC_API, {1: True, 2: True, 3: False, 4: True}, 1),
}
"""Log and quote of one machine: which registers the log leads to, and the exit code."""


@pytest.mark.parametrize("pair", PAIRS)
def test_a_log_is_held_against_the_registers_of_its_quote(pair: str) -> None:
    name, matches, code = PAIRS[pair]

    ran = run("log", LOGS / name, "--tdx-quote", VECTORS / f"{pair}.quote.bin", "--json")

    assert ran.code == code
    assert ran.document["matches"] == {"sha384": {str(index): holds for index, holds in matches.items()}}
    assert ran.document["quote"]["signature"] == "not verified"
    assert ran.document["status"] == "none"
    assert "cc.quote-signature" in {finding["id"] for finding in ran.findings}


def test_people_see_the_registers_by_their_names() -> None:
    ran = run("log", LOGS / COS, "--tdx-quote", VECTORS / "cos-113.quote.bin", "--all")

    assert ran.code == 0
    assert all(name in ran.out for name in ("RTMR0", "RTMR1", "RTMR2", "signature not verified"))
    assert "without events, and at their reset value: RTMR3" in ran.out


def test_a_log_of_another_machine_does_not_lead_to_the_registers() -> None:
    quote = decode_tdx_quote((VECTORS / "cos-113.quote.bin").read_bytes())

    compared = compare_registers(recorded(CC_API), quote.report.registers, SHA384)

    assert compared.matches == {1: False, 2: False, 3: False, 4: True}
    assert said(compared.findings) == [
        ("cc.registers-explained", Tier.CONTRAINDICATED),
        ("cc.registers-explained", Tier.CONTRAINDICATED),
        ("cc.registers-explained", Tier.NONE),
    ]


def test_a_register_without_events_must_be_zero() -> None:
    compared = compare_registers(recorded(COS), {4: b"\x01" * 48}, SHA384)

    assert compared.matches == {4: False}
    assert "RTMR3 is not explained: it was extended" in only(compared.findings).why


def test_an_index_that_is_no_register_is_passed_over() -> None:
    assert compare_registers(recorded(COS), {0: bytes(48), 5: bytes(48)}, SHA384).matches == {}


def test_registers_can_be_given_as_a_file_of_values(tmp_path: Path) -> None:
    quote = decode_tdx_quote((VECTORS / "cos-113.quote.bin").read_bytes())
    values = {str(index): value.hex() for index, value in quote.report.registers.items()}
    (tmp_path / "good.json").write_text(json.dumps({"sha384": values}), encoding="utf-8")
    (tmp_path / "bad.json").write_text(json.dumps({"sha384": values | {"2": "00" * 48}}), encoding="utf-8")

    good = run("log", LOGS / COS, "--pcrs", tmp_path / "good.json", "--json")
    bad = run("log", LOGS / COS, "--pcrs", tmp_path / "bad.json", "--json")

    assert (good.code, good.document["status"], good.document["quote"]) == (0, "affirming", None)
    assert (bad.code, bad.document["status"]) == (1, "contraindicated")


def test_a_quote_is_held_against_no_other_log_and_against_one_thing_only() -> None:
    quote = (VECTORS / "cos-113.quote.bin").read_bytes()
    other = encode_agile_log(recorded("boots/good"))
    csv = encode_agile_log(log_of(measured(1, 1, b"firmware", banks=(0x12,)), banks=(0x12,)))

    for raw, found in ((other, "crypto-agile"), (csv, "ccel")):
        with pytest.raises(ConfigError, match=f"found a {found} log"):
            inspect_log(raw, None, tdx_quote=quote)
    with pytest.raises(ConfigError, match="exclude each other"):
        inspect_log((LOGS / COS).read_bytes(), {SHA384: {1: bytes(48)}}, tdx_quote=quote)


def test_a_domain_under_debug_is_contraindicated() -> None:
    quote = decode_tdx_quote((VECTORS / "debug.quote.bin").read_bytes())

    assert said(check_quote(quote)) == [("cc.quote-signature", Tier.NONE), ("cc.debug", Tier.CONTRAINDICATED)]


def dstack_log(name: str) -> tuple[BootLog, Mapping[int, bytes]]:
    """The log that stands beside a quote in JSON, as a log of its own, and the quote's registers."""
    document: dict[str, Any] = json.loads((VECTORS / name).read_text("utf-8"))
    rows: list[dict[str, Any]] = json.loads(document["event_log"])
    events = [
        Event(
            index=index,
            offset=0,
            pcr=row["imr"] + 1,
            reported_type=row["event_type"],
            digests={SHA384: bytes.fromhex(row["digest"])},
            data=b"",
        )
        for index, row in enumerate(row for row in rows if row["digest"])
    ]
    quote = decode_tdx_quote(bytes.fromhex(document["quote"]))
    written = encode_agile_log(BootLog(format=LogFormat.CCEL, algorithms=(SHA384,), events=tuple(events)))
    return decode_boot_log(written), quote.report.registers


@pytest.mark.parametrize(
    ("name", "runtime"),
    [
        ("dstack-quote-report.json", True),
        # Runtime events come without their digests there, which dstack computes by a rule of its own.
        ("dstack-tdx-lite.json", False),
    ],
)
def test_logs_beside_quotes_in_json_lead_to_their_registers(name: str, runtime: bool) -> None:
    log, registers = dstack_log(name)

    assert log.format is LogFormat.CCEL
    assert compare_registers(log, registers, SHA384).matches == {1: True, 2: True, 3: True, 4: runtime}


def hidden(log: BootLog, kind: int) -> BootLog:
    """SecureBoot under another label, and a genuine-looking one behind it: the registers stay what they were made."""
    genuine = log.events[SECURE_BOOT]
    return inserted(changed(log, SECURE_BOOT, reported_type=kind), SECURE_BOOT + 1, genuine)


@pytest.mark.parametrize("kind", [EventType.PLATFORM_CONFIG_FLAGS, EventType.EFI_VARIABLE_AUTHORITY])
@pytest.mark.parametrize("name", [COS, f"{TRUSTEE}_grub", f"{TRUSTEE}_ovmf"])
def test_a_secure_boot_setting_under_another_label_is_contraindicated(name: str, kind: int) -> None:
    assert said(check_registers(hidden(recorded(name), kind), SHA384)) == [("boot.look-alike", Tier.CONTRAINDICATED)]


def test_a_secure_boot_setting_in_the_wrong_register_is_contraindicated() -> None:
    log = changed(recorded(COS), SECURE_BOOT, pcr=2)

    assert ("boot.look-alike", Tier.CONTRAINDICATED) in said(check_registers(log, SHA384))


def test_a_secure_boot_variable_is_measured_once_and_in_its_order() -> None:
    log = recorded(COS)
    secure_boot, platform_key = log.events[SECURE_BOOT : SECURE_BOOT + 2]
    unreadable = measured(1, EventType.EFI_VARIABLE_DRIVER_CONFIG, b"", banks=(SHA384,))
    other = measured(1, EventType.EFI_VARIABLE_DRIVER_CONFIG, variable("Lang", b"en"), banks=(SHA384,))

    twice = check_registers(inserted(log, SECURE_BOOT + 1, secure_boot), SHA384)
    late = check_registers(appended(without(log, 41, 42), platform_key), SHA384)
    swapped = check_registers(inserted(without(log, SECURE_BOOT), SECURE_BOOT + 1, secure_boot), SHA384)

    assert said(twice) == said(late) == [("boot.order", Tier.CONTRAINDICATED)]
    assert set(said(swapped)) == {("boot.order", Tier.CONTRAINDICATED)}
    assert said(check_registers(inserted(log, SECURE_BOOT, unreadable), SHA384)) == [
        ("boot.order", Tier.CONTRAINDICATED)
    ]
    assert check_registers(inserted(log, SECURE_BOOT, other), SHA384) == ()


def test_the_firmwares_registers_are_closed_when_the_system_has_taken_over() -> None:
    log = recorded(COS)
    image = next(event for event in log.events if event.reported_type == EventType.EFI_BOOT_SERVICES_APPLICATION)
    runtime = measured(4, EventType.EVENT_TAG, b"LEAA" + bytes(4), banks=(SHA384,))

    assert check_registers(appended(log, runtime), SHA384) == ()
    assert said(check_registers(appended(log, image), SHA384)) == [("boot.after-exit", Tier.CONTRAINDICATED)]


def test_only_one_bank_and_registers_alone_make_a_confidential_machines_log() -> None:
    def format_of(*events: Event, banks: tuple[int, ...] = (SHA384,)) -> LogFormat:
        return decode_boot_log(encode_agile_log(log_of(*events, banks=banks))).format

    def event(pcr: int, *banks: int) -> Event:
        return measured(pcr, EventType.S_CRTM_VERSION, b"1", banks=banks)

    assert format_of(event(1, SHA384), event(4, SHA384)) is LogFormat.CCEL
    assert format_of(event(1, HashAlg.SM3_256), banks=(HashAlg.SM3_256,)) is LogFormat.CCEL
    for log in ([event(0, SHA384), event(1, SHA384)], [event(1, SHA384), event(7, SHA384)], []):
        assert format_of(*log) is LogFormat.CRYPTO_AGILE
    assert format_of(event(1, HashAlg.SHA256), banks=(HashAlg.SHA256,)) is LogFormat.CRYPTO_AGILE
    assert format_of(event(1, SHA384, HashAlg.SHA256), banks=(SHA384, HashAlg.SHA256)) is LogFormat.CRYPTO_AGILE


def test_registers_of_another_kind_of_machine_go_by_their_number() -> None:
    assert [register_name(index, SHA384) for index in (0, 1, 4, 9)] == ["MRTD", "RTMR0", "RTMR3", "register 9"]
    assert register_name(1, HashAlg.SM3_256) == "register 1"


def test_what_a_log_leads_to_is_what_a_machine_would_hold() -> None:
    values = tpm_after(recorded(COS))[SHA384]

    compared = compare_registers(recorded(COS), {index: values[index] for index in range(1, 5)}, SHA384)

    assert said(compared.findings) == [("cc.registers-explained", Tier.AFFIRMING)]
