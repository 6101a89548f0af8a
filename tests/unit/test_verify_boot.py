"""A boot log held against PCR values: each PCR is explained or it is not, and only what is explained is handed on."""

import json
from dataclasses import replace

import pytest

from bartizan.formats.tcg_log import decode_boot_log
from bartizan.model.boot_log import BootLog, Event, EventType, LogFormat
from bartizan.model.digest import HashAlg, PcrBanks
from bartizan.model.evidence import VerifiedBoot
from bartizan.model.result import Tier
from bartizan.verify.boot import BOOT_PCRS, fitting_log, reset_values, verify_boot
from tests.simulator.boot_logs import (
    BOOTS,
    appended,
    banks_of,
    boot_pcrs,
    changed,
    digests,
    log_of,
    measured,
    of_pcr,
    recorded,
    separator,
    tpm_after,
    without,
)

SHA1, SHA256, SHA384 = HashAlg.SHA1, HashAlg.SHA256, HashAlg.SHA384
BANKS = (SHA1, SHA256, SHA384)
GOOD, GOOD_PCRS = recorded("boots/good"), boot_pcrs("good")
STATIC = tuple(pcr for pcr in BOOT_PCRS if pcr < 17)
LAUNCH = range(17, 23)
MEASURED = tuple(sorted({event.pcr for event in GOOD.events if event.reported_type != EventType.NO_ACTION}))
"""The PCRs that the good boot extended."""


def said(boot: VerifiedBoot, check: str) -> list[tuple[Tier, int | None]]:
    return [(finding.tier, finding.at.pcr) for finding in boot.findings if finding.id == check]


def unexplained(boot: VerifiedBoot, bank: HashAlg = SHA256) -> list[int]:
    return [each.pcr for each in boot.explanations if each.bank == bank and not each.explained]


def with_value(pcrs: PcrBanks, bank: HashAlg, pcr: int, value: bytes) -> PcrBanks:
    return {**pcrs, bank: {**pcrs[bank], pcr: value}}


# --- (2) explained or not


def test_the_right_log_explains_every_boot_pcr_by_its_events() -> None:
    boot = verify_boot(GOOD, GOOD_PCRS, pinned=SHA256)

    assert [each.pcr for each in boot.explanations if each.bank == SHA256] == list(BOOT_PCRS)
    assert not any(unexplained(boot, bank) for bank in BANKS)
    assert said(boot, "boot.log-present") == [(Tier.AFFIRMING, None)]
    assert said(boot, "boot.pcr-explained") == [(Tier.AFFIRMING, None)]
    assert said(boot, "boot.other-bank") == [(Tier.AFFIRMING, None)] * 2
    for each in boot.explanations:
        assert list(each.events) == [event.index for event in of_pcr(GOOD, each.pcr)]
    assert boot.explains(0, SHA256)
    assert not boot.explains(10, SHA256)
    assert not boot.launched


@pytest.mark.parametrize("pcr", MEASURED)
def test_an_event_left_out_of_the_log_leaves_its_pcr_unexplained(pcr: int) -> None:
    log = without(GOOD, of_pcr(GOOD, pcr)[-1].index)

    boot = verify_boot(log, GOOD_PCRS, pinned=SHA256)

    tier = Tier.CONTRAINDICATED if of_pcr(log, pcr) else Tier.NONE
    assert unexplained(boot) == [pcr]
    assert said(boot, "boot.pcr-explained") == [(tier, pcr)]
    assert {event.pcr for event in boot.events} == set(MEASURED) - {pcr}


@pytest.mark.parametrize("pcr", MEASURED)
def test_a_changed_digest_leaves_its_pcr_unexplained(pcr: int) -> None:
    event = of_pcr(GOOD, pcr)[0]

    boot = verify_boot(changed(GOOD, event.index, digests=digests(b"other", BANKS)), GOOD_PCRS, pinned=SHA256)

    assert unexplained(boot) == [pcr]
    assert said(boot, "boot.pcr-explained") == [(Tier.CONTRAINDICATED, pcr)]


