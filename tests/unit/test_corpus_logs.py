"""Every recorded boot log: how it is laid out, what it says against itself, and the PCR values that it must lead to.

Many of these logs come without PCR values, so that only their own consistency can be judged; a finding on a genuine log
would be a false alarm. Three logs are known to say something against themselves; `NOT_GOOD` says why.
"""

import json
from dataclasses import dataclass

import pytest

from bartizan.app.inspect_log import inspect_log
from bartizan.errors import DecodeError
from bartizan.formats.tcg_log import decode_boot_log
from bartizan.model.digest import HashAlg, PcrBanks
from bartizan.model.result import Tier
from tests.simulator.boot_logs import BOOTS, LOGS, banks_of, boot_pcrs, known_pcrs

TABLE = (
    # folder/
    #   file  format  events  banks  padding  good, or tier:findings  bank:PCRs that the log explains, of those known
    "Dstack-TEE_dstack/",
    "  dstack__cc-eventlog__samples__ccel.bin ccel 18 sha384 63603 good -",
    "  dstack__cc-eventlog__samples__tpm_eventlog.bin agile 45 sha1+sha256+sha384 0 good -",
    "GoogleCloudPlatform_confidential-space/",
    "  server__host__testdata__gmes_eventlog.bin agile 6 sha256 0 good -",
    "cc-api_cc-trusted-api/",
    "  common__golang__cctrusted_base__test_data__ccel_data.bin ccel 98 sha384 49724 good sha384:2",
    "confidential-containers_trustee/",
    "  deps__eventlog__test_data__CCEL_data ccel 5 sha384 1038754 good -",
    "  deps__eventlog__test_data__CCEL_data_gcp ccel 21 sha384 241795 good -",
    "  deps__eventlog__test_data__CCEL_data_grub ccel 37 sha384 50406 good -",
    "  deps__eventlog__test_data__CCEL_data_ovmf ccel 20 sha384 63416 good -",
    "fobnail_docs/",
    "google_go-attestation/",
    "  attest__testdata__coreos_36_shielded_vm_no_secure_boot_eventlog agile 75 sha1+sha256+sha384 0 good -",
    "  attest__testdata__crypto_agile_eventlog agile 26 sha256 0 good -",
    "  attest__testdata__sb_cert_eventlog agile 14 sha1+sha256+sha384 0 good -",
    "  attest__testdata__short_no_action_eventlog sha1 1 sha1 0 good -",
    "  x__windows_gcp_shielded_vm__eventlog.bin sha1 21 sha1 0 good sha1:21",
    "google_go-eventlog/",
    "  testdata__eventlogs__ccel__CCEL_unpadded.data.bin ccel 19 sha384 0 good -",
    "  testdata__eventlogs__ccel__cos-113-intel-tdx.bin ccel 43 sha384 244043 good sha384:3",
    "  testdata__eventlogs__ccel__event_log.bin ccel 27 sha384 62833 good -",
    "  testdata__eventlogs__tpm__arch-linux-workstation.bin agile 24 sha1+sha256 0 good sha1:9 sha256:9",
    "  testdata__eventlogs__tpm__cos-101-amd-sev.bin agile 48 sha1+sha256+sha384 0 good sha1:11 sha256:11",
    "  testdata__eventlogs__tpm__cos-85-amd-sev.bin agile 45 sha1+sha256+sha384 0 good sha1:10 sha256:10",
    "  testdata__eventlogs__tpm__cos-93-amd-sev.bin agile 45 sha1+sha256+sha384 0 good sha1:10 sha256:10",
    "  testdata__eventlogs__tpm__debian-10.bin sha1 25 sha1 0 good sha1:8",
    "  testdata__eventlogs__tpm__glinux-alex.bin agile 28 sha1+sha256 0 warning:boot.look-alike sha1:8 sha256:8",
    "  testdata__eventlogs__tpm__rhel8-uefi.bin agile 82 sha1+sha256+sha384 0 good sha1:11 sha256:11",
    "  testdata__eventlogs__tpm__ubuntu-1804-amd-sev.bin agile 87 sha1+sha256+sha384 0 good sha1:10 sha256:10",
    "  testdata__eventlogs__tpm__ubuntu-2104-no-dbx.bin agile 111 sha1+sha256+sha384 0 good sha1:11 sha256:11",
    "  testdata__eventlogs__tpm__ubuntu-2104-no-secure-boot.bin agile 105 sha1+sha256+sha384 0 good sha1:11 sha256:11",
    "hpe-security-lab_keylime-perf-tests/",
    "  decoded__uefi_log.bin agile 152 sha256+sha384 0 good -",
    "immune-gmbh_guard-oss/",
    "  DESKTOP-MIMU51J-EPP-ESET__eventlog.bin agile 61 sha256 0 good sha256:21",
    "  Haruhi__eventlog.bin agile 49 sha1+sha256 0 good -",
    "  IMN-DELL-WBCL-BootCtrs__eventlog.bin agile 74 sha256 0 good sha256:21",
    "  apisrv__pkg__eventlog__testdata__binary_bios_measurements_15 sha1 39 sha1 0 good -",
    "  apisrv__pkg__eventlog__testdata__linux_event_log sha1 43 sha1 0 good -",
    "  apisrv__pkg__eventlog__testdata__tpm2_windows_lenovo_yogax1v2 agile 53 sha1+sha256 0 good -",
    "  elitebook__eventlog.bin agile 116 sha1+sha256 0 good -",
    "  ludmilla-2__eventlog.bin agile 118 sha1+sha256 0 good sha1:21 sha256:21",
    "  ludmilla__eventlog.bin agile 120 sha1+sha256 0 good sha1:21 sha256:21",
    "  test-before__eventlog.bin agile 116 sha1+sha256 0 good sha256:21",
    "  test-update__eventlog.bin agile 116 sha1+sha256 0 good sha256:21",
    "  test__eventlog.bin agile 116 sha1+sha256 0 good sha256:9",
    "  x1carbon__eventlog.bin agile 64 sha1+sha256 0 good -",
    "intel-secl_intel-secl/",
    "  pkg__tagent__test__eventlog__txt-logs.bin txt 19 sha1+sha256 6558 good -",
    "  pkg__tagent__test__eventlog__uefi_event_log.bin agile 115 sha1+sha256 46917 good -",
    "  vmware20__host_manifest.derived.bin txt 172 sha256 0 good sha256:5",
    "keylime_keylime/",
    "  decoded__mb_log.bin agile 101 sha256 0 good -",
    "  test__data__create-mb-policy__binary_bios_measurements agile 120 sha1+sha256 0 good -",
    "  test__data__create-mb-policy__binary_bios_measurements-secureboot agile 98 sha256 0 good -",
    "keylime_python3-uefi-eventlog/",
    "  testing__good_logs__inspur__inspur.bin agile 100 sha1+sha256 0 good -",
    "  testing__good_logs__intel_svr__intel_svr.bin agile 118 sha1+sha256 0 good -",
    "  testing__good_logs__puiterwijk__puiterwijk.bin agile 100 sha1+sha256 0 good -",
    "  testing__good_logs__rhcos__rhcos.bin agile 74 sha256 0 good -",
    "  testing__good_logs__rhel__bootlog-5.0.0-rhel-20210423T133156Z_8b0347a.bin agile 33 sha1+sha256 0 good -",
    "  testing__good_logs__thinkpad__p511.bin agile 58 sha1+sha256 0 good -",
    "  testing__good_logs__ubuntu_qemu__css-flex14vm4-bootlog.bin agile 105 sha1+sha256 0 good -",
    "keylime_rust-keylime/",
    "  keylime__test-data__uefi_log.bin agile 123 sha256 0 good -",
    "kgoldman_acs/",
    "  acs__tpm2bios.log agile 26 sha256+sha1 0 contraindicated:boot.look-alike*16 -",
    "  acs__tpmbios.log sha1 39 sha1 0 warning:boot.order -",
    "kgoldman_ibmtss/",
    "  utils__deb2.log agile 107 sha1+sha256 0 good -",
    "  utils__dell1.log agile 50 sha1+sha256 0 good -",
    "  utils__sm2.log agile 39 sha1+sha256 0 good -",
    "  utils__ubuntu1.log agile 100 sha1+sha256 0 good -",
    "  utils__ubuntu3.log agile 44 sha1+sha256 0 good -",
    "nsacyber_HIRS/",
    "  HIRS_Utils__src__test__resources__tcgeventlog__TpmLog.bin agile 55 sha256 0 good sha256:21",
    "  HIRS_Utils__src__test__resources__tcgeventlog__TpmLogSHA1.bin sha1 28 sha1 0 good sha1:21",
    "salrashid123_tpm2/",
    "  event_log__binary_bios_measurements agile 121 sha1+sha256+sha384 0 good -",
    "tpm2-software_tpm2-tools/",
    "  test__integration__fixtures__event-arch-linux.bin agile 24 sha1+sha256 0 good -",
    "  test__integration__fixtures__event-bootorder.bin agile 103 sha1+sha256 0 good -",
    "  test__integration__fixtures__event-sd-boot-fedora37.bin agile 27 sha256 0 good -",
    "  test__integration__fixtures__event-uefi-sha1-log.bin sha1 17 sha1 0 good -",
    "  test__integration__fixtures__event-uefiaction.bin agile 1 sha1+sha256+sha384+sha512 0 good -",
    "  test__integration__fixtures__event-uefiservices.bin agile 1 sha1+sha256 0 good -",
    "  test__integration__fixtures__event-uefivar.bin agile 1 sha1+sha256+sha384+sha512 0 good -",
    "  test__integration__fixtures__event.bin agile 1 sha1+sha256+sha384+sha512 0 good -",
    "  test__integration__fixtures__specid-vendordata.bin agile 0 sha1+sha256 0 good -",
    "tpm2-software_tpm2-tss/",
    "  decoded__binary_measurements_pc_client.bin agile 32 sha1+sha256 0 good -",
    "  decoded__specid-vendordata.bin agile 0 sha1+sha256 0 good -",
)
NOT_GOOD = {
    "testdata__eventlogs__tpm__glinux-alex.bin": "genuine: measures an empty entry of its FIT as zeros into PCR 0",
    "acs__tpmbios.log": "genuine: a UEFI from before Secure Boot, which leaves PCR 7 to its separator",
    "acs__tpm2bios.log": "no PC Client log: OpenPOWER's skiboot writes texts into separators and separators as actions",
}
REFUSED = {
    "keylime_keylime/test__data__create-mb-policy__binary_bios_measurements-empty": "the log is empty",
    "cc-api_cc-trusted-api/common__golang__cctrusted_base__test_data__formated_el.txt": "text, such as a listing",
    "fobnail_docs/dev-notes__meta-fobnail-log.cap": "text, such as a listing",
}
OTHERS = frozenset({"ATTRIBUTION.md", "pcrs.json", "oracles"})


