"""A kernel started from the running one counts where nothing but what was measured can have been started."""

from dataclasses import replace

import pytest

from bartizan.appraise.context import index_reference
from bartizan.model.digest import HashAlg
from bartizan.model.policy import GeneratedRule
from bartizan.model.reference import ReferenceEvent, ReferenceSet
from bartizan.model.result import AttestationResult, Tier
from tests.simulator.machine import NO_REFERENCE, Machine, digests, file_line, good, judged, reference, reference_set
from tests.unit.cases_platform import SECURE_BOOT, secure_boot_is
from tests.unit.ima_lists import Line, buf, ng
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
    policy,
    restarted,
)

UNKNOWN = file_line(b"/root/vmlinuz", b"an older kernel, signed as well")
EVIL = buf(b"kexec-cmdline", f"BOOT_IMAGE=/vmlinuz {OPTIONS} init=/bin/sh".encode())


def line(text: str) -> Line:
    return buf(b"kexec-cmdline", text.encode())


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


@pytest.mark.parametrize("files", [(KERNEL, INITRAMFS), (INITRAMFS, KERNEL)])
@pytest.mark.parametrize(
    "text", [OPTIONS, f"BOOT_IMAGE=/boot/vmlinuz-6.1 {OPTIONS}", f"/vmlinuz {OPTIONS}", f" {OPTIONS} "]
)
def test_the_options_of_a_known_boot_count_whatever_file_stands_before_them(
    text: str, files: tuple[Line, Line]
) -> None:
    assert judged(restarted(RULE, *files, line(text)), policy=policy()).level == 4


@pytest.mark.parametrize(
    "text",
    [
        *(f"/x{blank}init=/bin/sh{blank}apparmor=0 {OPTIONS}" for blank in "\t\n\v\f\r\xa0"),
        f'BOOT_IMAGE=/x" {OPTIONS}',
        f'BOOT_IMAGE=" {OPTIONS}',
        f"BOOT_IMAGE=/x' {OPTIONS}",
        f"/x\\ {OPTIONS}",
        f"/x=init=/bin/sh {OPTIONS}",
        f"BOOT_IMAGE=init=/bin/sh {OPTIONS}",
        f"(hd0 {OPTIONS}",
        f"/{'x' * 256} {OPTIONS}",
        f"/x -- {OPTIONS}",
    ],
)
def test_a_first_word_that_may_be_more_than_a_path_is_not_left_out(text: str) -> None:
    """The kernel ends a word at other blanks too, and a quote goes on beyond them; next_arg() in lib/cmdline.c."""
    result = judged(restarted(*without(COMMAND_LINE), line(text)), policy=policy())

    [said] = kexecs(result)
    assert (result.level, said.tier) == (1, Tier.WARNING)
    assert "the command line is that of no known boot" in said.why


@pytest.mark.parametrize("path", ["/boot/vmlinuz-6.1.0-13_a+b~c@d", "(hd0,gpt2)/vmlinuz", "BOOT_IMAGE=(lvm/vg-root)/x"])
def test_a_path_of_a_kernel_is_left_out(path: str) -> None:
    assert judged(restarted(*without(COMMAND_LINE), line(f"{path} {OPTIONS}")), policy=policy()).level == 4


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


def without(*gone: Line) -> tuple[Line, ...]:
    return tuple(entry for entry in LOADED if entry not in gone)


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


def known_with(text: str) -> tuple[Machine, ReferenceSet]:
    """The machine with another command line, which is declared good."""
    [event] = [one for one in good().events if one.data.startswith(b"kernel_cmdline: ")]
    told = f"/vmlinuz {text}".encode()
    machine = good().with_event(event.index, data=b"kernel_cmdline: " + told, digests=digests(told))
    return machine, reference_set(machine)


def loaded_with(machine: Machine, text: str) -> Machine:
    return restarted(*without(COMMAND_LINE), line(text), machine=machine)