@pytest.mark.parametrize("pcr", MEASURED)
def test_an_extension_behind_the_log_is_contraindicated(pcr: int) -> None:
    held = tpm_after(appended(GOOD, measured(pcr, EventType.IPL, b"behind the log", banks=BANKS)))

    boot = verify_boot(GOOD, held, pinned=SHA256)

    assert said(boot, "boot.pcr-explained") == [(Tier.CONTRAINDICATED, pcr)]
    assert all(unexplained(boot, bank) == [pcr] for bank in BANKS)


@pytest.mark.parametrize("pcr", sorted(set(STATIC) - set(MEASURED)))
def test_a_pcr_that_was_extended_and_that_no_log_speaks_of_is_not_explained(pcr: int) -> None:
    held = tpm_after(appended(GOOD, measured(pcr, EventType.IPL, b"silent", banks=BANKS)))

    boot = verify_boot(GOOD, held, pinned=SHA256)

    assert said(boot, "boot.pcr-explained") == [(Tier.NONE, pcr)]


@pytest.mark.parametrize("pcr", [10, 16, 23])
def test_the_pcrs_of_ima_of_debugging_and_of_applications_are_not_the_boots(pcr: int) -> None:
    boot = verify_boot(GOOD, with_value(GOOD_PCRS, SHA256, pcr, b"\x77" * 32), pinned=SHA256)

    assert not unexplained(boot)
    assert pcr not in {each.pcr for each in boot.explanations}


def test_only_pcrs_that_were_quoted_are_explained() -> None:
    boot = verify_boot(GOOD, {SHA256: {4: GOOD_PCRS[SHA256][4]}}, pinned=SHA256)

    assert [(each.pcr, each.explained) for each in boot.explanations] == [(4, True)]
    assert {event.pcr for event in boot.events} == {4}
    assert said(boot, "boot.pcr-explained") == [(Tier.AFFIRMING, None)]


def test_without_a_log_nothing_is_explained_and_no_fact_is_known() -> None:
    boot = verify_boot(None, GOOD_PCRS, pinned=SHA256)

    assert said(boot, "boot.log-present") == [(Tier.NONE, None)]
    assert {tier for tier, _ in said(boot, "boot.pcr-explained")} == {Tier.NONE}
    assert [pcr for _, pcr in said(boot, "boot.pcr-explained")] == list(MEASURED)
    assert (boot.events, boot.facts.secure_boot, boot.facts.images, boot.facts.texts) == ((), None, (), ())


def test_an_empty_log_for_a_tpm_that_holds_nothing_proves_nothing() -> None:
    for log in (None, log_of(banks=BANKS), replace(GOOD, events=())):
        boot = verify_boot(log, tpm_after(log_of(banks=BANKS)), pinned=SHA256)
        assert said(boot, "boot.pcr-explained") == [(Tier.NONE, None)]


def test_no_pcrs_at_all_say_nothing_about_explanation() -> None:
    assert said(verify_boot(GOOD, {SHA256: {}}, pinned=SHA256), "boot.pcr-explained") == []
    assert said(verify_boot(GOOD, {}, pinned=SHA256), "boot.pcr-explained") == []


# --- (3) the pinned bank decides


def test_another_bank_that_is_not_explained_is_a_warning() -> None:
    boot = verify_boot(GOOD, with_value(GOOD_PCRS, SHA1, 4, bytes(20)), pinned=SHA256)

    assert said(boot, "boot.pcr-explained") == [(Tier.AFFIRMING, None)]
    assert sorted(said(boot, "boot.other-bank"), key=str) == [(Tier.AFFIRMING, None), (Tier.WARNING, None)]
    assert unexplained(boot, SHA1) == [4]


def test_the_pinned_bank_decides_even_where_others_are_explained() -> None:
    pcrs = with_value(GOOD_PCRS, SHA1, 4, bytes(20))

    assert said(verify_boot(GOOD, pcrs, pinned=SHA1), "boot.pcr-explained") == [(Tier.CONTRAINDICATED, 4)]
    assert 4 not in {event.pcr for event in verify_boot(GOOD, pcrs, pinned=SHA1).events}


