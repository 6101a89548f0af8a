"""Every recorded boot gets the verdict that `expected.tsv` states, for the reason and at the place that it states."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bartizan.formats.tcg_log import decode_boot_log
from bartizan.model.boot_log import Event, EventType
from bartizan.model.digest import HashAlg
from tests.simulator.machine import log_bytes
from tests.unit.cli_runner import BOOTS, judge, run

TABLE = (BOOTS / "expected.tsv").read_text("utf-8").splitlines()
ROWS = {row["boot"]: row for row in csv.DictReader(TABLE, delimiter="\t")}
JUDGED = [boot for boot, row in ROWS.items() if row["level"] != "-"]
WITHOUT_EVIDENCE = [boot for boot, row in ROWS.items() if row["level"] == "-"]

Place = tuple[str, int | None, int | str | None]
"""Check, PCR, and the event's index, the IMA entry's path or the bank."""

EVERY_BOOT: frozenset[Place] = frozenset(
    {
        ("identity.activation", None, None),
        ("platform.first-step", 0, None),
        ("posture.binding", None, None),
        ("posture.form", None, None),
    }
)
"""What a recording cannot show, a posture of a form before the first version, and that nothing measures the first code
of an emulated machine."""
STATED = ("ima.blind-spots", 8, 42)


def known(*paths: str) -> set[Place]:
    """Files that are unknown, or known under another digest."""
    return {("ima.known-files", 10, path) for path in paths}


CONFINE = known(
    "/opt/agent/scen/confine",
    "/opt/agent/confine.py",
    "/usr/lib/python3.11/ctypes/__pycache__/__init__.cpython-311.pyc",
    "/usr/lib/python3.11/lib-dynload/_ctypes.cpython-311-x86_64-linux-gnu.so",
    "/usr/lib/x86_64-linux-gnu/libffi.so.8.1.2",
    "/usr/lib/python3.11/ctypes/__pycache__/_endian.cpython-311.pyc",
    "/usr/lib/python3.11/__pycache__/subprocess.cpython-311.pyc",
    "/usr/lib/python3.11/__pycache__/signal.cpython-311.pyc",
    "/usr/lib/python3.11/__pycache__/threading.cpython-311.pyc",
    "/usr/bin/sleep",
)
COPIED = (
    "/etc/fstab",
    "/usr/bin/cp",
    "/usr/lib/x86_64-linux-gnu/libacl.so.1.1.2301",
    "/usr/lib/x86_64-linux-gnu/libattr.so.1.1.2501",
)
OTHER_COMMAND_LINE: set[Place] = {
    ("recognised.command-line", 8, 38),
    ("recognised.command-line", 8, 42),
    ("recognised.boot-files", 9, 34),
}
FOUND: dict[str, set[Place]] = {
    "good": {STATED},
    "attack_cmdline": {STATED, *OTHER_COMMAND_LINE, *known("/usr/bin/cat", "/opt/agent/policy.33")},
    "attack_noima": {
        ("ima.coverage", 8, 42),
        *OTHER_COMMAND_LINE,
        *known(
            *(f"/m/virtio{name}.ko" for name in ("_ring", "", "_pci_modern_dev", "_pci_legacy_dev", "_pci", "_blk")),
            *("/m/failover.ko", "/m/net_failover.ko", "/m/virtio_net.ko", "/m/efivarfs.ko"),
        ),
    },
    "attack_sb_off": {
        ("secure-boot.state", 7, 3),
        ("secure-boot.sbat-level", 7, None),
        ("recognised.firmware", 0, 1),
        ("recognised.firmware", 0, 2),
        ("recognised.boot-path", 4, None),
        *(("recognised.secure-boot", 7, event) for event in (3, 4, 5, 6, 7, 25)),
        ("recognised.command-line", 8, 35),
        ("recognised.boot-files", 9, 32),
        ("recognised.boot-files", 9, 39),
        ("ima.blind-spots", 9, 39),
    },
    "attack_disk_tamper": {STATED, *known("/usr/bin/cut")},
    "attack_runtime_tamper": {
        STATED,
        *known("/opt/agent/scen/runtime_tamper", *COPIED, "/usr/bin/mv", "/usr/bin/cut"),
        ("ima.changed-file", 10, "/usr/bin/cut"),
    },
    "attack_unknown_binary": {
        STATED,
        *known("/opt/agent/scen/unknown_binary", *COPIED, "/usr/bin/id", "/root/.x/rootkit"),
        *known("/etc/nsswitch.conf", "/etc/passwd", "/etc/group"),
    },
    "attack_violation": {
        STATED,
        ("ima.violations", 10, "/etc/motd"),
        ("ima.violations", 10, "/etc/issue"),
        *known("/opt/agent/scen/violation", "/etc/fstab", "/etc/motd", "/etc/issue"),
    },
    "confine": {
        STATED,
        *CONFINE,
        *known("/usr/sbin/apparmor_parser", "/etc/apparmor/parser.conf", "/usr/share/apparmor-features/features"),
    },
    "module_load": {
        STATED,
        *known("/opt/agent/scen/module_load", "/usr/bin/busybox", "/opt/agent/tpm_vtpm_proxy.ko", "/usr/bin/grep"),
    },
    "iommu": {STATED, *OTHER_COMMAND_LINE},
    "selinux": {STATED, *OTHER_COMMAND_LINE, *CONFINE, *known("/usr/bin/cat", "/opt/agent/policy.33")},
    "vm_drtm": {
        STATED,
        *(("launch.explained", pcr, "sha256") for pcr in (17, 18, 19)),
        ("boot.other-bank", None, "sha1"),
        ("boot.other-bank", None, "sha384"),
    },
}
SENTENCES = {
    "good": ["posture is not bound", "tmpfs and the initramfs are outside"],
    "attack_cmdline": ["init=/bin/sh selinux=0 apparmor=0 added (kernel_cmdline)"],
    "attack_noima": ["IMA coverage is not proven: no policy on the measured command line (11 entries)"],
    "attack_sb_off": ["Secure Boot was off"],
    "attack_disk_tamper": ["/usr/bin/cut is known under another digest"],
    "attack_runtime_tamper": ["the second digest is not recognised (entries 11 and 29)"],
    "attack_unknown_binary": ["/root/.x/rootkit is not a known file"],
    "attack_violation": ["vouch for /etc/motd: open-writers", "vouch for /etc/issue: ToMToU"],
    "confine": ["/opt/agent/scen/confine is not a known file"],
    "module_load": [
        "tpm_vtpm_proxy.ko is not a known file (a kernel module, whose signature cannot be proved from ima-ng)"
    ],
    "iommu": ["intel_iommu=on added"],
    "selinux": ["lsm=lockdown,capability,landlock,yama,integrity,selinux,bpf enforcing=1"],
    "vm_drtm": ["a dynamic launch happened (PCR 17 has left its reset value) and no log explains it"],
}


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Reference Values proposed from the good boot."""
    folder = tmp_path_factory.mktemp("reference")
    assert run("reference", "propose", BOOTS / "good", "--out", folder).code == 0
    return folder


