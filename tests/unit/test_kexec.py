"""A kernel started from the running one counts where nothing but what was measured can have been started."""

from dataclasses import replace

import pytest

from bartizan.appraise.context import index_reference
from bartizan.model.digest import HashAlg
from bartizan.model.policy import GeneratedRule
from bartizan.model.reference import ReferenceEvent, ReferenceSet
from bartizan.model.result import Tier
from tests.simulator.machine import NO_REFERENCE, digests, file_line, good, judged, reference
from tests.unit.ima_lists import buf, ng
from tests.unit.kexec_side import (
    COMMAND_LINE,
    DOCUMENT,
    FIRST,
    IMA_POLICY,
    INITRAMFS,
    KERNEL,
    LOADED,
    OPTIONS,
    RULE,
    kexecs,
    line,
    policy,
    restarted,
    without,
)

UNKNOWN = file_line(b"/root/vmlinuz", b"an older kernel, signed as well")
EVIL = buf(b"kexec-cmdline", f"BOOT_IMAGE=/vmlinuz {OPTIONS} init=/bin/sh".encode())


def test_a_kernel_of_a_known_boot_that_was_measured_costs_no_level() -> None:
    result = judged(restarted(), policy=policy())

    [said] = kexecs(result)
    assert (result.level, result.contraindicated) == (judged(good(), policy=policy()).level, False)
    assert result.level == 4
    assert (said.tier, said.at.entry) == (Tier.AFFIRMING, FIRST + len(LOADED))
    for words in (
        f"kernel /boot/vmlinuz-6.1 (entry {FIRST + 1})",
        f"initramfs /boot/initrd.img-6.1 (entry {FIRST + 2})",
        f"command line BOOT_IMAGE=/vmlinuz {OPTIONS} (entry {FIRST + 3})",
        f"under the IMA policy 'ours' (entry {FIRST})",
    ):
        assert words in said.why


def test_what_was_recognised_says_what_is_not_proved() -> None:
    [said] = kexecs(judged(restarted(), policy=policy()))

    assert "not proved is that the recognised initramfs had loaded that policy" in said.why
    assert "below a mounted image" in said.why


@pytest.mark.parametrize("place", range(len(LOADED)))
def test_no_entry_of_another_pcr_proves_a_kexec(place: int) -> None:
    loaded = [replace(entry, pcr=16) if number == place else entry for number, entry in enumerate(LOADED)]

    [said] = kexecs(result := judged(restarted(*loaded), policy=policy()))

    assert (result.level, said.tier, said.at.entry) == (1, Tier.WARNING, FIRST + place)
    assert "measured before it, is of PCR 16, not 10" in said.why


def test_an_entry_of_another_pcr_beside_the_true_ones_counts_against_a_kexec() -> None:
    [said] = kexecs(judged(restarted(*LOADED, replace(KERNEL, pcr=11)), policy=policy()))

    assert (said.tier, said.at.entry) == (Tier.WARNING, FIRST + len(LOADED))


def test_a_start_in_another_pcr_is_none() -> None:
    result = judged(good().running(*LOADED, replace(good().start, pcr=16)), policy=policy())

    assert [said.why for said in kexecs(result)] == ["one kernel since the boot: boot_aggregate starts the list, once"]


def test_a_file_that_was_read_before_need_not_be_measured_again() -> None:
    assert judged(restarted(KERNEL, INITRAMFS, RULE, COMMAND_LINE), policy=policy()).level == 4


def test_a_command_line_that_was_loaded_and_not_started_is_known_too() -> None:
    result = judged(good().running(*LOADED), policy=policy())

    assert result.level == 4
    assert [said.tier for said in kexecs(result)] == [Tier.AFFIRMING]