def secure_boot_off(machine: Machine) -> Machine:
    return machine.with_event(SECURE_BOOT, data=secure_boot_is(b"\0").events[SECURE_BOOT].data)


def off(text: str) -> AttestationResult:
    """A kexec with the boot's own command line on a machine without Secure Boot, all of it declared good."""
    machine, known = known_with(text)
    machine = secure_boot_off(machine)
    return judged(loaded_with(machine, text), policy=policy(), known=index_reference(known, reference_set(machine)))


def test_without_secure_boot_a_measured_kernel_could_be_replaced_unmeasured() -> None:
    [said] = kexecs(result := off(OPTIONS))

    assert (result.level, said.tier) == (1, Tier.WARNING)
    assert "nothing kept root from replacing what was measured (kexec_load)" in said.why


@pytest.mark.parametrize("mode", ["integrity", "confidentiality"])
def test_lockdown_on_the_measured_command_line_denies_that_too(mode: str) -> None:
    [said] = kexecs(off(f"{OPTIONS} lockdown={mode}"))

    assert said.tier is Tier.AFFIRMING


@pytest.mark.parametrize("words", ["lockdown=none", "-- lockdown=integrity", 'x="lockdown=integrity"', "lockdown"])
def test_what_only_looks_like_lockdown_denies_nothing(words: str) -> None:
    [said] = kexecs(off(f"{OPTIONS} {words}"))

    assert "kexec_load" in said.why


def test_a_kernel_without_lockdown_can_be_started_from_and_not_go_on_to_another() -> None:
    """The second kernel runs with a known command line that does not lock it down."""
    locked = f"{OPTIONS} lockdown=integrity"
    machine, known = known_with(locked)
    machine = secure_boot_off(machine)
    loads = (*without(COMMAND_LINE), line(OPTIONS), machine.start)

    result = judged(
        machine.running(*loads, *loads),
        policy=policy(),
        known=index_reference(known, reference_set(machine), reference().set),
    )

    assert [said.tier for said in kexecs(result)] == [Tier.AFFIRMING, Tier.WARNING]
    assert "kexec_load" in kexecs(result)[1].why


@pytest.mark.parametrize(
    "words", ["-- ima_policy=tcb", '"--" ima_policy=tcb', '"x ima_policy=tcb"', "ima_policy=\xa0tcb"]
)
def test_what_only_looks_like_an_ima_policy_proves_no_coverage(words: str) -> None:
    _, known = known_with(f"console=ttyS0 {words}")

    result = judged(
        restarted(*without(COMMAND_LINE), line(f"console=ttyS0 {words}")),
        policy=policy(),
        known=index_reference(reference().set, known),
    )

    assert [said.tier for said in kexecs(result)] == [Tier.AFFIRMING]
    assert [said.at.entry for said in result.findings if said.id == "ima.coverage" and said.tier is Tier.WARNING] == [
        FIRST + 3
    ]


def test_coverage_has_to_be_proved_for_the_new_kernel_too() -> None:
    machine, known = known_with("console=ttyS0 quiet")

    result = judged(
        restarted(*without(COMMAND_LINE), line("console=ttyS0 quiet")),
        policy=policy(),
        known=index_reference(reference().set, known),
    )

    assert machine is not good()
    assert [said.tier for said in kexecs(result)] == [Tier.AFFIRMING]
    assert result.level == 3
    [bad] = [said for said in result.findings if said.id == "ima.coverage" and said.tier is Tier.WARNING]
    assert bad.at.entry == FIRST + 3


def test_a_boot_whose_own_kernel_is_not_known_recognises_no_other() -> None:
    [event] = [one for one in good().events if one.data.startswith(b"kernel_cmdline: ")]
    other = good().with_event(event.index, digests=digests(b"something else"))
    result = judged(loaded_with(other, OPTIONS), policy=policy())

    [said] = kexecs(result)
    assert said.tier is Tier.WARNING
    assert "of the boot, command line not recognised" in said.why


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
