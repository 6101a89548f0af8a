"""`bartizan reference predict` and `limit`: files in, a set and words out; nothing is written when it cannot be."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import pytest

from bartizan.app.reference_folder import read_reference, write_reference
from bartizan.formats.boot_image import decode_boot_image
from bartizan.model.digest import HashAlg
from bartizan.model.reference import Origin, ReferenceFile, ReferenceSet, ReferenceState
from tests.simulator.boot_images import Pe, Signing, boot_ca
from tests.simulator.machine import BANKS, Machine, good
from tests.unit.cli_runner import Ran, run
from tests.unit.kernel_machines import INITRD_FILE, KERNEL_FILE, KERNEL_IMAGES, digests_of

KERNEL = Pe(sections={".text": b"the new kernel"}).signed(Signing()).encode()
INITRD = b"the new initramfs"
CONFIG = b"menuentry x {\n\tlinux /vmlinuz ro\n}\n"


@dataclass(frozen=True, kw_only=True)
class Update:
    """A machine's evidence in a folder, and the files of an update beside it."""

    folder: Path

    @property
    def evidence(self) -> Path:
        return self.folder / "evidence"

    @property
    def out(self) -> Path:
        return self.folder / "reference"

    def predict(self, *more: str | Path, signer: bool = True) -> Ran:
        named = ["--signer", self.folder / "ca.der"] if signer else []
        return run("reference", "predict", self.evidence, "--out", self.out, *named, *more)

    @property
    def kernel(self) -> list[str | Path]:
        return ["--kernel", self.folder / "vmlinuz", "--initrd", self.folder / "initrd.img"]


