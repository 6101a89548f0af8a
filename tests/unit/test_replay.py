"""Replay: where a PCR starts, what extends it, and what does not."""

from dataclasses import replace

import pytest

from bartizan.formats.tcg_log import decode_boot_log
from bartizan.model.boot_log import BootLog, Event, EventType
from bartizan.model.digest import HashAlg
from bartizan.verify.replay import extending, replay, startup_event, startup_locality
from tests.simulator.boot_logs import (
    LOGS,
    encode,
    hash_of,
    log_of,
    measured,
    recorded,
    separator,
    started_from,
    tpm_after,
    without,
)

SHA256 = HashAlg.SHA256
BOTH = (HashAlg.SHA1, SHA256)
CRTM = measured(0, EventType.S_CRTM_VERSION, b"1.0")
H_CRTM = measured(0, EventType.EFI_HCRTM_EVENT, b"HCRTM", of=b"first code")


def pcr_0_of(*events: Event) -> bytes:
    return replay(log_of(*events), SHA256)[0]


def extended(start: bytes, *digests: bytes) -> bytes:
    for digest in digests:
        start = hash_of(SHA256, start + digest)
    return start


def from_locality(locality: int) -> bytes:
    return bytes(31) + bytes([locality])


def test_a_pcr_starts_at_zero_and_is_extended_in_the_order_of_its_events() -> None:
    first, second = measured(4, 0x80000003, b"shim"), measured(4, 0x80000003, b"grub")

    values = replay(log_of(first, separator(5), second), SHA256)

    assert values[4] == extended(bytes(32), first.digests[SHA256], second.digests[SHA256])
    assert values[5] == extended(bytes(32), hash_of(SHA256, bytes(4)))
    assert set(values) == {4, 5}


@pytest.mark.parametrize("locality", [0, 3, 4])
def test_pcr_0_starts_where_the_tpm_was_started_from(locality: int) -> None:
    assert pcr_0_of(started_from(locality), CRTM) == extended(from_locality(locality), CRTM.digests[SHA256])


def test_every_bank_starts_from_the_same_locality() -> None:
    log = log_of(started_from(3, banks=BOTH), replace(CRTM, digests=separator(0, banks=BOTH).digests), banks=BOTH)

    assert replay(log, HashAlg.SHA1)[0] == tpm_after(log, locality=3)[HashAlg.SHA1][0]
    assert replay(log, SHA256)[0] == tpm_after(log, locality=3)[SHA256][0]


def test_no_other_pcr_starts_from_a_locality() -> None:
    assert replay(log_of(started_from(3), separator(1)), SHA256)[1] == extended(bytes(32), hash_of(SHA256, bytes(4)))


def test_pcr_0_starts_from_locality_4_where_a_hardware_crtm_comes_first() -> None:
    assert pcr_0_of(H_CRTM, CRTM) == extended(from_locality(4), *(e.digests[SHA256] for e in (H_CRTM, CRTM)))


def test_a_startup_locality_event_goes_before_a_hardware_crtm_event() -> None:
    assert startup_locality(log_of(started_from(3), H_CRTM)) == 3


def test_a_hardware_crtm_event_that_comes_second_starts_nothing() -> None:
    assert startup_locality(log_of(CRTM, H_CRTM)) == 0


def test_of_several_startup_localities_the_first_counts() -> None:
    log = log_of(started_from(3), started_from(4), CRTM)

    assert startup_locality(log) == 3
    assert startup_event(log) == log.events[0]


def test_a_startup_locality_after_the_first_measurement_is_ignored() -> None:
    log = log_of(CRTM, started_from(3))

    assert startup_event(log) is None
    assert replay(log, SHA256)[0] == extended(bytes(32), CRTM.digests[SHA256])


def test_a_startup_locality_after_a_measurement_into_another_pcr_counts() -> None:
    assert startup_locality(log_of(separator(7), started_from(3), CRTM)) == 3


