"""Prediction: each component replaces what it should, in each form in which it is measured, and nothing else."""

import hashlib
from collections.abc import Callable
from dataclasses import replace

import pytest

from bartizan.errors import VerifyError
from bartizan.formats.grub_config import decode_grub_config
from bartizan.model.boot_log import EventType
from bartizan.model.digest import HashAlg
from bartizan.model.reference import ReferenceSet
from bartizan.model.result import Tier
from bartizan.reference.components import Components, Configuration
from bartizan.reference.predict import predict
from tests.simulator.boot_images import Pe, debian, kernels
from tests.simulator.machine import Machine, digests, good, index_reference, judged, measured, reference_set
from tests.unit.kernel_machines import (
    ANYONE,
    COMMAND_LINE,
    CONFIG_FILE,
    INITRD_FILE,
    KERNEL_FILE,
    KERNEL_IMAGES,
    LINUX,
    digests_of,
    grubless,
    image,
    predicted,
    renamed,
    verified,
    with_kernel,
    without_secure_boot,
)

OLD, NEW = kernels()[-2:]


def differing(machine: Machine, found: ReferenceSet) -> list[tuple[int, str]]:
    """PCR and label of the predicted values that the present boot has not."""
    known = {(event.pcr, *sorted(event.digests.items())) for event in reference_set(machine).events}
    return [(e.pcr, e.label) for e in found.events if (e.pcr, *sorted(e.digests.items())) not in known]


def test_a_kernel_replaces_its_file_and_its_image_as_often_as_it_is_measured() -> None:
    machine = with_kernel(OLD)
    found = predicted(machine, kernel=NEW.image)

    assert differing(machine, found.reference) == [
        (9, "file: /vmlinuz"),
        (4, f"kernel {NEW.image.release}"),
        (4, f"kernel {NEW.image.release}"),
    ]
    assert [(change.pcr, change.times) for change in found.changes] == [(4, 2), (9, 1)]
    assert found.reference.files == reference_set(machine).files
    assert found.reference.source == "predicted from a package 1.0"


def test_the_same_kernel_changes_nothing() -> None:
    found = predicted(good(), kernel=NEW.image)

    assert found.changes == ()
    assert differing(good(), found.reference) == []


def test_the_prediction_is_what_the_next_boot_measures() -> None:
    machine, then = renamed(with_kernel(OLD), OLD.image.release), renamed(with_kernel(NEW), NEW.image.release)
    found = predicted(machine, kernel=NEW.image, initrds=(digests_of(f"initramfs of {NEW.image.release}".encode()),))

    assert {(e.pcr, *sorted(e.digests.items())) for e in found.reference.events} == {
        (e.pcr, *sorted(e.digests.items())) for e in reference_set(then).events
    }
    assert judged(then, known=index_reference(found.reference)).level == 4
    assert judged(machine, known=index_reference(found.reference)).level == 2


def test_commands_that_name_the_release_name_the_new_one() -> None:
    machine = renamed(with_kernel(OLD), OLD.image.release)
    texts = [change.after for change in predicted(machine, kernel=NEW.image).changes if change.pcr == 8]

    arguments = "console=ttyS0 quiet ima_policy=tcb ima_template=ima-ng ima_hash=sha256 verifier=http://10.0.2.2:18080"
    assert texts == [
        f"grub_cmd: linux /boot/vmlinuz-6.1.0-56-cloud-amd64 {arguments}",
        f"kernel_cmdline: /boot/vmlinuz-6.1.0-56-cloud-amd64 {arguments}",
        "grub_cmd: initrd /boot/initrd.img-6.1.0-56-cloud-amd64",
    ]


def test_a_command_line_is_measured_in_the_command_and_by_itself() -> None:
    found = predicted(good(), command_line="quiet ima_policy=tcb")

    assert differing(good(), found.reference) == [
        (8, "grub_cmd: linux /vmlinuz quiet ima_policy=tcb"),
        (8, "kernel_cmdline: /vmlinuz quiet ima_policy=tcb"),
    ]
    values = [event.digests[HashAlg.SHA256] for event in found.reference.events]
    assert hashlib.sha256(b"linux /vmlinuz quiet ima_policy=tcb").digest() in values
    assert hashlib.sha256(b"/vmlinuz quiet ima_policy=tcb").digest() in values


def test_an_older_grub_hashes_a_terminator_too() -> None:
    command = b"linux /vmlinuz quiet\0"
    machine = good().with_event(LINUX, data=b"grub_cmd: " + command, digests=digests(command))
    found = predicted(machine, command_line="ro")

    assert hashlib.sha256(b"linux /vmlinuz ro\0").digest() in [
        e.digests[HashAlg.SHA256] for e in found.reference.events
    ]