@pytest.fixture
def update(tmp_path: Path) -> Update:
    files = {
        "vmlinuz": KERNEL,
        "initrd.img": INITRD,
        "grub.cfg": CONFIG,
        "ca.der": boot_ca(),
        "noise": b"MZ\0noise",
        "empty": b"",
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    good().write(tmp_path / "evidence")
    return Update(folder=tmp_path)


def rebooted() -> Machine:
    """The machine after the update."""
    image = decode_boot_image(KERNEL)
    machine = good().with_event(KERNEL_FILE, digests={alg: image.flat[alg] for alg in BANKS})
    for index in KERNEL_IMAGES:
        machine = machine.with_event(index, digests={alg: image.authenticode[alg] for alg in BANKS})
    return machine.with_event(INITRD_FILE, digests=digests_of(INITRD))


def test_after_the_update_the_machine_stays_at_its_level(update: Update) -> None:
    assert update.predict(*update.kernel, "--package", "linux-image=6.1-1").code == 0
    evidence = rebooted().write(update.folder / "after")

    judged = run("appraise", evidence, "--roots", evidence / "roots", "--reference", update.out, "--json")

    assert judged.document["level"] == 4
    said = next(f["why"] for f in judged.findings if f["id"] == "recognised.loader")
    assert "kernel, signed by Test Boot Signer, not revoked, predicted from linux-image 6.1-1: accepted" in said


def test_people_read_what_will_differ(update: Update) -> None:
    ran = update.predict(*update.kernel, "--package", "linux-image=6.1-1")
    words = " ".join(ran.out.split())

    assert ran.code == 0
    assert "kernel (2 times)" in words
    assert "file: /initrd.img" in words
    assert "the next boot, 3 changes; all else as measured now" in words


def test_programs_read_the_same(update: Update) -> None:
    document = update.predict(*update.kernel, "--name", "next", "--json").document
    changes = document.pop("changes")

    assert [(change["pcr"], change["after"], change["times"]) for change in changes] == [
        (4, "kernel", 2),
        (9, "file: /vmlinuz", 1),
        (9, "file: /initrd.img", 1),
    ]
    assert "predicted from vmlinuz, initrd.img" in changes[0]["provenance"]
    assert document == {
        "name": "next",
        "digest": f"sha256:{read_reference(update.out).digest}",
        "path": str(update.out / "reference.json"),
        "state": "approved",
        "valid_from": None,
        "valid_until": None,
        "events": 40,
        "files": len(read_reference(update.out).files),
        "warnings": ["initrd.img does not look like an initramfs: neither a cpio archive nor a compressed one"],
    }


@pytest.fixture
def packages(update: Update) -> Path:
    """A set as an import from packages yields it, in which the new kernel is."""
    origin = Origin(package="linux-image", version="6.1-2", architecture="amd64", repository="debian", signer="key")
    digest = hashlib.sha256(KERNEL).digest()
    files = (
        ReferenceFile(path=b"/boot/vmlinuz-6.1", alg="sha256", digest=digest, origin=origin),
        ReferenceFile(path=b"/opt/own", alg="sha256", digest=hashlib.sha256(b"MZ\0noise").digest()),
    )
    folder = update.folder / "packages"
    write_reference(ReferenceSet(name="packages", source="a test", events=(), files=files, digest=""), folder)
    return folder


def test_an_image_of_a_verified_package_names_it(update: Update, packages: Path) -> None:
    found = update.predict(*update.kernel, "--packages", packages, "--json").document["changes"]

    assert "predicted from linux-image 6.1-2, verified from debian" in found[0]["provenance"]


def test_files_are_the_packages_business_where_packages_are_given(update: Update, packages: Path) -> None:
    with_packages = update.predict(*update.kernel, "--packages", packages, "--json").document
    without = update.predict(*update.kernel, "--force", "--json").document

    assert (with_packages["events"], with_packages["files"]) == (40, 0)
    assert without["files"] > 100


def test_an_image_of_no_verified_package_is_judged_bad(update: Update, packages: Path) -> None:
    ran = update.predict("--kernel", update.folder / "noise", "--packages", packages)

    assert ran.code == 1
    assert "image.package" in ran.err
    assert "noise is no file of the verified packages" in " ".join(ran.err.split())


@pytest.mark.parametrize("more", [["--cmdline", "ro"], ["--kernel", "vmlinuz", "--package", "a=1"]])
def test_packages_vouch_for_images_alone_and_for_themselves(update: Update, packages: Path, more: list[str]) -> None:
    arguments = [update.folder / one if one == "vmlinuz" else one for one in more]

    assert update.predict("--packages", packages, *arguments).code == 2


def test_a_configuration_tells_the_next_command_line(update: Update) -> None:
    found = update.predict("--grub-cfg", update.folder / "grub.cfg", "--json").document["changes"]

    assert [change["after"] for change in found] == [
        "grub_cmd: linux /vmlinuz ro",
        "kernel_cmdline: /vmlinuz ro",
        "file: (hd0,gpt1)/EFI/debian/grub.cfg",
    ]


def test_shim_and_loader_can_be_named(update: Update) -> None:
    kernel = update.folder / "vmlinuz"
    found = update.predict("--shim", kernel, "--loader", kernel, "--json").document["changes"]

    assert [change["after"] for change in found] == ["shim", "loader"]


def test_what_does_not_differ_is_said_so(update: Update) -> None:
    line = good().events[42].data.decode().rstrip("\0").partition("/vmlinuz ")[2]

    assert "nothing will be measured otherwise" in update.predict("--cmdline", line).out


def test_the_set_has_the_folders_name_unless_told_otherwise(update: Update) -> None:
    assert update.predict("--cmdline", "ro", "--json").document["name"] == "evidence-next"


def test_a_window_is_written_into_the_set(update: Update) -> None:
    window = ["--from", "2026-01-01T00:00:00Z", "--until", "2026-02-01T00:00:00Z"]
    document = update.predict("--cmdline", "ro", *window, "--json").document

    assert (document["valid_from"], document["valid_until"]) == (
        "2026-01-01T00:00:00+00:00",
        "2026-02-01T00:00:00+00:00",
    )
    assert read_reference(update.out).valid_until is not None


REFUSED = {
    "nothing new": ([], "nothing to predict from"),
    "a package without a version": (["--cmdline", "ro", "--package", "linux-image"], "NAME=VERSION"),
    "a time in another form": (["--cmdline", "ro", "--until", "tomorrow"], "2026-01-31T23:59:59Z expected"),
    "a window that ends first": (
        ["--cmdline", "ro", "--from", "2026-02-01T00:00:00Z", "--until", "2026-01-01T00:00:00Z"],
        "before it begins",
    ),
    "no image": (["--kernel", "noise"], "noise: DOS header"),
    "no unified image": (["--uki", "vmlinuz"], "no section .linux"),
    "no file": (["--kernel", "none"], "cannot be read"),
    "an empty initramfs": (["--initrd", "empty"], "empty: it is empty"),
    "an empty grub.cfg": (["--grub-cfg", "empty"], "empty: it is empty"),
    "a grub.cfg that is no text": (
        ["--grub-cfg", "noise"],
        "noise: grub.cfg at byte 2: a text expected, found byte 0x00",
    ),
    "no certificate": (["--cmdline", "ro", "--signer", "noise"], "certificate"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_used_is_refused_and_nothing_is_written(update: Update, case: str) -> None:
    arguments, why = REFUSED[case]
    files = {"noise", "vmlinuz", "none", "empty"}
    ran = update.predict(*(update.folder / one if one in files else one for one in arguments))

    assert ran.code == 2
    assert why in " ".join(ran.err.split())
    assert not update.out.exists()


def test_an_image_that_secure_boot_would_refuse_is_judged_bad_and_nothing_is_written(update: Update) -> None:
    ran = update.predict(*update.kernel, signer=False)

    assert ran.code == 1
    assert "Secure Boot is on" in " ".join(ran.err.split())
    assert not update.out.exists()


def test_a_policy_can_revoke_the_image(update: Update) -> None:
    digest = Pe(sections={".text": b"the new kernel"}).signed(Signing()).digest().hex()
    policy = update.folder / "policy.toml"
    policy.write_text(f'name = "strict"\nrevoked_images = ["{digest}"]\n')

    assert update.predict(*update.kernel, "--policy", policy).code == 1


def test_a_set_is_given_an_end_and_then_retired(update: Update) -> None:
    update.predict("--cmdline", "ro")

    ended = run("reference", "limit", update.out, "--until", "2026-01-31T23:59:59Z")
    assert "approved until 2026-01-31 23:59 UTC" in " ".join(ended.out.split())
    begun = run("reference", "limit", update.out, "--from", "2026-01-01T00:00:00Z")
    assert "approved from 2026-01-01 00:00 UTC until 2026-01-31 23:59 UTC" in " ".join(begun.out.split())
    retired = run("reference", "retire", update.out, "--json").document

    found = read_reference(update.out)
    assert (retired["state"], found.state) == ("retired", ReferenceState.RETIRED)
    assert retired["digest"] == f"sha256:{found.digest}"
    assert found.valid_from is not None
    assert found.valid_until is not None


def test_a_limit_that_changes_nothing_is_refused(update: Update) -> None:
    update.predict("--cmdline", "ro")

    ran = run("reference", "limit", update.out)
    assert (ran.code, "nothing to change" in ran.err) == (2, True)


@pytest.mark.parametrize(
    "begin",
    [b"070701", b"070702", b"\x1f\x8b", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"\x02\x21\x4c\x18", b"BZh", b"\x5d\0\0"],
)
def test_an_initramfs_of_any_usual_form_is_no_cause_for_a_warning(update: Update, begin: bytes) -> None:
    (update.folder / "initrd.img").write_bytes(begin + b" and more")

    assert update.predict(*update.kernel, "--json").document["warnings"] == []


def test_a_file_that_is_no_initramfs_is_warned_of(update: Update) -> None:
    assert "! warning: initrd.img does not look like an initramfs" in update.predict(*update.kernel).out


def test_the_digests_now_and_next_are_shown(update: Update) -> None:
    now = good().events[INITRD_FILE].digests[HashAlg.SHA256].hex()
    after = hashlib.sha256(INITRD).hexdigest()

    shown = update.predict(*update.kernel, "--name", "next")
    changes = update.predict(*update.kernel, "--name", "next", "--json").document["changes"]

    assert f"{now[:16]}…" in shown.out
    assert f"{after[:16]}…" in shown.out
    assert (changes[-1]["before_digest"], changes[-1]["after_digest"]) == (f"sha256:{now}", f"sha256:{after}")


def test_one_change_is_one(update: Update) -> None:
    assert "the next boot, 1 change;" in " ".join(update.predict("--initrd", update.folder / "initrd.img").out.split())


def test_another_set_is_not_replaced_by_a_prediction(update: Update) -> None:
    update.predict("--cmdline", "ro")

    assert update.predict("--cmdline", "rw").code == 2
    assert update.predict("--cmdline", "rw", "--force").code == 0
