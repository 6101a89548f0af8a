"""Reference Values learned from a boot: the same each time, nothing from evidence that does not add up, in words."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from bartizan.errors import VerifyError
from bartizan.formats.ima import decode_ima
from bartizan.formats.reference_file import decode_reference
from bartizan.model.boot_log import EventType
from bartizan.model.digest import HashAlg
from bartizan.model.reference import ReferenceEvent, ReferenceFile, ReferenceSet
from bartizan.reference.diff import differences
from bartizan.reference.propose import propose
from bartizan.verify.boot import verify_boot
from bartizan.verify.ima import verify_ima
from tests.simulator.machine import Machine, agile, digests, file_line, good, measured, reference_set
from tests.unit.cli_runner import BOOTS, run
from tests.unit.ima_lists import Line, d_ng, ng

DOUBTFUL = ("attack_sb_off_no_eventlog", "attack_unsigned_kernel")


@pytest.fixture(scope="module")
def proposed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reference")
    assert run("reference", "propose", BOOTS / "good", "--out", folder).code == 0
    return folder


def test_a_proposal_is_the_same_each_time(proposed: Path, tmp_path: Path) -> None:
    again = run("reference", "propose", BOOTS / "good", "--out", tmp_path / "deep" / "er", "--json")

    assert (tmp_path / "deep" / "er" / "reference.json").read_bytes() == (proposed / "reference.json").read_bytes()
    assert set(again.document) >= {"name", "digest", "path", "events", "files"}
    assert again.document["name"] == "good"
    assert again.document["digest"] == f"sha256:{decode_reference((proposed / 'reference.json').read_bytes()).digest}"


def test_a_proposal_holds_what_the_boot_measured_and_no_separators_or_aggregates(proposed: Path) -> None:
    reference = decode_reference((proposed / "reference.json").read_bytes())

    assert len(reference.events) == sum(event.reported_type != EventType.SEPARATOR for event in good().events)
    assert {alg for event in reference.events for alg in event.digests} == {HashAlg.SHA256, HashAlg.SHA384}
    assert len(reference.files) == 109
    assert b"boot_aggregate" not in {file.path for file in reference.files}
    assert any(event.label.startswith("kernel_cmdline: /vmlinuz console=ttyS0") for event in reference.events)


def test_a_proposal_can_have_a_name(tmp_path: Path) -> None:
    ran = run("reference", "propose", BOOTS / "good", "--out", tmp_path, "--name", "compute 7", "--json")

    assert ran.document["name"] == "compute 7"


def test_a_new_proposal_replaces_the_old_one_whole(tmp_path: Path) -> None:
    for boot in ("good", "iommu"):
        assert run("reference", "propose", BOOTS / boot, "--out", tmp_path, "--force").code == 0

    assert [path.name for path in tmp_path.iterdir()] == ["reference.json"]
    assert json.loads((tmp_path / "reference.json").read_text("utf-8"))["name"] == "iommu"


def test_a_folder_that_cannot_be_written_to_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    ran = run("reference", "propose", BOOTS / "good", "--out", tmp_path / "file" / "out", "--json")

    assert (ran.code, ran.document["error"]["kind"]) == (2, "config")


def changed(folder: Path, name: str, *, at: int) -> Path:
    raw = bytearray((folder / name).read_bytes())
    raw[at] ^= 1
    (folder / name).write_bytes(raw)
    return folder


def copied(boot: str, target: Path) -> Path:
    return Path(shutil.copytree(BOOTS / boot, target / boot))


FORGED = {
    "a forged boot log": ("good", "bios_at_quote.bin", -1, "boot."),
    "a forged IMA list": ("good", "ima_at_quote.bin", 200, "ima."),
    "a forged quote": ("good", "quote.attest", -1, "quote.signature"),
    "another nonce": ("good", "nonce.bin", 0, "quote.extra-data"),
}


@pytest.mark.parametrize("name", FORGED)
def test_nothing_is_learned_from_forged_evidence(name: str, tmp_path: Path) -> None:
    boot, file, at, check = FORGED[name]
    folder = changed(copied(boot, tmp_path), file, at=at)
    ran = run("reference", "propose", folder, "--out", tmp_path / "out", "--json")

    assert ran.code == 1
    assert ran.document["error"]["kind"] == "verify"
    assert ran.document["error"]["what"].startswith(check)
    assert not (tmp_path / "out").exists()


def test_nothing_is_learned_from_an_unexplained_launch(tmp_path: Path) -> None:
    ran = run("reference", "propose", BOOTS / "vm_drtm", "--out", tmp_path / "out", "--json")

    assert (ran.code, ran.document["error"]["what"]) == (1, "launch.explained")
    assert "nothing is proposed from this boot" in ran.document["error"]["why"]
    assert not (tmp_path / "out").exists()


def test_nothing_is_learned_from_a_boot_without_a_log(tmp_path: Path) -> None:
    folder = copied("good", tmp_path)
    (folder / "bios_at_quote.bin").unlink()
    ran = run("reference", "propose", folder, "--out", tmp_path / "out", "--json")

    assert (ran.code, ran.document["error"]["what"]) == (1, "boot.log-present")


@pytest.mark.parametrize("boot", DOUBTFUL)
def test_a_folder_without_evidence_is_refused(boot: str, tmp_path: Path) -> None:
    assert run("reference", "propose", BOOTS / boot, "--out", tmp_path / "out").code == 2


def test_a_boot_without_an_ima_list_gives_no_files(tmp_path: Path) -> None:
    folder = copied("good", tmp_path)
    (folder / "ima_at_quote.bin").unlink()
    ran = run("reference", "propose", folder, "--out", tmp_path / "out", "--json")

    assert (ran.code, ran.document["files"]) == (0, 0)


def refused(machine: Machine, check: str) -> None:
    with pytest.raises(VerifyError, match="nothing is proposed from this boot") as refusal:
        reference_set(machine)

    assert refusal.value.check == check


def test_nothing_is_learned_from_a_log_that_breaks_a_rule() -> None:
    refused(good().appended(measured(2, EventType.SEPARATOR, bytes(4))), "boot.separator")


def test_nothing_is_learned_from_a_list_that_was_edited() -> None:
    boot = verify_boot(good().log, good().pcrs(), pinned=HashAlg.SHA256)
    raw = bytearray(good().list_bytes())
    raw[4] ^= 1
    ima = verify_ima(decode_ima(bytes(raw)), good().pcrs(), pinned=HashAlg.SHA256)

    with pytest.raises(VerifyError) as refusal:
        propose(boot, ima, name="n", source="s")
    assert refusal.value.check == "ima.template-digest"


def test_entries_behind_the_quote_and_violations_are_not_learned() -> None:
    more = good().running(ng(b"/v", violation=True), file_line(b"/in", b"in"))
    later = more.running(file_line(b"/after", b"after"))
    boot = verify_boot(more.log, more.pcrs(), pinned=HashAlg.SHA256)
    ima = verify_ima(decode_ima(later.list_bytes()), more.pcrs(), pinned=HashAlg.SHA256)
    paths = {file.path for file in propose(boot, ima, name="n", source="s").files}

    assert b"/in" in paths
    assert not paths & {b"/v", b"/after"}


def test_files_that_cannot_be_compared_are_left_out_and_odd_labels_are_kept() -> None:
    verity = Line("ima-ngv2", (d_ng(bytes(32), b"verity:sha256"), b"/verity\0"), b"")
    machine = good().running(verity, Line("ima-unknown", (b"x",), b""), file_line(b"/md5", b"x", label=b"md5"))
    algs = {file.path: file.alg for file in reference_set(machine).files}

    assert algs[b"/verity"] == "verity:sha256"
    assert algs[b"/md5"] == "md5"
    assert b"" not in algs


def test_a_sha1_log_gives_sha1_values() -> None:
    events = [replace(event, digests={HashAlg.SHA1: event.digests[HashAlg.SHA1]}) for event in good().events]
    boot = verify_boot(agile(events), good().pcrs(), pinned=HashAlg.SHA1)

    assert {alg for event in propose(boot, None, name="n", source="s").events for alg in event.digests} == {
        HashAlg.SHA1
    }


SAID: dict[str, list[tuple[str, int, str]]] = {
    "good": [],
    "attack_cmdline": [
        ("changed", 8, "grub_cmd: init=/bin/sh selinux=0 apparmor=0 added"),
        ("changed", 8, "kernel_cmdline: init=/bin/sh selinux=0 apparmor=0 added"),
        ("changed", 9, "file: (hd0,gpt1)/EFI/debian/grub.cfg: another digest"),
    ],
    "attack_noima": [("changed", 8, "kernel_cmdline: ima_policy=tcb ima_template=ima-ng ima_hash=sha256 missing")],
    "attack_sb_off": [
        ("changed", 0, "firmware at 0x820000, 917504 bytes: another digest"),
        ("added", 7, "SecureBoot: off"),
        ("removed", 7, "SecureBoot: on"),
        ("removed", 9, "file: /initrd.img"),
    ],
    "attack_disk_tamper": [("changed", 10, "/usr/bin/cut: another digest")],
    "attack_runtime_tamper": [("changed", 10, "/usr/bin/cut: another digest"), ("added", 10, "/usr/bin/mv")],
    "attack_unknown_binary": [("added", 10, "/root/.x/rootkit")],
    "attack_violation": [("added", 10, "/etc/motd"), ("added", 10, "/etc/issue")],
    "confine": [("added", 10, "/opt/agent/scen/confine")],
    "module_load": [("added", 10, "/opt/agent/tpm_vtpm_proxy.ko")],
    "iommu": [("changed", 8, "kernel_cmdline: intel_iommu=on added")],
    "selinux": [
        ("changed", 8, "kernel_cmdline: lsm=lockdown,capability,landlock,yama,integrity,selinux,bpf enforcing=1 added")
    ],
}


@pytest.mark.parametrize("boot", SAID)
def test_a_difference_is_told_in_words(boot: str, proposed: Path) -> None:
    ran = run("reference", "diff", proposed, BOOTS / boot, "--json")
    rows = [(row["change"], row["pcr"], row["what"]) for row in ran.document["differences"]]

    assert ran.code == bool(SAID[boot])
    assert set(SAID[boot]) <= set(rows)
    assert len(set(rows)) == len(rows)


def test_people_read_the_same_differences(proposed: Path) -> None:
    ran = run("reference", "diff", proposed, BOOTS / "attack_disk_tamper")

    assert (ran.code, ran.err) == (1, "")
    assert "/usr/bin/cut: another digest" in ran.out
    assert run("reference", "diff", proposed, BOOTS / "good").out == "no difference\n"


def test_a_difference_from_evidence_that_does_not_add_up_is_refused(proposed: Path) -> None:
    ran = run("reference", "diff", proposed, BOOTS / "vm_drtm", "--json")

    assert (ran.code, ran.document["error"]["what"]) == (1, "launch.explained")


def values(*events: tuple[int, bytes, str], files: tuple[tuple[bytes, bytes], ...] = ()) -> ReferenceSet:
    return ReferenceSet(
        name="n",
        source="s",
        events=tuple(
            ReferenceEvent(pcr=pcr, digests={HashAlg.SHA256: digests(content)[HashAlg.SHA256]}, label=label)
            for pcr, content, label in events
        ),
        files=tuple(ReferenceFile(path=path, alg="sha256", digest=digest) for path, digest in files),
        digest="",
    )


def rows(old: ReferenceSet, new: ReferenceSet) -> list[tuple[str, int, str]]:
    return [(some.change.value, some.pcr, some.what) for some in differences(old, new)]


def test_the_same_words_in_another_order_are_said_to_be_that() -> None:
    old, new = values((8, b"1", "grub_cmd: linux a b")), values((8, b"2", "grub_cmd: linux b a"))

    assert rows(old, new) == [("changed", 8, "grub_cmd: the same words in another order")]


def test_labels_and_paths_are_inert() -> None:
    hostile = "\x1b[31m<b>[red]\u202e"
    found = rows(values(), values((8, b"1", hostile), files=((hostile.encode(), bytes(32)),)))

    assert found == [("added", 8, r"\x1b[31m<b>[red]\u202e"), ("added", 10, r"\x1b[31m<b>[red]\u202e")]


def test_a_file_that_is_gone_and_one_that_is_known_in_two_forms() -> None:
    old = values(files=((b"/gone", bytes(32)), (b"/two", b"\1" * 32), (b"/two", b"\2" * 32)))

    assert rows(old, values(files=((b"/two", b"\2" * 32),))) == [("removed", 10, "/gone (not measured in this boot)")]
