"""How a list starts: boot_aggregate against the boot PCRs, kexec, and entries that cannot be read."""

import re
from dataclasses import replace

import pytest

from bartizan.formats.ima import decode_ima
from bartizan.model.digest import HashAlg
from bartizan.model.result import Tier
from bartizan.verify.ima import verify_ima
from bartizan.verify.ima_start import MAX_POINTED
from tests.unit.ima_lists import Line, binary, d_ng, extended, ng
from tests.unit.ima_verified import (
    BOOT_PCRS,
    LINES,
    SHA1,
    SHA256,
    SHA384,
    aggregate,
    finding,
    findings,
    pcrs_after,
    verified,
)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (aggregate(), "the sha256 hash over PCR 0–9"),
        (aggregate(SHA256, range(8)), "the sha256 hash over PCR 0–7"),
        (aggregate(SHA384), "the sha384 hash over PCR 0–9"),
        (aggregate(SHA1, range(8)), "the sha1 hash over PCR 0–7"),
    ],
)
def test_boot_aggregate_is_the_hash_over_the_boot_pcrs_of_its_own_bank(line: Line, why: str) -> None:
    pcrs = pcrs_after([line], SHA1, SHA256, SHA384)

    result = verified([line], pcrs)

    assert result.aggregate_matches is True
    assert why in finding(result, "boot-aggregate").why
    assert finding(result, "boot-aggregate").tier is Tier.AFFIRMING


@pytest.mark.parametrize("line", [aggregate(SHA1, range(10)), aggregate(SHA256, range(9)), aggregate(SHA256, range(0))])
def test_a_boot_aggregate_of_another_boot_is_contraindicated(line: Line) -> None:
    result = verified([line], pcrs_after([line], SHA1, SHA256))

    assert result.aggregate_matches is False
    found = finding(result, "boot-aggregate")
    assert (found.tier, found.at.entry) == (Tier.CONTRAINDICATED, 0)
    assert re.search("another boot, or PCR 0–[79] do not hold what they held when it began$", found.why)


def test_boot_aggregate_is_checked_against_the_boot_pcrs_that_are_given() -> None:
    ima = decode_ima(binary(LINES))
    held = {SHA256: {10: extended(LINES, SHA256)}}
    other = {SHA256: dict.fromkeys(range(10), b"\x01" * 32)}

    assert verify_ima(ima, held, pinned=SHA256).aggregate_matches is None
    assert verify_ima(ima, held, pinned=SHA256, boot_pcrs=BOOT_PCRS).aggregate_matches is True
    assert verify_ima(ima, pcrs_after(LINES), pinned=SHA256, boot_pcrs=other).aggregate_matches is False


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (aggregate(HashAlg.SHA512), "PCR 0–9 of sha512 are not there"),
        (aggregate(label=b"whirl"), "whirl is not known"),
        (Line("ima-ng", (d_ng(bytes(32)), b"boot_aggregate\0"), b""), "the kernel had no TPM"),
    ],
)
def test_a_boot_aggregate_that_cannot_be_checked_is_a_warning(line: Line, why: str) -> None:
    result = verified([line])

    assert result.aggregate_matches is None
    assert finding(result, "boot-aggregate").tier is Tier.WARNING
    assert why in finding(result, "boot-aggregate").why


def test_a_boot_aggregate_needs_all_its_pcrs() -> None:
    pcrs = pcrs_after(LINES)
    without = {SHA256: {pcr: value for pcr, value in pcrs[SHA256].items() if pcr != 8}}

    assert verified(LINES, without).aggregate_matches is None


def test_one_start_affirms() -> None:
    assert finding(verified(LINES), "kexec").tier is Tier.AFFIRMING