def test_a_pinned_bank_that_the_log_lacks_leaves_every_extended_pcr_unexplained() -> None:
    log = replace(GOOD, algorithms=(SHA1,), events=tuple(only(event, SHA1) for event in GOOD.events))

    boot = verify_boot(log, {SHA256: GOOD_PCRS[SHA256]}, pinned=SHA256)

    assert unexplained(boot) == list(MEASURED)
    assert boot.events == ()


def only(event: Event, *banks: HashAlg) -> Event:
    return replace(event, digests={bank: event.digests[bank] for bank in banks})


# --- (4) what is handed on


def test_informative_events_are_not_handed_on() -> None:
    log = appended(GOOD, replace(separator(0, banks=BANKS), reported_type=EventType.NO_ACTION))

    boot = verify_boot(log, GOOD_PCRS, pinned=SHA256)

    assert EventType.NO_ACTION not in {event.reported_type for event in boot.events}


def test_digests_of_banks_that_were_not_quoted_are_left_out() -> None:
    """Otherwise a loader could bear a known digest in a bank that nobody looked at."""
    boot = verify_boot(GOOD, {SHA256: GOOD_PCRS[SHA256]}, pinned=SHA256)

    assert all(set(event.digests) == {SHA256} for event in boot.events)
    assert [event.index for event in boot.events] == [
        event.index for event in GOOD.events if event.reported_type != EventType.NO_ACTION
    ]


def test_digests_of_banks_that_do_not_replay_are_left_out_of_that_pcr() -> None:
    loader = of_pcr(GOOD, 4)[-1]
    known = {**loader.digests, SHA384: b"\xab" * 48}

    boot = verify_boot(changed(GOOD, loader.index, digests=known), GOOD_PCRS, pinned=SHA256)

    assert {tuple(event.digests) for event in boot.events if event.pcr == 4} == {(SHA1, SHA256)}
    assert {tuple(event.digests) for event in boot.events if event.pcr != 4} == {BANKS}


# --- a dynamic launch


def launch_log(*, banks: tuple[HashAlg, ...]) -> BootLog:
    """What the recorded launch extended, as a log: each digest is of sha256 in every bank that is asked for."""
    done = json.loads((BOOTS / "vm_drtm" / "drtm.done").read_text(encoding="utf-8"))
    types = {"HASH_START": EventType.TXT_HASH_START, "SINIT_PUBKEY_HASH": EventType.TXT_SINIT_PUBKEY_HASH}
    events = [
        Event(
            index=index,
            offset=0,
            pcr=pcr,
            reported_type=types.get(name, EventType.TBOOT_MODULE),
            digests={SHA256: bytes.fromhex(digest)} | {bank: bytes(bank.size) for bank in banks if bank != SHA256},
            data=name.encode(),
        )
        for index, (pcr, digest, name) in enumerate(done["log"])
    ]
    return BootLog(format=LogFormat.TXT, algorithms=banks, events=tuple(events))


VM, VM_PCRS = recorded("boots/vm_drtm"), boot_pcrs("vm_drtm")


@pytest.mark.parametrize("banks", [(SHA256,), BANKS], ids=["sha256 only", "three banks"])
def test_a_launch_is_explained_by_its_own_log(banks: tuple[HashAlg, ...]) -> None:
    boot = verify_boot(VM, VM_PCRS, pinned=SHA256, launch_log=launch_log(banks=banks))

    assert boot.launched
    assert not unexplained(boot)
    assert said(boot, "launch.explained") == [(Tier.AFFIRMING, None)]
    assert [event.pcr for event in boot.events if event.pcr in LAUNCH] == [17, 17, 18, 17, 18, 19]
    warned = [finding.at.bank for finding in boot.findings if finding.tier is Tier.WARNING]
    assert warned == ["sha1", "sha384"]


def test_a_launch_without_a_log_is_not_explained_and_the_boot_is() -> None:
    boot = verify_boot(VM, VM_PCRS, pinned=SHA256)

    assert boot.launched
    assert said(boot, "boot.pcr-explained") == [(Tier.AFFIRMING, None)]
    assert said(boot, "launch.explained") == [(Tier.NONE, pcr) for pcr in (17, 18, 19)]


