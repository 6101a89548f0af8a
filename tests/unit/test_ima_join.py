"""A list that a kexec began anew is joined to what is held, exactly where nothing is missing between the two."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bartizan.formats.ima import decode_ima
from bartizan.model.digest import HashAlg
from bartizan.model.evidence import ReportedEvidence, VerifiedEvidence
from bartizan.model.ima import ImaList
from bartizan.verify.evidence import verify_logs
from bartizan.verify.ima_join import on_from
from tests.simulator.live_boot import LiveBoot, live
from tests.simulator.machine import file_line, quoting
from tests.unit.attested_again import ALL, GOOD, UNKNOWN, whole
from tests.unit.ima_lists import ng

MORE = [file_line(b"/usr/bin/%d" % number, b"x") for number in range(5)]
AGAIN = GOOD.kexec().running(*MORE)


def known(boot: LiveBoot = GOOD, count: int = ALL, *, ahead: int = 0) -> VerifiedEvidence:
    """What is held of a boot after so many entries, with those of the kernels before."""
    found = whole(replace(boot, begins=0), count, ahead=ahead).verified
    assert found is not None
    assert found.ima is not None
    return replace(found, ima=replace(found.ima, list=replace(found.ima.list, node_start=boot.begins)))


def joined(held: VerifiedEvidence, sent: ReportedEvidence) -> ImaList:
    found = on_from(held, sent).ima
    assert found is not None
    return found


def stays(held: VerifiedEvidence, sent: ReportedEvidence) -> bool:
    """The list is left as it was sent."""
    return on_from(held, sent).ima is sent.ima


def everything(boot: LiveBoot) -> bytes:
    return replace(boot, begins=0).list_bytes()


def test_a_list_that_begins_anew_follows_on_what_is_held() -> None:
    found = joined(known(), AGAIN.full(ALL + 6))

    assert found.columns == decode_ima(everything(AGAIN)).columns
    assert (len(found.entries), found.node_start) == (ALL + 6, ALL)


def test_what_is_joined_leads_to_pcr_10_in_every_bank() -> None:
    sent = on_from(known(), AGAIN.full(ALL + 6))
    quote = known(AGAIN, ALL + 6).quote

    _, ima = verify_logs(sent, quote)

    assert ima is not None
    assert (ima.matched, ima.pending, len(ima.agreeing)) == (ALL + 6, 0, 3)


def test_entries_that_were_ahead_of_the_last_quote_are_part_of_it() -> None:
    assert joined(known(GOOD, ALL - 5, ahead=5), AGAIN.full(ALL + 6)).node_start == ALL


def test_entries_ahead_of_this_quote_come_along() -> None:
    found = joined(known(), AGAIN.full(ALL + 2, ahead=4))

    assert (len(found.entries), found.node_start) == (ALL + 6, ALL)


def test_a_new_list_that_comes_once_more_follows_on_what_stood_before_its_kernel() -> None:
    """A suspend asks for it, or an answer that was lost."""
    held = known(AGAIN, ALL + 3)

    found = joined(held, replace(AGAIN, restarts=1).full(ALL + 6))

    assert (len(found.entries), found.node_start) == (ALL + 6, ALL)


def test_a_kernel_that_measures_the_same_again_is_told_from_the_one_before() -> None:
    """Both lists begin alike, and each is exactly as long as what is held."""
    same = replace(GOOD.kexec(), entries=(*GOOD.entries, *GOOD.entries))

    once = joined(known(), same.full(2 * ALL))
    held = known(same, 2 * ALL)
    twice = replace(same, entries=(*same.entries, *GOOD.entries), begins=2 * ALL)

    assert (len(once.entries), once.node_start) == (2 * ALL, ALL)
    assert (len(joined(held, twice.full(3 * ALL)).entries), joined(held, twice.full(3 * ALL)).node_start) == (
        3 * ALL,
        2 * ALL,
    )
    assert joined(held, same.full(2 * ALL)).node_start == ALL


def test_a_second_kexec_follows_on_the_first() -> None:
    held = known(AGAIN, len(AGAIN.entries))
    second = AGAIN.kexec().running(*MORE[:2])

    found = joined(held, second.full(len(second.entries)))

    assert (len(found.entries), found.node_start) == (ALL + 9, ALL + 6)


def test_a_list_that_the_kernel_carried_on_needs_nothing() -> None:
    carried = GOOD.kexec(carried=True).running(*MORE)

    assert stays(known(), carried.full(ALL + 6))


def test_a_list_that_no_kexec_interrupted_needs_nothing() -> None:
    assert stays(known(), GOOD.running(*MORE).full(ALL + 5))


def test_a_start_that_was_made_up_since_does_not_hide_where_the_list_begins() -> None:
    forged = AGAIN.kexec(carried=True).running(*MORE)

    found = joined(known(forged, len(forged.entries)), replace(forged, restarts=1).full(len(forged.entries)))

    assert (len(found.entries), found.node_start) == (len(forged.entries), ALL)


LOST = {
    "an entry that came between the attestation and the kexec": GOOD.running(UNKNOWN).kexec().running(*MORE),
    "a list of another boot": replace(live("attack_runtime_tamper"), resets=GOOD.resets),
    "a list without a start": replace(GOOD.running(*MORE), begins=ALL),
    "a list whose start is a violation": replace(GOOD.running(ng(b"boot_aggregate", violation=True)), begins=ALL + 1),
}


@pytest.mark.parametrize("case", LOST)
def test_nothing_is_joined_with(case: str) -> None:
    boot = LOST[case]

    assert stays(known(), boot.full(len(boot.entries)))


def test_a_list_that_was_cut_is_not_joined() -> None:
    sent = replace(AGAIN.full(ALL + 6), ima=decode_ima(AGAIN.list_bytes(0, ALL + 3)))

    assert stays(known(), sent)


def test_a_reset_of_the_tpm_ends_what_is_held() -> None:
    assert stays(known(), replace(AGAIN, resets=8).full(ALL + 6))


def test_what_never_led_to_pcr_10_is_not_gone_on_from() -> None:
    broken = replace(known(), ima=replace(held, matched=None) if (held := known().ima) else None)

    assert stays(broken, AGAIN.full(ALL + 6))
    assert stays(replace(known(), ima=None), AGAIN.full(ALL + 6))


def test_a_machine_that_sends_no_list_gets_none() -> None:
    sent = replace(AGAIN.full(ALL + 6), ima=None)

    assert on_from(known(), sent).ima is None


def test_the_pinned_bank_decides() -> None:
    """Another bank that leads there proves nothing."""
    sent = AGAIN.full(ALL + 6)
    wrong = {bank: {**values, 10: bytes(bank.size)} for bank, values in sent.untrusted_pcrs.items()}
    others = {bank: sent.untrusted_pcrs[bank] for bank in sent.untrusted_pcrs if bank is not HashAlg.SHA256}

    assert stays(known(), quoting(sent, {**others, HashAlg.SHA256: wrong[HashAlg.SHA256]}))
    assert stays(known(), quoting(sent, others))
    assert not stays(known(), quoting(sent, {**wrong, HashAlg.SHA256: sent.untrusted_pcrs[HashAlg.SHA256]}))


def test_a_list_with_digests_of_another_size_is_not_joined() -> None:
    sent = AGAIN.full(ALL + 6)
    assert sent.ima is not None

    assert stays(known(), replace(sent, ima=replace(sent.ima, digest_size=32)))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=5))
@settings(max_examples=60)
def test_lists_join_through_any_kexecs_as_long_as_each_kernel_was_attested_to_its_end(
    kernels: list[tuple[int, int, int]],
) -> None:
    """Each kernel measures so many files, some unattested when the next one starts, and shows some twice."""
    boot, held = GOOD, known()
    for files, lost, again in kernels:
        boot = boot.running(*MORE[:lost]).kexec().running(*MORE[:files])
        for _ in range(1 + again):
            sent = on_from(held, boot.full(len(boot.entries)))
            if lost:
                assert sent.ima is not None
                assert (len(sent.ima.entries), sent.ima.node_start) == (1 + files, 0)
                return
            assert sent.ima is not None
            assert sent.ima.columns == decode_ima(everything(boot)).columns
            assert sent.ima.node_start == boot.begins
            held = known(boot, len(boot.entries))
