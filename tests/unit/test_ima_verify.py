"""An IMA list is held against PCR values: how much of it the TPM vouches for."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from bartizan.formats.ima import decode_ima
from bartizan.model.digest import HashAlg, PcrBanks
from bartizan.model.result import Anchor, Claim, Tier
from bartizan.verify import ima_replay
from bartizan.verify.ima import replay_ima, verify_ima
from bartizan.verify.ima_outcome import CHECKS
from bartizan.verify.ima_start import MAX_POINTED
from tests.unit.ima_lists import BOOTS, RECORDED, VECTORS, Line, banks, binary, boot, extended, ng, sha1, sha256
from tests.unit.ima_verified import (
    LINES,
    SHA1,
    SHA256,
    SHA384,
    SM3,
    aggregate,
    finding,
    findings,
    pcrs_after,
    tiers,
    verified,
)


@pytest.mark.parametrize("name", BOOTS)
@pytest.mark.parametrize("pinned", [SHA1, SHA256, SHA384])
def test_each_recorded_boot_fits_its_pcr_10_in_every_bank(name: str, pinned: HashAlg) -> None:
    raw, pcrs = boot(name)
    ima = decode_ima(raw)

    result = verify_ima(ima, pcrs, pinned=pinned)

    assert (result.matched, result.pending, result.aggregate_matches) == (len(ima.entries), 0, True)
    assert result.zero_padded == (pinned is SHA384)
    assert finding(result, "strength").tier is (Tier.AFFIRMING if pinned is SHA256 else Tier.WARNING)
    assert tiers(result) | {"strength": Tier.AFFIRMING} == dict.fromkeys(
        ("replays", "strength", "other-bank", "boot-aggregate", "kexec"), Tier.AFFIRMING
    )


def test_there_are_recorded_boots() -> None:
    assert "good" in BOOTS


@pytest.mark.parametrize("pinned", [SHA1, SHA256, SHA384])
def test_a_real_machine_with_a_sha1_boot_aggregate_fits(pinned: HashAlg) -> None:
    ima = decode_ima((VECTORS / "ima" / "immune-ludmilla-2.bin").read_bytes())
    pcrs = banks((VECTORS / "ima" / "immune-ludmilla-2.pcrs.json").read_text("utf-8"))

    result = verify_ima(ima, pcrs, pinned=pinned)

    assert (result.matched, result.zero_padded, result.aggregate_matches) == (1, False, True)
    assert finding(result, "boot-aggregate").why == "boot_aggregate is the sha1 hash over PCR 0–7 of this boot"


COLUMNS_THAT_LIE = {"keylime-unknown.ascii": 1, "keylime-sm3_256.ascii": 0 if ima_replay.computable(SM3) else 1}
"""Made-up lists; the column of the second is SM3."""


@pytest.mark.parametrize("name", RECORDED)
def test_the_template_digests_of_recorded_lists_are_those_of_their_data(name: str) -> None:
    ima = decode_ima((VECTORS / "ima" / name).read_bytes())

    result = verify_ima(ima, {}, pinned=SHA256)

    assert len(findings(result, "template-digest")) == COLUMNS_THAT_LIE.get(name, 0)
    assert len(findings(result, "list-form")) == int(name == "keylime-unknown.ascii")
    assert finding(result, "replays").tier is Tier.NONE
    assert result.matched is None


def test_every_finding_is_of_a_named_check_and_about_the_file_system() -> None:
    result = verified(LINES, pcrs_after(LINES[:3], SHA1, SHA256, SHA384, padded=[SHA384]))

    assert {found.id for found in result.findings} <= CHECKS
    assert {(found.claim, found.anchor) for found in result.findings} == {(Claim.FILE_SYSTEM, Anchor.TPM)}


def test_a_list_that_replays_affirms() -> None:
    result = verified(LINES)

    assert (result.matched, result.pending, result.zero_padded, result.aggregate_matches) == (4, 0, False, True)
    assert finding(result, "replays").why == "4 of 4 entries replay to PCR 10"
    assert set(tiers(result).values()) == {Tier.AFFIRMING}


@pytest.mark.parametrize("ascii_form", [False, True])
def test_both_forms_replay_alike(ascii_form: bool) -> None:
    assert verified(LINES, ascii_form=ascii_form).matched == 4


@pytest.mark.parametrize("alg", [SHA1, SHA256, SHA384, HashAlg.SHA512, HashAlg.SHA3_256])
def test_replay_gives_the_pcr_after_each_entry(alg: HashAlg) -> None:
    ima = decode_ima(binary(LINES))

    assert list(replay_ima(ima, alg)) == [extended(LINES[:size], alg) for size in range(1, 5)]
    assert list(replay_ima(ima, alg, zero_padded_sha1=True)) == [
        extended(LINES[:size], alg, padded=True) for size in range(1, 5)
    ]


def test_replay_of_another_pcr_leaves_out_the_rest() -> None:
    ima = decode_ima(binary([ng(b"/a"), ng(b"/b", pcr=11), ng(b"/c")]))

    assert list(replay_ima(ima, SHA256, pcr=11)) == [
        bytes(32),
        *[extended([ng(b"/b", pcr=11)], SHA256, pcr=11)] * 2,
    ]


def test_entries_after_the_quote_are_pending() -> None:
    result = verified(LINES, pcrs_after(LINES[:3]))

    assert (result.matched, result.pending) == (3, 1)
    assert finding(result, "pending").why == "1 entries were added after the quote; they count next time"
    assert finding(result, "pending").tier is Tier.AFFIRMING
    assert finding(result, "pending").at.entry == 3


@pytest.mark.parametrize(
    "lines",
    [
        [LINES[0], *LINES[2:]],
        [LINES[0], LINES[2], LINES[1], LINES[3]],
        [*LINES[:3], ng(b"/other", b"\x02" * 32)],
        [*LINES[:2], ng(b"/v"), LINES[3]],
        LINES[:3],
        LINES[1:],
    ],
    ids=["removed", "swapped", "renamed", "a violation hidden", "cut", "start lost"],
)
def test_a_list_that_is_not_the_measured_one_is_contraindicated(lines: list[Line]) -> None:
    result = verified(lines, pcrs_after(LINES))

    assert (result.matched, result.pending) == (None, 0)
    assert finding(result, "replays").tier is Tier.CONTRAINDICATED
    assert (finding(result, "replays").at.pcr, finding(result, "replays").at.bank) == (10, "sha256")
    assert not findings(result, "strength")
    assert not findings(result, "pending")


def test_a_mismatch_names_both_values() -> None:
    held = extended(LINES, SHA256)
    reached = extended(LINES[1:], SHA256)

    why = finding(verified(LINES[1:], pcrs_after(LINES)), "replays").why

    assert f"3 entries replay to {reached.hex()[:16]}…, the TPM holds {held.hex()[:16]}…" in why


def test_a_pcr_that_was_never_extended_vouches_for_nothing() -> None:
    lines = [ng(b"/other", pcr=11), *LINES]

    result = verified(lines, {SHA256: {10: bytes(32)}})

    assert result.matched is None
    assert finding(result, "replays").tier is Tier.CONTRAINDICATED
    assert "never extended" in finding(result, "replays").why


def test_without_the_pinned_bank_nothing_is_proved() -> None:
    result = verified(LINES, pcrs_after(LINES, SHA1))

    assert result.matched is None
    assert finding(result, "replays").tier is Tier.NONE
    assert finding(result, "other-bank").why == "4 entries replay to PCR 10 of the sha1 bank"


def test_a_hash_that_is_not_available_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hashlib.algorithms_available", {"sha1", "sha256"})
    pcrs = {SM3: {10: b"\x01" * 32}}

    pinned = verified(LINES, pcrs, pinned=SM3)
    other = verified(LINES, {**pcrs_after(LINES), **pcrs})

    assert finding(pinned, "replays").tier is Tier.NONE
    assert not findings(other, "other-bank")


def test_a_bank_of_padded_sha1_digests_is_recognised_and_weak() -> None:
    result = verified(LINES, pcrs_after(LINES, SHA256, padded=[SHA256]))

    assert (result.matched, result.zero_padded) == (4, True)
    assert finding(result, "strength").tier is Tier.WARNING
    assert "SHA-1 strength" in finding(result, "strength").why


def test_the_sha1_bank_is_weak() -> None:
    result = verified(LINES, pcrs_after(LINES, SHA1), pinned=SHA1)

    assert (result.matched, result.zero_padded) == (4, False)
    assert finding(result, "strength").tier is Tier.WARNING


def test_other_banks_are_compared() -> None:
    pcrs = pcrs_after(LINES, SHA256, SHA1, SHA384, HashAlg.SHA512, padded=[SHA384])
    broken = {**pcrs, SHA1: {10: b"\x01" * 20}, SHA384: pcrs_after(LINES[:2], SHA384)[SHA384], HashAlg.SHA512: {0: b""}}

    assert [(found.at.bank, found.tier, found.why) for found in findings(verified(LINES, pcrs), "other-bank")] == [
        ("sha1", Tier.AFFIRMING, "the sha1 bank agrees"),
        (
            "sha384",
            Tier.AFFIRMING,
            "the sha384 bank agrees, at SHA-1 strength: it holds SHA-1 template digests padded with zeros",
        ),
        ("sha512", Tier.AFFIRMING, "the sha512 bank agrees"),
    ]
    assert [(found.at.bank, found.tier, found.why) for found in findings(verified(LINES, broken), "other-bank")] == [
        ("sha1", Tier.WARNING, "PCR 10 of the sha1 bank is not what the list replays to"),
        ("sha384", Tier.WARNING, "2 entries replay to PCR 10 of the sha384 bank"),
    ]
    assert verified(LINES, broken).matched == 4


OTHER = [aggregate(), ng(b"/a", pcr=11), ng(b"/b"), ng(b"/c", pcr=11), ng(b"/d", pcr=12), ng(b"/e", pcr=11)]


def other_pcrs(lines: Sequence[Line], *pcrs: int) -> PcrBanks:
    return {SHA256: {**pcrs_after(lines)[SHA256], **{pcr: extended(lines, SHA256, pcr=pcr) for pcr in pcrs}}}


def test_other_pcrs_that_entries_extend_are_replayed_too() -> None:
    result = verified(OTHER, other_pcrs(OTHER, 11, 12))

    assert (result.matched, result.pending) == (6, 0)
    assert [(found.at.pcr, found.tier) for found in findings(result, "other-pcr")] == [
        (11, Tier.AFFIRMING),
        (12, Tier.AFFIRMING),
    ]


def test_entries_of_other_pcrs_after_the_quote_are_pending() -> None:
    result = verified(OTHER, other_pcrs(OTHER[:4], 11, 12))

    assert (result.matched, result.pending) == (4, 2)
    assert {found.tier for found in findings(result, "other-pcr")} == {Tier.AFFIRMING}


@pytest.mark.parametrize("held", [{}, {11: b"\x01" * 32}], ids=["not quoted", "another value"])
def test_entries_of_a_pcr_that_does_not_fit_are_vouched_for_by_nothing(held: dict[int, bytes]) -> None:
    pcrs = {SHA256: {**other_pcrs(OTHER, 12)[SHA256], **held}}

    result = verified(OTHER, pcrs)

    assert [(found.at.pcr, found.tier) for found in findings(result, "other-pcr")] == [
        (11, Tier.WARNING),
        (12, Tier.AFFIRMING),
    ]
    assert finding(result, "replays").tier is Tier.AFFIRMING


def test_a_pcr_that_software_can_reset_vouches_for_nothing() -> None:
    lines = [aggregate(), ng(b"/a", pcr=16)]

    result = verified(lines, other_pcrs(lines, 16))

    assert finding(result, "other-pcr").tier is Tier.WARNING


def test_a_lie_in_the_lists_own_column_is_seen_and_not_replayed() -> None:
    lines = [*LINES[:3], replace(LINES[3], column=sha1(b"another file"))]

    result = verified(lines)

    lie = finding(result, "template-digest")
    assert (lie.tier, lie.at.entry, lie.at.path) == (Tier.CONTRAINDICATED, 3, "/b")
    assert finding(result, "replays").tier is Tier.AFFIRMING


def test_a_violation_may_not_be_made_a_measurement_or_the_reverse() -> None:
    hidden = [LINES[0], replace(LINES[2], violation=False)]
    invented = [LINES[0], replace(LINES[1], violation=True)]

    assert verified(hidden, pcrs_after([LINES[0], LINES[2]])).matched is None
    assert verified(invented, pcrs_after(LINES[:2])).matched is None


def test_only_the_first_lies_are_pointed_at() -> None:
    lines = [aggregate(), *[replace(ng(b"/a"), column=b"\x01" * 20)] * (MAX_POINTED + 2)]

    lies = findings(verified(lines), "template-digest")

    assert len(lies) == MAX_POINTED + 1
    assert (lies[-1].at.entry, lies[-1].why[:12]) == (None, "2 more entri")


def test_a_path_in_a_finding_is_inert() -> None:
    lie = replace(ng(b"/\x1b[31m\xff\n<b>"), column=b"\x01" * 20)

    assert finding(verified([aggregate(), lie]), "template-digest").at.path == "/\\x1b[31m\\xff\\n<b>"


def test_the_algorithm_of_a_wide_column_is_found() -> None:
    available = [alg for alg in (SHA256, SM3, HashAlg.SHA3_256) if ima_replay.computable(alg)]

    for alg in available:
        result = verify_ima(decode_ima(binary(LINES, alg.digest)), pcrs_after(LINES), pinned=SHA256)
        assert not findings(result, "template-digest")


def test_a_wide_column_that_fits_nothing_is_a_lie() -> None:
    lines = [replace(ng(b"/v", violation=True), column=bytes(32)), replace(ng(b"/a"), column=b"\x01" * 32)]

    assert finding(verified(lines), "template-digest").at.entry == 1


def test_a_list_of_violations_only_has_nothing_to_compare() -> None:
    assert not findings(verified([ng(b"/v", violation=True)]), "template-digest")


def test_the_wide_list_of_one_machine_leads_to_the_same_pcr() -> None:
    narrow, wide = (decode_ima((VECTORS / "ima" / f"ibmtss-{alg}.bin").read_bytes()) for alg in ("sha1", "sha256"))
    *_, end = replay_ima(narrow, SHA256)

    result = verify_ima(wide, {SHA256: {10: end}}, pinned=SHA256)

    assert result.matched == len(wide.entries)
    assert wide.entries[0].reported_template_digest == sha256(wide.entries[0].template_data or b"")


def test_sha1_is_computed_where_it_is_refused_without_a_word_of_its_use(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_data: bytes) -> None:
        raise ValueError("disabled for FIPS")

    monkeypatch.setattr("hashlib.sha1", refuse)
    ima_replay.constructor.cache_clear()

    found = ima_replay.constructor(SHA1)(b"data").digest()

    ima_replay.constructor.cache_clear()
    assert found == SHA1.digest(b"data")
