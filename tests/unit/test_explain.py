"""`bartizan explain`: what happened, what vouches for it, what to do; and nothing of the evidence steers a screen."""

import re
from dataclasses import replace
from pathlib import Path
from unicodedata import bidirectional, category

import pytest

from bartizan.app.chain import chain_of
from bartizan.app.defaults import catalogue
from bartizan.cli.verdict import show_explanations
from bartizan.model.boot_log import EventType
from tests.simulator.machine import Machine, attested, file_line, good, measured
from tests.unit.cases_boot import LAUNCHED
from tests.unit.cli_runner import BOOTS, Ran, judge, run
from tests.unit.ima_lists import ng

TOLD: dict[str, list[str]] = {
    "attack_cmdline": [
        "init=/bin/sh selinux=0 apparmor=0 added (kernel_cmdline) [PCR 8, event 42]",
        "Undo the named words",
    ],
    "attack_noima": [
        "ima_hash=sha256 missing (kernel_cmdline) [PCR 8, event 42]",
        "Add ima_policy=tcb to the kernel command line",
    ],
    "attack_sb_off": [
        "Secure Boot was off: the firmware started whatever it found [PCR 7, event 3]",
        "Enable Secure Boot",
    ],
    "attack_disk_tamper": [
        "/usr/bin/cut is known under another digest: the file was replaced or changed",
        "Look at the named path",
    ],
    "attack_runtime_tamper": ["/usr/bin/cut was measured twice in this boot", "Compare with the package"],
    "attack_unknown_binary": ["/root/.x/rootkit is not a known file [PCR 10, entry 29]", "Look at the named path"],
    "attack_violation": ["could not vouch for /etc/motd: open-writers", "for /etc/issue: ToMToU", "Find the writer"],
    "vm_drtm": ["PCR 17 has left its reset value", "Send the TXT or SKINIT event log"],
    "confine": ["/opt/agent/scen/confine is not a known file"],
    "module_load": ["(a kernel module, whose signature cannot be proved from ima-ng)"],
    "iommu": ["intel_iommu=on added (kernel_cmdline)"],
    "selinux": ["enforcing=1 added (kernel_cmdline)"],
}


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reference")
    assert run("reference", "propose", BOOTS / "good", "--out", folder).code == 0
    return folder


def explained(boot: str | Path, reference: Path, *more: str) -> Ran:
    return judge(boot, reference, *more, command="explain")


def words(text: str) -> str:
    """The text without its line breaks, which stand where the screen ends."""
    return " ".join(text.split())


@pytest.mark.parametrize("boot", TOLD)
def test_every_attack_is_told_with_what_vouches_for_it_and_what_to_do(boot: str, reference: Path) -> None:
    text = words(explained(boot, reference).out)

    for said in TOLD[boot]:
        assert said in text
    assert "vouched for by: the TPM" in text
    for label in ("why it matters: ", "what to do: "):
        assert label in text


@pytest.mark.parametrize("boot", TOLD)
def test_each_check_that_is_not_in_order_is_explained_once_and_in_full(boot: str, reference: Path) -> None:
    ran = explained(boot, reference)
    text, document = words(ran.out), explained(boot, reference, "--json").document
    wrong = {finding["id"] for finding in document["findings"] if finding["tier"] != "affirming"}

    assert wrong == set(document["explanations"])
    for check in wrong:
        row = catalogue()[check]
        assert ran.out.count(f"  {check}  – expected: ") == 1
        assert words(f"what to do: {row.fix}") in text
        assert words(f"why it matters: {row.why}") in text
        assert document["explanations"][check]["fix"] == row.fix


def test_the_worst_comes_first_and_then_what_breaks_a_rung(reference: Path) -> None:
    heads = re.findall(
        r"^[!✘–] \w+  (\S+)  – expected", explained("attack_runtime_tamper", reference).out, re.MULTILINE
    )

    assert heads[:2] == ["ima.known-files", "ima.changed-file"]
    assert set(heads[2:]) == {
        "identity.activation",
        "platform.first-step",
        "posture.binding",
        "posture.form",
        "ima.blind-spots",
    }