@dataclass(frozen=True, kw_only=True)
class Row:
    """What one line of the table says; `tier` and `findings` without PCR values, `explained` with them."""

    path: str
    format: str
    events: int
    banks: tuple[str, ...]
    padding: int
    tier: Tier
    findings: dict[str, int]
    explained: dict[HashAlg, int]

    @property
    def known(self) -> PcrBanks:
        return banks_of(known_pcrs()[self.path])


def rows() -> list[Row]:
    found = []
    folder = ""
    for line in TABLE:
        if line.endswith("/"):
            folder = line
            continue
        name, layout, events, banks, padding, verdict, *explained = line.split()
        tier, _, findings = verdict.partition(":")
        counted = [part.partition("*") for part in findings.split(",") if part]
        found.append(
            Row(
                path=folder + name,
                format="crypto-agile" if layout == "agile" else layout,
                events=int(events),
                banks=tuple(banks.split("+")),
                padding=int(padding),
                tier=Tier.AFFIRMING if tier == "good" else Tier(tier),
                findings={check: int(count or 1) for check, _, count in counted},
                explained={
                    HashAlg.from_label(bank): int(count)
                    for bank, _, count in (part.partition(":") for part in explained if part != "-")
                },
            )
        )
    return found


ROWS = rows()
KNOWN = [row for row in ROWS if row.explained]