def place(finding: dict[str, Any]) -> Place:
    at = finding["at"]
    return finding["id"], at.get("pcr"), at.get("path", at.get("event", at.get("bank")))


def test_every_boot_of_the_table_is_here_and_in_these_tests() -> None:
    folders = {path.name for path in BOOTS.iterdir() if path.is_dir()} - {"swtpm"}

    assert folders == set(ROWS) == set(FOUND) | set(WITHOUT_EVIDENCE)


@pytest.mark.parametrize("boot", JUDGED)
def test_a_boot_gets_the_verdict_of_the_table(boot: str, reference: Path) -> None:
    row, ran = ROWS[boot], judge(boot, reference, "--json")
    document = ran.document

    assert (document["level"], ran.code) == (int(row["level"]), int(row["exit"]))
    assert document["contraindicated"] is (row["contraindicated"] == "yes")
    assert document["state"] == "recorded"


@pytest.mark.parametrize("boot", JUDGED)
def test_every_finding_points_to_its_place(boot: str, reference: Path) -> None:
    ran = judge(boot, reference, "--json")

    assert {place(finding) for finding in ran.findings if finding["tier"] != "affirming"} == FOUND[boot] | EVERY_BOOT


@pytest.mark.parametrize("boot", JUDGED)
def test_the_finding_of_the_table_says_what_happened(boot: str, reference: Path) -> None:
    said = [finding["why"] for finding in judge(boot, reference, "--json").findings]

    for sentence in SENTENCES[boot]:
        assert any(sentence in why for why in said), sentence


@pytest.mark.parametrize("boot", WITHOUT_EVIDENCE)
@pytest.mark.parametrize("command", ["appraise", "explain"])
def test_a_folder_without_evidence_is_refused(boot: str, command: str, reference: Path) -> None:
    ran = judge(boot, reference, "--json", command=command)

    assert ran.code == int(ROWS[boot]["exit"]) == 2
    assert ran.document["error"]["kind"] == "config"
    assert "nothing to appraise" in ran.document["error"]["why"]