@pytest.mark.parametrize("first", [ng(b"/a"), replace(aggregate(), pcr=11)], ids=["another entry", "another PCR"])
def test_a_list_without_its_start_was_lost(first: Line) -> None:
    result = verified([first, ng(b"/b")])

    found = finding(result, "kexec")
    assert (found.tier, found.at.entry) == (Tier.WARNING, 0)
    assert "does not start with boot_aggregate" in found.why
    assert result.aggregate_matches is None
    assert not findings(result, "boot-aggregate")


def test_a_second_boot_aggregate_means_kexec() -> None:
    found = finding(verified([*LINES, aggregate(), ng(b"/c")]), "kexec")

    assert (found.tier, found.at.entry) == (Tier.WARNING, 4)
    assert "kexec" in found.why


def test_a_lost_start_does_not_hide_a_kexec() -> None:
    found = findings(verified([ng(b"/a"), aggregate()]), "kexec")

    assert [(one.tier, one.at.entry) for one in found] == [(Tier.WARNING, 0), (Tier.WARNING, 1)]


def test_only_the_first_kexecs_are_pointed_at() -> None:
    assert len(findings(verified([aggregate()] * (MAX_POINTED + 2)), "kexec")) == MAX_POINTED


UNKNOWN = Line("ima-future", (b"\x01", b"\x02"), b"01 02")


def test_an_unknown_template_replays_in_binary_form_and_is_said() -> None:
    lines = [*LINES, UNKNOWN]

    result = verified(lines)

    assert result.matched == 5
    form = finding(result, "list-form")
    assert (form.tier, form.at.entry) == (Tier.CONTRAINDICATED, 4)
    assert form.why == "template ima-future holds no file digest that Bartizan can read"


def test_an_unknown_template_cannot_be_replayed_from_the_ascii_form() -> None:
    lines = [*LINES, UNKNOWN, ng(b"/after")]

    whole = verified(lines, ascii_form=True)
    before = verified(lines, pcrs_after(LINES), ascii_form=True)

    assert whole.matched is None
    assert finding(whole, "replays").tier is Tier.WARNING
    assert finding(whole, "replays").at.entry == 4
    assert (before.matched, before.pending) == (4, 2)


def test_an_unknown_template_at_the_start_leaves_nothing_to_replay() -> None:
    result = verified([UNKNOWN], {SHA256: {10: b"\x01" * 32}}, ascii_form=True)

    assert finding(result, "replays").tier is Tier.WARNING


@pytest.mark.parametrize(
    ("digest", "why"),
    [
        (d_ng(bytes(range(32)), b"whirl"), "hash algorithm whirl is not known"),
        (d_ng(bytes(range(31))), "a sha256 digest has 32 bytes, not 31"),
    ],
)
def test_a_digest_that_cannot_be_compared_is_said(digest: bytes, why: str) -> None:
    result = verified([aggregate(), Line("ima-ng", (digest, b"/a\0"), b"")])

    assert (finding(result, "list-form").why, finding(result, "list-form").tier) == (why, Tier.WARNING)


def test_digests_that_can_be_compared_are_not_remarked_on() -> None:
    lines = [
        aggregate(),
        Line("ima-sigv2", (d_ng(bytes(range(32)), b"verity:sha256"), b"/v\0", b""), b""),
        Line("ima-ng", (d_ng(bytes(range(32)), b"sm3-256"), b"/s\0"), b""),
        Line("ima-ng", (d_ng(bytes(range(48)), b"sha3-384"), b"/t\0"), b""),
        Line("ima-ng", (d_ng(bytes(20)), b"/v\0"), b"", violation=True),
    ]

    assert not findings(verified(lines), "list-form")


def test_a_violation_of_an_unknown_template_is_said() -> None:
    assert findings(verified([aggregate(), replace(UNKNOWN, violation=True)]), "list-form")


def test_only_the_first_unread_entries_are_pointed_at() -> None:
    forms = findings(verified([aggregate(), *[UNKNOWN] * (MAX_POINTED + 1)]), "list-form")

    assert (len(forms), forms[-1].why) == (MAX_POINTED + 1, "1 more entries hold no digest that can be compared")