def name_of(row: Row) -> str:
    return row.path.rpartition("/")[2]


@pytest.mark.parametrize("row", ROWS, ids=name_of)
def test_a_recorded_log_is_decoded_and_says_nothing_else_against_itself(row: Row) -> None:
    report = inspect_log((LOGS / row.path).read_bytes(), None)

    assert report.log.format.value == row.format
    assert len(report.log.events) == row.events
    assert tuple(HashAlg(alg).label for alg in report.log.algorithms) == row.banks
    assert report.log.padding == row.padding
    checks = [finding.id for finding in report.findings]
    assert {check: checks.count(check) for check in checks} == row.findings
    assert report.status is row.tier


@pytest.mark.parametrize("row", KNOWN, ids=name_of)
def test_a_recorded_log_leads_to_the_pcrs_that_its_machine_had(row: Row) -> None:
    report = inspect_log((LOGS / row.path).read_bytes(), row.known)

    assert {bank: len(matches) for bank, matches in report.matches.items()} == row.explained
    assert all(holds for matches in report.matches.values() for holds in matches.values())
    assert report.good


@pytest.mark.parametrize("row", KNOWN, ids=name_of)
def test_a_recorded_log_does_not_lead_to_other_pcrs(row: Row) -> None:
    for bank, values in row.known.items():
        if bank not in row.explained:
            continue
        pcr = next(index for index, value in values.items() if any(value))
        other = {**values, pcr: bytes([values[pcr][0] ^ 1]) + values[pcr][1:]}

        report = inspect_log((LOGS / row.path).read_bytes(), {bank: other})

        assert [index for index, holds in report.matches[bank].items() if not holds] == [pcr]
        assert not report.good


