"""A later quote that does not hold is refused; one that does not go on from what is known needs full logs."""

from dataclasses import replace
from datetime import timedelta

import pytest

from bartizan.app.attest_again import Again, NeedsFullLogs, ReportedAgain, attest_again, begin
from bartizan.app.attest_node import attest_node
from bartizan.errors import DecodeError, VerifyError
from bartizan.formats.tpm2 import decode_signature
from bartizan.model.digest import HashAlg
from bartizan.model.evidence import Activation
from bartizan.verify.identity import TPM_RH_ENDORSEMENT, qualified_name
from tests.simulator.live_boot import CLOCK
from tests.simulator.machine import AK, CHALLENGE, ENROLMENT, SIGNER
from tests.simulator.tpm_ca import NOW
from tests.unit.attested_again import ALL, GOOD, HALF, RULES, again, alike, asked, of, refused_because, started, whole
from tests.unit.ima_lists import ng


def test_a_reused_nonce_is_refused() -> None:
    assert refused_because(started(), GOOD.again(ALL, ALL), challenge=replace(CHALLENGE, extra_data=b"another")) == (
        "quote.extra-data"
    )


def test_another_signature_is_refused() -> None:
    sent = GOOD.again(ALL, ALL)
    signature = decode_signature(SIGNER.sign(b"something else").encode())

    assert refused_because(started(), replace(sent, quote=replace(sent.quote, signature=signature))) == (
        "quote.signature"
    )


def test_other_values_than_the_quoted_ones_are_refused() -> None:
    sent = replace(GOOD.again(ALL, ALL), untrusted_pcrs=GOOD.pcrs(ALL - 1))

    assert refused_because(started(), sent) == "quote.pcr-digest"


@pytest.mark.parametrize("older", [{"clock": CLOCK - 1}, {"resets": 6}])
def test_a_quote_from_before_is_refused(older: dict[str, int]) -> None:
    boot = replace(GOOD, resets=older.get("resets", GOOD.resets))

    assert refused_because(started(), boot.again(ALL, ALL, clock=older.get("clock", CLOCK))) == "quote.clock"


def test_a_certificate_outside_of_its_time_is_refused() -> None:
    state = started()
    early = max(certificate.not_before for certificate in state.complete().identity.path) - timedelta(days=1)

    found = attest_again(state, GOOD.again(ALL, ALL), challenge=CHALLENGE, rules=RULES, now=early)

    assert isinstance(found, Again)
    assert [finding.id for finding in found.result.findings] == ["identity.ek-chain"]


PRIMARY = qualified_name(TPM_RH_ENDORSEMENT, AK)


def test_another_qualified_signer_has_to_prove_itself() -> None:
    sent = replace(GOOD.again(ALL, ALL), quote=GOOD.quote(GOOD.pcrs(ALL), signer=PRIMARY))
    shown = replace(ENROLMENT, activation=Activation.SHOWN)
    evidence = attest_node(GOOD.full(ALL), challenge=CHALLENGE, enrolment=shown, rules=RULES, now=NOW)

    found = again(begin(evidence, enrolment=shown, rules=RULES, now=NOW), sent)

    assert refused_because(started(), sent) == "identity.ak-residency"
    assert found.result.level == 4
    assert "endorsement hierarchy" in of(found.result, "identity.ak-residency")[0].why


@pytest.mark.parametrize("started_again", [{"resets": 8}, {"restarts": 1}])
def test_another_start_needs_full_logs(started_again: dict[str, int]) -> None:
    found = asked(started(), replace(GOOD, **started_again).again(ALL, ALL))  # type: ignore[arg-type]  # by name

    assert isinstance(found, NeedsFullLogs)
    assert "was started" in found.reason


@pytest.mark.parametrize("pcr", [0, 7, 9, 11, 15, 17, 22])
def test_a_boot_pcr_that_changed_needs_full_logs(pcr: int) -> None:
    static = {bank: {**values, pcr: b"\x01" * bank.size} for bank, values in GOOD.static.items()}

    found = asked(started(), replace(GOOD, static=static).again(ALL, ALL))

    assert isinstance(found, NeedsFullLogs)
    assert f"PCR {pcr} of the" in found.reason


def test_an_entry_that_goes_into_a_boot_pcr_needs_full_logs() -> None:
    boot = GOOD.running(ng(b"/opt/unknown", pcr=11))

    assert isinstance(asked(started(), boot.again(ALL, ALL + 1)), NeedsFullLogs)


def test_a_debug_pcr_may_change() -> None:
    static = {bank: {**values, 16: b"\x01" * bank.size} for bank, values in GOOD.static.items()}

    assert again(started(), replace(GOOD, static=static).again(ALL, ALL)).result.level == 4


def test_another_selection_needs_full_logs() -> None:
    banks = {HashAlg.SHA256: GOOD.static[HashAlg.SHA256]}
    fewer = {bank: {pcr: values[pcr] for pcr in range(11)} for bank, values in GOOD.static.items()}

    for static, why in ((banks, "other banks"), (fewer, "other PCRs")):
        challenge = replace(CHALLENGE, selection={bank: frozenset(values) for bank, values in static.items()})
        found = asked(started(), replace(GOOD, static=static).again(ALL, ALL), challenge=challenge)
        assert isinstance(found, NeedsFullLogs)
        assert why in found.reason


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (replace(GOOD.again(HALF, ALL), new_entries=b""), "PCR 10 was extended"),
        (GOOD.again(HALF + 1, ALL), f"from {HALF} on expected, found those from {HALF + 1} on"),
        (GOOD.again(HALF - 1, ALL), f"from {HALF} on expected, found those from {HALF - 1} on"),
    ],
)
def test_entries_that_do_not_follow_on_need_full_logs(sent: ReportedAgain, why: str) -> None:
    found = asked(started(GOOD, HALF), sent)

    assert isinstance(found, NeedsFullLogs)
    assert why in found.reason


def test_a_node_without_a_list_stays_without_one_or_sends_it_whole() -> None:
    evidence = replace(GOOD.full(HALF), ima=None)
    outcome = attest_node(evidence, challenge=CHALLENGE, enrolment=ENROLMENT, rules=RULES, now=NOW)
    state = begin(outcome, enrolment=ENROLMENT, rules=RULES, now=NOW)

    same = again(state, replace(GOOD.again(HALF, HALF + 1), new_entries=b""))

    assert same.result is state.result
    assert isinstance(asked(state, GOOD.again(0, ALL)), NeedsFullLogs)
    assert alike(
        again(state, replace(GOOD.again(HALF, HALF), first_entry=0), rules=replace(RULES)).result, state.result
    )


def test_entries_that_are_none_are_refused() -> None:
    with pytest.raises(DecodeError):
        asked(started(GOOD, HALF), replace(GOOD.again(HALF, ALL), new_entries=b"junk"))


def test_nothing_begins_with_an_outcome_that_proved_nothing() -> None:
    challenge = replace(CHALLENGE, extra_data=b"another")
    outcome = attest_node(GOOD.full(ALL), challenge=challenge, enrolment=ENROLMENT, rules=RULES, now=NOW)

    with pytest.raises(ValueError, match="begins nothing"):
        begin(outcome, enrolment=ENROLMENT, rules=RULES, now=NOW)


def test_a_state_is_not_replaced_by_an_older_one() -> None:
    with pytest.raises(VerifyError, match="clock went back"):
        begin(whole(GOOD, ALL, clock=CLOCK - 1), enrolment=ENROLMENT, rules=RULES, now=NOW, previous=started())
