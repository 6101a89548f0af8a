"""The command lines of a kexec: which are those of known boots, and what they must turn on, read as the kernel does."""

import pytest

from bartizan.appraise.context import index_reference
from bartizan.model.reference import ReferenceSet
from bartizan.model.result import AttestationResult, Tier
from tests.simulator.machine import Machine, digests, good, judged, reference, reference_set
from tests.unit.cases_platform import SECURE_BOOT, secure_boot_is
from tests.unit.ima_lists import Line
from tests.unit.kexec_side import (
    COMMAND_LINE,
    FIRST,
    INITRAMFS,
    KERNEL,
    OPTIONS,
    RULE,
    kexecs,
    line,
    policy,
    restarted,
    without,
)


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
        f"/x /y {OPTIONS}",
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


@pytest.mark.parametrize("words", ["-- ima_policy=tcb", '"--" ima_policy=tcb', '"x ima_policy=tcb"', "ima_policy= tcb"])
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