def test_who_vouches_is_told_apart(reference: Path) -> None:
    text = words(explained("good", reference).out)

    assert "the posture is not bound to the quote" in text
    assert "vouched for by: the node's own word" in text
    refused = words(run("explain", BOOTS / "good").out)
    assert "vouched for by: a certificate" in refused


def test_the_chain_is_drawn_from_the_first_step_to_the_running_system(reference: Path) -> None:
    out = explained("good", reference).out
    chain = out[out.index("Who measured whom") :].split("\n\n")[0].splitlines()[1:]

    assert len(chain) == 11
    assert chain[0].startswith("  └─ ✔ firmware, which nobody measured first, measured itself: 4 events in PCR 0")
    assert "Secure Boot policy (on)" in chain[2]
    assert "image of event 23 measured \\EFI\\BOOT\\grubx64.efi" in chain[4]
    assert "command line: /vmlinuz console=ttyS0" in chain[6]
    assert chain[-1].strip().startswith("└─ ✔ kernel measured 110 files and events since")


BROKEN_LINKS = {
    "attack_cmdline": {("loader", 8, "warning"), ("loader", 9, "warning"), ("kernel", 10, "warning")},
    "attack_disk_tamper": {("kernel", 10, "contraindicated")},
    "attack_violation": {("kernel", 10, "warning")},
    "vm_drtm": {("the CPU (dynamic launch)", 17, "none")},
    "good": set(),
}


@pytest.mark.parametrize("boot", BROKEN_LINKS)
def test_the_chain_breaks_where_the_attack_was(boot: str, reference: Path) -> None:
    links = explained(boot, reference, "--json").document["chain"]

    assert {(link["measurer"], link["at"]["pcr"], link["tier"]) for link in links if link["tier"] != "affirming"} == (
        BROKEN_LINKS[boot]
    )


def chain(machine: Machine) -> list[str]:
    outcome = attested(machine.evidence())
    assert outcome.verified is not None
    return [f"{link.measurer} > {link.measured}" for link in chain_of(outcome.verified, outcome.result.findings)]


def test_the_first_measurer_is_the_hardware_where_it_was() -> None:
    said = replace(measured(0, EventType.NO_ACTION, b"StartupLocality\0\3"), digests={})

    assert chain(replace(good().inserted(0, said), locality=3))[0].startswith(
        "an authenticated code module (locality 3) > "
    )
    assert chain(good())[0].startswith("firmware, which nobody measured first, > ")


def test_option_roms_and_a_launch_are_links_where_there_are_any() -> None:
    rom = measured(2, EventType.EFI_BOOT_SERVICES_DRIVER, b"rom")

    assert any("option ROMs: 2 events in PCR 2" in link for link in chain(good().inserted(3, rom)))
    assert not any("option ROMs" in link for link in chain(good()))
    assert "the CPU (dynamic launch) > launched code" in chain(LAUNCHED)


def test_a_machine_without_a_list_has_no_last_link() -> None:
    outcome = attested(replace(good().evidence(), ima=None))
    assert outcome.verified is not None

    assert not any(link.measurer == "kernel" for link in chain_of(outcome.verified, outcome.result.findings))


def test_a_machine_that_was_refused_has_no_chain() -> None:
    ran = run("explain", BOOTS / "good")

    assert "Who measured whom" not in ran.out
    assert run("explain", BOOTS / "good", "--json").document["chain"] == []


def test_many_findings_of_one_kind_are_counted(reference: Path, tmp_path: Path) -> None:
    lines = [file_line(b"/opt/%d" % number, b"%d" % number) for number in range(30)]
    folder = good().running(*lines).write(tmp_path / "many")
    out = run("explain", folder, "--roots", folder / "roots", "--reference", reference).out

    assert "/opt/19 is not a known file" in out
    assert "/opt/20 is not" not in out
    assert "and 10 more of this kind (--json lists all)" in out