@pytest.mark.parametrize(
    "event",
    [
        started_from(1),
        started_from(2),
        started_from(5),
        started_from(255),
        replace(started_from(3), pcr=1),
        replace(started_from(3), data=b"StartupLocality\0"),
        replace(started_from(3), data=b"StartupLocality\0\3\0"),
        replace(started_from(3), data=b"startupLocality\0\3"),
    ],
)
def test_what_is_not_quite_a_startup_locality_changes_nothing(event: Event) -> None:
    assert startup_locality(log_of(event, CRTM)) == 0


def test_a_startup_locality_under_a_type_that_extends_is_an_ordinary_event() -> None:
    event = replace(started_from(3), reported_type=EventType.ACTION)

    assert pcr_0_of(event) == extended(bytes(32), bytes(32))


def test_no_action_never_extends_whatever_its_digest() -> None:
    silent = replace(CRTM, reported_type=EventType.NO_ACTION)

    assert replay(log_of(silent, replace(silent, pcr=0xFFFFFFFF)), SHA256) == {}
    assert pcr_0_of(silent, CRTM) == pcr_0_of(CRTM)
    assert not list(extending(log_of(silent)))


def test_an_event_without_a_digest_in_a_bank_does_not_extend_that_bank() -> None:
    log = log_of(replace(CRTM, digests={HashAlg.SHA1: bytes(20)}), separator(0), banks=BOTH)

    assert replay(log, SHA256)[0] == extended(bytes(32), hash_of(SHA256, bytes(4)))
    assert replay(log, HashAlg.SHA1) == {0: hash_of(HashAlg.SHA1, bytes(40))}


def test_a_bank_that_the_log_does_not_hold_replays_to_nothing() -> None:
    assert replay(log_of(CRTM), HashAlg.SHA384) == {}


@pytest.mark.parametrize("pcr", range(17, 23))
def test_the_pcrs_of_a_dynamic_launch_start_at_zero(pcr: int) -> None:
    event = measured(pcr, EventType.TXT_HASH_START, b"launched code")

    assert replay(log_of(event), SHA256) == {pcr: extended(bytes(32), event.digests[SHA256])}


@pytest.mark.parametrize("alg", list(HashAlg))
def test_every_bank_that_the_model_has_is_replayed(alg: HashAlg) -> None:
    event = measured(4, 1, b"x", banks=(alg,))

    assert replay(log_of(event, banks=(alg,)), alg) == {4: hash_of(alg, bytes(alg.size) + event.digests[alg])}


RECORDED = [
    ("google_go-eventlog/testdata__eventlogs__tpm__glinux-alex.bin", 3),
    ("google_go-eventlog/testdata__eventlogs__tpm__debian-10.bin", 0),
    ("google_go-attestation/x__windows_gcp_shielded_vm__eventlog.bin", 0),
    ("boots/good", 0),
]


@pytest.mark.parametrize(("name", "locality"), RECORDED)
def test_a_recorded_log_replays_to_what_a_tpm_holds_that_is_extended_by_it(name: str, locality: int) -> None:
    log = recorded(name)
    held = tpm_after(log, locality=locality)

    for alg in log.algorithms:
        values = replay(log, HashAlg(alg))
        assert values == {pcr: held[HashAlg(alg)][pcr] for pcr in values}


def test_removing_the_startup_locality_of_a_recorded_log_moves_pcr_0_alone() -> None:
    log = recorded("google_go-eventlog/testdata__eventlogs__tpm__glinux-alex.bin")
    start = startup_event(log)
    assert start is not None

    before, after = replay(log, SHA256), replay(without(log, start.index), SHA256)

    assert {pcr for pcr in before if before[pcr] != after[pcr]} == {0}


def test_a_recorded_log_replays_the_same_once_it_is_written_anew() -> None:
    raw = (LOGS / "google_go-eventlog/testdata__eventlogs__tpm__rhel8-uefi.bin").read_bytes()
    log = decode_boot_log(raw)

    again: BootLog = decode_boot_log(encode(log))

    assert replay(again, SHA256) == replay(log, SHA256)