@pytest.mark.parametrize("index", range(6))
def test_a_launch_log_that_leads_elsewhere_is_contraindicated(index: int) -> None:
    log = launch_log(banks=(SHA256,))

    boot = verify_boot(VM, VM_PCRS, pinned=SHA256, launch_log=changed(log, index, digests={SHA256: bytes(32)}))

    assert said(boot, "launch.explained") == [(Tier.CONTRAINDICATED, log.events[index].pcr)]


def test_a_launch_on_an_emulated_tpm_is_explained_in_every_bank_but_for_what_came_later() -> None:
    folder = BOOTS / "swtpm" / "drtm"
    log = decode_boot_log((folder / "txt_eventlog.bin").read_bytes())
    pcrs = banks_of(json.loads((folder / "pcrs.json").read_text(encoding="utf-8")))

    boot = verify_boot(None, pcrs, pinned=SHA256, launch_log=log)

    assert all(boot.explains(pcr, bank) for pcr in (17, 18, 19) for bank in BANKS)
    assert said(boot, "launch.explained") == [(Tier.NONE, 20)]


def test_a_launch_log_for_a_machine_that_never_launched_is_contraindicated() -> None:
    boot = verify_boot(GOOD, GOOD_PCRS, pinned=SHA256, launch_log=launch_log(banks=(SHA256,)))

    assert not boot.launched
    assert said(boot, "launch.explained") == [(Tier.CONTRAINDICATED, pcr) for pcr in (17, 18, 19)]
    assert said(boot, "boot.pcr-explained") == [(Tier.AFFIRMING, None)]


def test_the_boot_log_may_tell_of_the_launch_if_there_is_no_other_log() -> None:
    whole = appended(VM, *launch_log(banks=(SHA256,)).events)

    boot = verify_boot(whole, {SHA256: VM_PCRS[SHA256]}, pinned=SHA256)

    assert said(boot, "launch.explained") == [(Tier.AFFIRMING, None)]


def test_each_log_speaks_only_of_its_own_pcrs() -> None:
    """A launch log cannot explain PCR 7, and the boot log's word on PCR 17 does not count beside it."""
    lies = [measured(17, EventType.TBOOT_MODULE, b"lie", banks=BANKS)]
    launch = appended(launch_log(banks=(SHA256,)), *of_pcr(VM, 7))

    boot = verify_boot(appended(VM, *lies), VM_PCRS, pinned=SHA256, launch_log=launch)

    assert not unexplained(boot)
    assert len([event for event in boot.events if event.pcr == 7]) == len(of_pcr(VM, 7))
    assert b"lie" not in {event.data for event in boot.events}


@pytest.mark.parametrize("pcr", LAUNCH)
def test_the_reset_value_of_a_launch_pcr_depends_on_whether_there_was_a_launch(pcr: int) -> None:
    assert reset_values(pcr, SHA256, launched=False) == (b"\xff" * 32, bytes(32))
    assert reset_values(pcr, SHA256, launched=True) == (bytes(32),)
    assert reset_values(0, SHA384, launched=False) == (bytes(48),)


@pytest.mark.parametrize("value", [b"\xff" * 32, bytes(32)])
def test_pcr_17_at_a_reset_value_is_no_launch(value: bytes) -> None:
    boot = verify_boot(GOOD, with_value(GOOD_PCRS, SHA256, 17, value), pinned=SHA256)

    assert not boot.launched
    assert said(boot, "launch.explained") == []


def test_a_launch_pcr_that_moved_without_a_launch_is_not_explained() -> None:
    boot = verify_boot(GOOD, with_value(GOOD_PCRS, SHA256, 20, b"\x11" * 32), pinned=SHA256)

    assert said(boot, "launch.explained") == [(Tier.NONE, 20)]


# --- several logs


def test_the_log_that_explains_most_is_the_one_that_fits() -> None:
    wrong = changed(GOOD, of_pcr(GOOD, 4)[0].index, digests=digests(b"x", BANKS))

    assert fitting_log([wrong, GOOD, wrong], GOOD_PCRS, pinned=SHA256) is GOOD
    assert fitting_log([wrong], GOOD_PCRS, pinned=SHA256) is wrong