def test_an_initramfs_is_said_to_be_the_operators() -> None:
    found = predicted(good(), initrds=(digests_of(b"new"),))

    assert [(c.pcr, c.after, c.provenance) for c in found.changes] == [
        (9, "file: /initrd.img", "initramfs, as given with the prediction")
    ]


@pytest.mark.parametrize("count", [2, 3])
def test_as_many_initramfs_as_the_boot_loads_are_expected(count: int) -> None:
    with pytest.raises(VerifyError, match=f"measured 1 initramfs files, not {count}"):
        predicted(good(), initrds=(digests_of(b"new"),) * count)


def configuration(text: str) -> Configuration:
    return Configuration(digests=digests_of(text.encode()), content=decode_grub_config(text.encode()))


def test_a_configuration_brings_its_digest_and_the_command_line_of_the_kernel() -> None:
    found = predicted(
        good(), configuration=configuration("linux /vmlinuz  console=ttyS1   ro\nlinux /vmlinuz single\n")
    )

    assert [(c.pcr, c.after) for c in found.changes] == [
        (8, "grub_cmd: linux /vmlinuz console=ttyS1 ro"),
        (8, "kernel_cmdline: /vmlinuz console=ttyS1 ro"),
        (9, "file: (hd0,gpt1)/EFI/debian/grub.cfg"),
    ]


def test_a_command_line_that_is_given_counts_before_the_configurations() -> None:
    found = predicted(good(), configuration=configuration("linux /vmlinuz single\n"), command_line="ro")

    assert "kernel_cmdline: /vmlinuz ro" in [change.after for change in found.changes]


@pytest.mark.parametrize("text", ["set timeout=1\n", "linux /vmlinuz root=$root\n"], ids=["no kernel", "a variable"])
def test_a_configuration_that_does_not_tell_the_command_line_leaves_it(text: str) -> None:
    assert [change.pcr for change in predicted(good(), configuration=configuration(text)).changes] == [9]


def test_a_configuration_that_loads_another_kernel_is_refused() -> None:
    with pytest.raises(VerifyError, match="does not load /vmlinuz"):
        predicted(good(), configuration=configuration("linux /other x\n"))


def test_the_menu_of_a_new_configuration_replaces_the_present_one() -> None:
    block = "{\n\tlinux /vmlinuz ro\n}"
    old = b"menuentry Debian --id gnulinux-simple {\n\told\n}"
    machine = good().inserted(LINUX, measured(8, EventType.IPL, b"grub_cmd: " + old, of=old))
    text = f"menuentry 'Debian' $menuentry_id_option 'gnulinux-simple' {block}\n"

    found = predicted(machine, configuration=configuration(text))

    assert hashlib.sha256(f"menuentry Debian --id gnulinux-simple {block}".encode()).digest() in [
        event.digests[HashAlg.SHA256] for event in found.reference.events
    ]


def test_a_menu_entry_without_an_identity_stays() -> None:
    old = b"menuentry Debian {\n\told\n}"
    machine = good().inserted(LINUX, measured(8, EventType.IPL, b"grub_cmd: " + old, of=old))

    found = predicted(machine, configuration=configuration("menuentry Debian {\n\tlinux /vmlinuz x\n}\n"))

    assert hashlib.sha256(old).digest() in [event.digests[HashAlg.SHA256] for event in found.reference.events]


def test_a_shim_and_a_loader_replace_the_first_and_the_second_image() -> None:
    shim, loader = image(Pe(trailing=b"12345678")), image()
    found = predicted(good(), ANYONE, shim=shim, loader=loader)

    assert [(c.pcr, c.before.partition(".")[0], c.after) for c in found.changes] == [
        (4, "\\EFI\\BOOT\\BOOTX64", "shim"),
        (4, "\\EFI\\BOOT\\grubx64", "loader"),
    ]
    assert all(
        "signed by Test Boot Signer, not revoked, predicted from a package 1.0" in c.provenance for c in found.changes
    )


def test_without_grubs_commands_the_last_image_is_the_kernel() -> None:
    machine = grubless(good())
    found = predicted(machine, ANYONE, kernel=image())

    assert [(change.pcr, change.times) for change in found.changes] == [(4, 2)]


def test_a_command_line_of_systemd_boot_is_measured_in_its_own_form() -> None:
    text = "root=/dev/vda1".encode("utf-16-le")
    machine = grubless(good()).appended(measured(12, EventType.IPL, text + b"\0\0"), measured(8, EventType.IPL, text))
    found = predicted(machine, command_line="ro")

    values = {event.digests[HashAlg.SHA256]: event.pcr for event in found.reference.events}
    assert values[hashlib.sha256(b"r\0o\0\0\0").digest()] == 12
    assert values[hashlib.sha256(b"r\0o\0").digest()] == 8