BROKEN = {
    "no command line was measured": (without(COMMAND_LINE), "no command line was measured", None),
    "another command line": ((*without(COMMAND_LINE), EVIL), "no known boot: BOOT_IMAGE=/vmlinuz console", 3),
    "another command line that was loaded before": ((*without(COMMAND_LINE), EVIL, COMMAND_LINE), "init=/bin/sh", 3),
    "another command line that was loaded last": ((*LOADED, EVIL), "init=/bin/sh", 4),
    "a command line of which only the digest was measured": (
        (*without(COMMAND_LINE), ng(b"kexec-cmdline")),
        "cannot be read",
        3,
    ),
    "a command line that lacks a word": ((*without(COMMAND_LINE), line(OPTIONS[8:])), "no known boot", 3),
    "a command line with its words in another order": (
        (*without(COMMAND_LINE), line(" ".join(reversed(OPTIONS.split())))),
        "no known boot",
        3,
    ),
    "no kernel": (without(KERNEL), "no kernel of a known boot", None),
    "no initramfs": (without(INITRAMFS), "no initramfs of a known boot", None),
    "another kernel": ((RULE, UNKNOWN, INITRAMFS, COMMAND_LINE), "/root/vmlinuz, measured before it, is not known", 1),
    "another kernel beside the known one": ((*LOADED, UNKNOWN), "/root/vmlinuz, measured before it", 4),
    "a file that may have been written meanwhile": (
        (*LOADED, ng(b"/boot/initrd.img-6.1", violation=True)),
        "could not vouch for /boot/initrd.img-6.1",
        4,
    ),
    "a known path under another digest": (
        (*LOADED, file_line(b"/usr/bin/cut", b"evil")),
        "/usr/bin/cut, measured before it",
        4,
    ),
    "no IMA policy that is named": (without(RULE), "no IMA policy that the policy names", None),
    "the IMA policy of somebody else": (
        (file_line(b"/etc/ima/ima-policy", b"measure func=KEXEC_CMDLINE\n"), *without(RULE)),
        "no IMA policy that the policy names",
        None,
    ),
    "a command line with the IMA policy's bytes": (
        (buf(b"kexec-cmdline", IMA_POLICY.encode()), *without(RULE)),
        "no IMA policy that the policy names",
        None,
    ),
    "an IMA policy that came after the kernel": ((*without(RULE), RULE), "before the IMA policy that measures it", 3),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_kexec_is_not_recognised_with(case: str) -> None:
    loaded, words, at = BROKEN[case]

    result = judged(restarted(*loaded), policy=policy())

    [said] = kexecs(result)
    assert (result.level, said.tier) == (1, Tier.WARNING)
    assert "another boot_aggregate" in said.why
    assert words in said.why
    assert said.at.entry == FIRST + (len(loaded) if at is None else at)


def test_a_policy_that_names_no_ima_policy_counts_no_kexec() -> None:
    [said] = kexecs(result := judged(restarted()))

    assert (result.level, said.tier) == (1, Tier.WARNING)
    assert "the policy names no IMA policy" in said.why


def test_without_reference_values_no_kexec_counts() -> None:
    [said] = kexecs(judged(restarted(), policy=policy(), known=NO_REFERENCE))

    assert "no Reference Values" in said.why


def test_a_start_that_the_kernel_did_not_write_counts_for_nothing() -> None:
    forged = replace(good().start, values=(b"sha256:\0" + bytes(range(32)), good().start.values[1]))

    [said] = kexecs(result := judged(good().running(*LOADED, forged), policy=policy()))

    assert result.level == 1
    assert "boot_aggregate is not the sha256 hash over PCR 0–9" in said.why


def test_a_start_that_was_made_up_gains_nothing() -> None:
    """Root can extend PCR 10 with a boot_aggregate: then it needs all that a kexec needs, and more than without it."""
    result = judged(restarted(UNKNOWN, *LOADED, good().start, *LOADED), policy=policy())

    assert result.level == 1
    assert [said.tier for said in kexecs(result)] == [Tier.WARNING, Tier.AFFIRMING]


def test_a_second_kexec_needs_all_of_it_again() -> None:
    twice = judged(restarted(*LOADED, good().start, *LOADED), policy=policy())
    unmeasured = judged(restarted(*LOADED, good().start), policy=policy())

    assert (twice.level, [said.tier for said in kexecs(twice)]) == (4, [Tier.AFFIRMING] * 2)
    assert (unmeasured.level, [said.tier for said in kexecs(unmeasured)]) == (1, [Tier.AFFIRMING, Tier.WARNING])
    assert "no IMA policy" in kexecs(unmeasured)[1].why


def test_of_more_kexecs_than_are_told_none_is_recognised() -> None:
    result = judged(restarted(*((*LOADED, good().start) * 50), *LOADED), policy=policy())

    assert result.level == 1
    assert {said.tier for said in kexecs(result)} == {Tier.WARNING}


def test_a_boot_whose_own_kernel_is_not_known_recognises_no_other() -> None:
    [event] = [one for one in good().events if one.data.startswith(b"kernel_cmdline: ")]
    other = good().with_event(event.index, digests=digests(b"something else"))
    result = judged(restarted(*without(COMMAND_LINE), line(OPTIONS), machine=other), policy=policy())

    [said] = kexecs(result)
    assert said.tier is Tier.WARNING
    assert "of the boot, command line not recognised" in said.why


def test_a_boot_without_an_initramfs_recognises_no_kexec() -> None:
    """Nothing was there that would have loaded the IMA policy."""
    gone = {event.digests[HashAlg.SHA256] for event in reference().by_pcr[9] if event.label == "file: /initrd.img"}
    bare = good().without_event(*(one.index for one in good().events if one.digests.get(HashAlg.SHA256) in gone))

    [said] = kexecs(judged(restarted(machine=bare), policy=policy()))

    assert said.tier is Tier.WARNING
    assert "no known initramfs was measured" in said.why


def test_a_label_that_its_digest_does_not_cover_names_no_command_line() -> None:
    lie = ReferenceEvent(
        pcr=8,
        digests=digests(b"x"),
        label=f"kernel_cmdline: /vmlinuz {OPTIONS} init=/bin/sh",  # type: ignore[arg-type]
    )
    known = index_reference(reference().set, ReferenceSet(name="x", source="", events=(lie,), files=(), digest=""))

    [said] = kexecs(judged(restarted(RULE, KERNEL, INITRAMFS, EVIL), policy=policy(), known=known))

    assert "no known boot" in said.why


def test_a_file_that_a_rule_for_generated_files_covers_is_not_known_enough() -> None:
    rule = GeneratedRule(
        name="initramfs", generator="/usr/bin/cut", paths=("/boot/initrd.img-*",), needs=frozenset({"generator"})
    )
    generated = replace(policy(), generated=(rule,))

    [said] = kexecs(judged(restarted(*LOADED, file_line(b"/boot/initrd.img-7", b"own")), policy=generated))

    assert "/boot/initrd.img-7, measured before it, is not known" in said.why


def test_kernel_and_initramfs_of_known_boots_are_known_files() -> None:
    result = judged(good().running(KERNEL, INITRAMFS))

    assert result.level == 4


@pytest.mark.parametrize("algorithm", [b"sha1", b"sha512", b"md5"])
def test_the_ima_policy_is_known_in_every_algorithm_that_ima_may_use(algorithm: bytes) -> None:
    other = file_line(b"/etc/ima/ima-policy", IMA_POLICY.encode(), label=algorithm)

    found = kexecs(judged(restarted(other, *without(RULE)), policy=policy()))

    assert (found[0].tier is Tier.AFFIRMING) == (algorithm in {b"sha1", b"sha512"})


def test_a_waiver_lets_an_unrecognised_kexec_pass_and_says_so() -> None:
    waiving = policy(DOCUMENT + "[[waiver]]\ncheck = 'ima.kexec'\nreason = 'test machine'\n")

    result = judged(restarted(*without(RULE)), policy=waiving)

    assert [said.waiver for said in kexecs(result)] == ["test machine"]


@pytest.mark.parametrize(
    "label", ["grub_cmd: linux ", "grub_cmd: initrd ", "kernel_cmdline: \ud800", "kernel_cmdline: "]
)
def test_an_odd_label_of_a_set_breaks_nothing(label: str) -> None:
    odd = ReferenceEvent(pcr=8, digests={HashAlg.SHA256: bytes(32)}, label=label)
    known = index_reference(reference().set, ReferenceSet(name="x", source="", events=(odd,), files=(), digest=""))

    assert judged(restarted(), policy=policy(), known=known).level == 4