def test_both_entries_of_the_file_that_changed_are_pointed_to(reference: Path) -> None:
    changed = [f for f in judge("attack_runtime_tamper", reference, "--json").findings if f["id"] == "ima.changed-file"]
    known_as = [
        f for f in judge("attack_runtime_tamper", reference, "--json").findings if f["tier"] == "contraindicated"
    ]

    assert [finding["at"]["entry"] for finding in changed] == [11, 29]
    assert [(finding["id"], finding["at"]["entry"]) for finding in known_as] == [("ima.known-files", 29)]


def test_only_a_file_under_another_digest_contraindicates(reference: Path) -> None:
    for boot in JUDGED:
        bad = {
            finding["id"]
            for finding in judge(boot, reference, "--json").findings
            if finding["tier"] == "contraindicated"
        }

        assert bad == ({"ima.known-files"} if ROWS[boot]["contraindicated"] == "yes" else set()), boot


def copied(boot: str, target: Path) -> Path:
    return Path(shutil.copytree(BOOTS / boot, target / boot))


@pytest.mark.parametrize("boot", ["good", "attack_disk_tamper"])
def test_unrelated_files_in_the_folder_change_nothing(boot: str, reference: Path, tmp_path: Path) -> None:
    folder = copied(boot, tmp_path)
    (folder / "root.pem").write_text("-----BEGIN CERTIFICATE-----\nnot one\n-----END CERTIFICATE-----\n")
    (folder / "quote.attest.bak").write_bytes(b"\0")
    (folder / "ima_at_quote.txt").write_bytes(b"\0")
    (folder / "reference.json").write_text("{}")
    (folder / "policy.toml").write_text('name = "mine"\n')
    (folder / "more").mkdir()

    assert judge(folder, reference, "--json").document == judge(boot, reference, "--json").document


TYPES = {
    "HASH_START": EventType.TXT_HASH_START,
    "SINIT_PUBKEY_HASH": EventType.TXT_SINIT_PUBKEY_HASH,
    "MLE_HASH tboot": EventType.TXT_MLE_HASH,
}


def launch_events() -> tuple[Event, ...]:
    """What the dynamic launch of `vm_drtm` extended, as events of a log."""
    done = json.loads((BOOTS / "vm_drtm" / "drtm.done").read_text("utf-8"))
    return tuple(
        Event(
            index=index,
            offset=0,
            pcr=pcr,
            reported_type=TYPES.get(what, EventType.TBOOT_MODULE),
            digests={HashAlg.SHA256: bytes.fromhex(digest)},
            data=what.encode(),
        )
        for index, (pcr, digest, what) in enumerate(done["log"])
    )


def with_launch_log(folder: Path) -> None:
    (folder / "txt_eventlog.bin").write_bytes(log_bytes(launch_events(), (HashAlg.SHA256,)))


def with_longer_boot_log(folder: Path) -> None:
    path = folder / "bios_at_quote.bin"
    path.write_bytes(log_bytes((*decode_boot_log(path.read_bytes()).events, *launch_events())))


@pytest.mark.parametrize("explain", [with_launch_log, with_longer_boot_log])
def test_a_dynamic_launch_that_its_log_explains_is_level_4_with_a_warning(
    explain: Callable[[Path], None], reference: Path, tmp_path: Path
) -> None:
    folder = copied("vm_drtm", tmp_path)
    explain(folder)
    ran = judge(folder, reference, "--json")
    launch = [place(finding) for finding in ran.findings if finding["id"] == "recognised.launch"]

    assert (ran.document["level"], ran.document["contraindicated"], ran.code) == (4, False, 0)
    assert launch == [("recognised.launch", pcr, None) for pcr in (17, 18, 19)]
    assert {f["tier"] for f in ran.findings if f["id"] == "recognised.launch"} == {"warning"}
    assert [f["tier"] for f in ran.findings if f["id"] == "launch.explained"] == ["affirming"]


def test_a_forged_launch_log_is_level_1_and_contraindicated(reference: Path, tmp_path: Path) -> None:
    folder = copied("vm_drtm", tmp_path)
    first, *rest = launch_events()
    (folder / "txt_eventlog.bin").write_bytes(log_bytes(rest, (HashAlg.SHA256,)))
    ran = judge(folder, reference, "--json")

    assert first.pcr == 17
    assert (ran.document["level"], ran.document["contraindicated"], ran.code) == (1, True, 1)