def test_without_secure_boot_grubs_kernel_need_not_be_in_pcr_4() -> None:
    machine = without_secure_boot(good()).without_event(*KERNEL_IMAGES)
    found = predicted(machine, kernel=image())

    assert [change.pcr for change in found.changes] == [9]


MISPLACED: dict[str, tuple[Callable[[], Machine], dict[str, object], str]] = {
    "a kernel file where none was measured": (
        lambda: good().without_event(KERNEL_FILE),
        {"kernel": NEW.image},
        "no kernel file",
    ),
    "a kernel image where none was measured": (
        lambda: good().without_event(*KERNEL_IMAGES),
        {"kernel": NEW.image},
        "measured no kernel 6.1.0-56",
    ),
    "an initramfs for a boot without GRUB": (
        lambda: grubless(good()),
        {"initrds": (digests_of(b"x"),)},
        "measured 0 initramfs",
    ),
    "an initramfs that was not measured": (
        lambda: good().without_event(INITRD_FILE),
        {"initrds": (digests_of(b"x"),)},
        "measured 0 initramfs",
    ),
    "a configuration where none was measured": (
        lambda: good().without_event(CONFIG_FILE),
        {"configuration": configuration("")},
        r"no grub\.cfg",
    ),
    "a configuration for a boot without GRUB": (
        lambda: grubless(good()),
        {"configuration": configuration("linux /x y")},
        r"no grub\.cfg",
    ),
    "two kernels": (
        lambda: good().inserted(LINUX, good().events[LINUX]),
        {"kernel": NEW.image},
        "one command that loads a kernel expected, found 2",
    ),
}


@pytest.mark.parametrize("case", MISPLACED)
def test_what_has_no_place_in_the_present_boot_is_refused(case: str) -> None:
    make, components, why = MISPLACED[case]

    with pytest.raises(VerifyError, match=why) as raised:
        predicted(make(), **components)
    assert raised.value.check == "image.place"


def test_a_boot_that_does_not_add_up_foretells_nothing() -> None:
    machine = good()
    boot, ima = verified(machine)
    other = replace(boot, findings=(replace(boot.findings[0], id="boot.pcr-explained", tier=Tier.NONE),))

    with pytest.raises(VerifyError, match="nothing is predicted from this boot"):
        predict(other, ima, Components(source="x", command_line="y"), vetting=ANYONE, name="next")


def test_banks_that_images_are_not_hashed_for_are_refused() -> None:
    boot, ima = verified(good())
    sm3 = {event.index: replace(event, digests={HashAlg.SM3_256: bytes(32)}) for event in boot.events}
    other = replace(
        boot,
        events=tuple(sm3.values()),
        facts=replace(boot.facts, images=tuple(sm3[e.index] for e in boot.facts.images)),
    )

    with pytest.raises(VerifyError, match="in no bank that can be foretold"):
        predict(other, ima, Components(source="x", loader=image()), vetting=ANYONE, name="next")


def test_sha1_stays_where_there_is_nothing_else() -> None:
    boot, ima = verified(good())
    weak = {e.index: replace(e, digests={HashAlg.SHA1: e.digests[HashAlg.SHA1]}) for e in boot.events}
    other = replace(
        boot,
        events=tuple(weak.values()),
        facts=replace(boot.facts, images=tuple(weak[e.index] for e in boot.facts.images)),
    )

    found = predict(other, ima, Components(source="x", loader=image()), vetting=ANYONE, name="next")
    assert image().authenticode[HashAlg.SHA1] in [event.digests.get(HashAlg.SHA1) for event in found.reference.events]


def test_a_text_in_an_unknown_form_is_refused() -> None:
    boot, ima = verified(good())
    events = tuple(
        replace(e, digests={HashAlg.SHA256: bytes(32)}) if e.index == COMMAND_LINE else e for e in boot.events
    )

    with pytest.raises(VerifyError, match="in a form that is not known"):
        predict(replace(boot, events=events), ima, Components(source="x", command_line="y"), vetting=ANYONE, name="n")


def test_debians_older_loader_is_revoked_on_the_recorded_machine() -> None:
    older = next(one for one in debian() if one.version == "1+2.06+13+deb12u1")

    with pytest.raises(VerifyError, match="grub is of generation 4, and 5 is the lowest that may run"):
        predicted(good(), loader=older.image)


def test_debians_shim_and_loader_change_nothing_where_they_run() -> None:
    shim, loader = debian()[0], debian()[2]

    assert predicted(good(), shim=shim.image, loader=loader.image).changes == ()


def test_what_does_not_read_as_text_has_no_part_in_it() -> None:
    noise = measured(9, EventType.IPL, b"\xff\xfe\x00\xd8\x01")
    found = predicted(good().inserted(LINUX, noise), kernel=kernels()[0].image)

    assert [change.pcr for change in found.changes] == [4, 9]