HOSTILE = "\x1b[31mred\x1b]0;title\x07\r\nforged line\x9b2J\u202eslive\u2066\u200f[bold]<script>&amp;[/bold]\x00\x7f"
BYTES = HOSTILE.encode() + b"\xff\xfe"


def hostile_machine() -> Machine:
    """A machine on which every text that an attacker can write is written by one."""
    text = BYTES.replace(b"\0", b"")
    machine = good().running(file_line(text.replace(b"/", b"_"), b"x"), ng(b"/v/" + text, violation=True))
    machine = machine.with_event(42, data=b"kernel_cmdline: " + text)
    machine = machine.with_event(34, data=b"(hd0)/" + text + b"\0").with_event(38, data=b"grub_cmd: linux " + text)
    machine = machine.inserted(0, measured(0, EventType.S_CRTM_CONTENTS, text))
    return machine.inserted(1, measured(0, EventType.S_CRTM_VERSION, HOSTILE.encode("utf-16-le")))


def is_plain(char: str) -> bool:
    return char == "\n" or (
        char.isprintable() and not category(char).startswith("M") and bidirectional(char) not in {"R", "AL", "AN"}
    )


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hostile_machine().write(tmp_path_factory.mktemp("hostile") / "evidence")


@pytest.mark.parametrize("command", ["explain", "appraise"])
def test_nothing_of_the_evidence_steers_the_screen(command: str, hostile: Path, reference: Path) -> None:
    ran = run(command, hostile, "--roots", hostile / "roots", "--reference", reference)

    assert ran.code == 1
    assert [char for char in ran.out + ran.err if not is_plain(char)] == []
    assert r"\x1b[31mred" in ran.out
    assert r"\u202eslive" in ran.out
    assert "\nforged line" not in ran.out


@pytest.mark.parametrize("command", ["log", "ima"])
def test_nothing_of_a_single_file_steers_the_screen(command: str, hostile: Path) -> None:
    file = hostile / ("bios_at_quote.bin" if command == "log" else "ima_at_quote.bin")
    ran = run(command, file, "--pcrs", hostile / "pcrs_at_quote.json", "--all")

    assert [char for char in ran.out + ran.err if not is_plain(char)] == []


def test_where_everything_is_in_order_one_line_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    result = attested(good().evidence()).result
    fine = replace(result, findings=tuple(some for some in result.findings if some.passes))
    show_explanations(fine, catalogue())

    assert capsys.readouterr().out == "Everything that was looked at is in order.\n"


def test_markup_is_text(hostile: Path, reference: Path) -> None:
    out = words(run("explain", hostile, "--roots", hostile / "roots", "--reference", reference).out)

    assert "[bold]<script>&amp;[/bold]" in out


@pytest.mark.parametrize("command", ["explain", "appraise"])
def test_the_document_is_ascii_and_its_texts_are_inert(command: str, hostile: Path, reference: Path) -> None:
    ran = run(command, hostile, "--roots", hostile / "roots", "--reference", reference, "--json")
    texts = [text for finding in ran.findings for text in (finding["why"], finding["at"].get("path", ""))]
    texts += [link["measured"] for link in ran.document.get("chain", [])]

    assert ran.out.isascii()
    assert all(is_plain(char) and char != "\n" for text in texts for char in text)


def test_proposals_and_differences_are_inert_too(hostile: Path, reference: Path, tmp_path: Path) -> None:
    folder = good().running(file_line(BYTES.replace(b"\0", b""), b"x")).write(tmp_path / "evidence")
    for ran in (
        run("reference", "propose", folder, "--out", tmp_path / "out"),
        run("reference", "diff", reference, hostile),
        run("reference", "diff", reference, folder),
    ):
        assert [char for char in ran.out + ran.err if not is_plain(char)] == []