@pytest.mark.parametrize("name", sorted(path.parent.name for path in BOOTS.glob("*/bios_at_quote.bin")))
def test_a_recorded_boots_log_leads_to_what_was_quoted_in_all_three_banks(name: str) -> None:
    static = {
        bank: {pcr: value for pcr, value in values.items() if pcr < 17} for bank, values in boot_pcrs(name).items()
    }

    report = inspect_log((BOOTS / name / "bios_at_quote.bin").read_bytes(), static)

    assert {bank.label: len(matches) for bank, matches in report.matches.items()} == {
        "sha1": 15,
        "sha256": 15,
        "sha384": 15,
    }
    assert report.good
    assert report.status is Tier.AFFIRMING


@pytest.mark.parametrize(("path", "why"), REFUSED.items())
def test_what_is_no_boot_log_is_refused_at_its_first_byte(path: str, why: str) -> None:
    with pytest.raises(DecodeError, match=why) as refusal:
        decode_boot_log((LOGS / path).read_bytes())

    assert refusal.value.offset == 0


def test_the_table_has_every_recorded_log() -> None:
    files = {
        path.relative_to(LOGS).as_posix()
        for path in LOGS.rglob("*")
        if path.is_file() and not OTHERS & {path.name, path.parent.name}
    }

    assert files == {row.path for row in ROWS} | set(REFUSED)


def test_every_log_with_known_pcrs_is_held_against_them() -> None:
    assert {row.path for row in KNOWN} == set(json.loads((LOGS / "pcrs.json").read_text(encoding="utf-8")))


def test_every_finding_on_a_recorded_log_has_its_reason() -> None:
    assert {name_of(row) for row in ROWS if row.findings} == set(NOT_GOOD)
