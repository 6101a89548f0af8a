"""`bartizan appraise`: exit codes, JSON and what people read, for good input and for every kind of bad one."""

import json
import shutil
from pathlib import Path

import pytest

from bartizan.app import judge_folder
from tests.simulator.machine import good, measured
from tests.unit.cli_runner import BOOTS, judge, run

COMMANDS = ("appraise", "explain")


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reference")
    assert run("reference", "propose", BOOTS / "good", "--out", folder).code == 0
    return folder


def copied(boot: str, target: Path) -> Path:
    return Path(shutil.copytree(BOOTS / boot, target / boot))


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("boot", "required", "code"),
    [
        ("good", "0", 0),
        ("good", "4", 0),
        ("good", "5", 1),
        ("good", "6", 1),
        ("attack_cmdline", "2", 0),
        ("attack_cmdline", "3", 1),
        ("attack_unknown_binary", "3", 0),
        ("attack_disk_tamper", "0", 1),
        ("vm_drtm", "1", 0),
        ("vm_drtm", "2", 1),
    ],
)
def test_the_exit_code_says_whether_the_required_level_is_reached(
    command: str, boot: str, required: str, code: int, reference: Path
) -> None:
    """A contraindicated machine is bad whatever level is required."""
    assert judge(boot, reference, "--require", required, command=command).code == code
    assert judge(boot, reference, "--require", required, "--json", command=command).code == code


@pytest.mark.parametrize("level", ["7", "-1", "four", ""])
def test_a_level_that_does_not_exist_is_refused(level: str, reference: Path) -> None:
    ran = judge("good", reference, "--require", level)

    assert (ran.code, ran.out) == (2, "")
    assert "--require" in ran.err


def test_the_document_has_the_agreed_shape(reference: Path) -> None:
    document = judge("good", reference, "--json").document

    assert set(document) >= {"level", "state", "contraindicated", "vector", "findings", "ladder", "policy", "reference"}
    assert set(document["vector"]) == {
        *("instance-identity", "configuration", "executables", "file-system"),
        *("hardware", "runtime-opaque", "storage-opaque", "sourced-data"),
    }
    assert document["reference"].startswith("good@sha256:")
    assert [rung["level"] for rung in document["ladder"]] == [1, 2, 3, 4, 5, 6]
    assert [rung["holds"] for rung in document["ladder"]] == [True, True, True, True, False, None]
    for finding in document["findings"]:
        assert {"id", "claim", "tier", "why", "anchor", "at"} <= set(finding)
        assert set(finding["at"]) <= {"pcr", "event", "entry", "path", "bank", "workload"}


@pytest.mark.parametrize("command", COMMANDS)
def test_json_is_one_ascii_document_and_nothing_else(command: str, reference: Path) -> None:
    for boot in ("good", "attack_runtime_tamper", "vm_drtm"):
        ran = judge(boot, reference, "--json", command=command)

        assert (ran.err, ran.out.isascii()) == ("", True)
        assert ran.out == json.dumps(ran.document, indent=2) + "\n"


def test_people_read_the_verdict_the_ladder_the_claims_and_what_is_not_in_order(reference: Path) -> None:
    ran = judge("attack_disk_tamper", reference)

    assert ran.out.startswith("attack_disk_tamper: level 3 recognised, recorded, ✘ contraindicated\n")
    for said in ("known code", "does not hold", "file-system", "PCR 10, entry 11", "/usr/bin/cut is known", "--all"):
        assert said in ran.out
    assert "boot.pcr-explained" not in ran.out
    assert "boot.pcr-explained" in judge("attack_disk_tamper", reference, "--all").out


def test_without_reference_values_nothing_is_recognised() -> None:
    ran = run("appraise", BOOTS / "good", "--roots", BOOTS, "--json")

    assert (ran.code, ran.document["level"], ran.document["reference"]) == (1, 2, None)
    assert "no Reference Values given" in run("appraise", BOOTS / "good", "--roots", BOOTS).out


def test_without_the_recordings_ca_the_machine_is_not_identified(reference: Path) -> None:
    ran = run("appraise", BOOTS / "good", "--reference", reference, "--json")

    assert (ran.code, ran.document["level"], ran.document["contraindicated"]) == (1, 0, False)
    assert [finding["id"] for finding in ran.findings] == ["identity.ek-chain"]
    assert "level 0 unattested" in run("appraise", BOOTS / "good").out


@pytest.mark.parametrize(
    ("file", "level"), [("ek.pub", 0), ("ek_cert.der", 0), ("bios_at_quote.bin", 1), ("ima_at_quote.bin", 3)]
)
def test_a_missing_part_leaves_what_rests_on_it_unproved(
    file: str, level: int, reference: Path, tmp_path: Path
) -> None:
    folder = copied("good", tmp_path)
    (folder / file).unlink()
    ran = judge(folder, reference, "--json")

    assert (ran.code, ran.document["level"]) == (1, level)


@pytest.mark.parametrize("file", ["nonce.bin", "posture.json", "plat_cert.der", "cmdline"])
def test_a_missing_part_on_which_no_level_rests_changes_none(file: str, reference: Path, tmp_path: Path) -> None:
    folder = copied("good", tmp_path)
    (folder / file).unlink()

    assert judge(folder, reference, "--json").document["level"] == 4


@pytest.mark.parametrize("file", ["quote.attest", "quote.sig", "ak.pub", "pcrs_at_quote.json"])
@pytest.mark.parametrize("command", COMMANDS)
def test_without_a_needed_file_there_is_nothing_to_appraise(
    command: str, file: str, reference: Path, tmp_path: Path
) -> None:
    folder = copied("good", tmp_path)
    (folder / file).unlink()
    ran = judge(folder, reference, "--json", command=command)

    assert (ran.code, ran.document["error"]["kind"]) == (2, "config")
    assert file in ran.document["error"]["why"]


DECODED = (
    *("quote.attest", "quote.sig", "ak.pub", "pcrs_at_quote.json", "ek.pub"),
    *("ek_cert.der", "bios_at_quote.bin", "ima_at_quote.bin"),
)


@pytest.mark.parametrize("file", DECODED)
def test_a_file_that_is_not_what_its_name_says_is_refused_with_its_name(
    file: str, reference: Path, tmp_path: Path
) -> None:
    folder = copied("good", tmp_path)
    (folder / file).write_bytes(b"\x1b[31m not this")
    ran = judge(folder, reference, "--json")
    error = ran.document["error"]

    assert (ran.code, error["kind"]) == (2, "decode")
    assert error["what"].startswith(f"{file}: ")
    assert isinstance(error["offset"], int)
    assert judge(folder, reference).err.startswith("refused: ")
    assert "\x1b" not in judge(folder, reference).err


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", ["nothing", "a file"])
def test_a_folder_that_is_none_is_refused(command: str, name: str, reference: Path, tmp_path: Path) -> None:
    (tmp_path / "a file").write_bytes(b"")
    ran = judge(tmp_path / name, reference, "--json", command=command)

    assert (ran.code, ran.document["error"]["kind"]) == (2, "config")
    assert f"an evidence folder expected, found {name}" in ran.document["error"]["why"]


@pytest.mark.parametrize("option", ["--reference", "--roots", "--policy"])
def test_an_option_that_names_nothing_is_refused_with_its_path(option: str, tmp_path: Path) -> None:
    ran = run("appraise", BOOTS / "good", option, tmp_path / "nothing", "--json")

    assert (ran.code, ran.document["error"]["kind"]) == (2, "config")
    assert str(tmp_path / "nothing") in ran.document["error"]["why"]


def test_a_folder_without_an_anchor_is_refused(tmp_path: Path) -> None:
    shutil.copy(BOOTS / "ek_issuer.pem", tmp_path)
    ran = run("appraise", BOOTS / "good", "--roots", tmp_path, "--json")

    assert (ran.code, ran.document["error"]["kind"]) == (2, "config")


def test_reference_values_that_were_edited_are_refused(reference: Path, tmp_path: Path) -> None:
    text = (reference / "reference.json").read_text("utf-8")
    (tmp_path / "reference.json").write_text(text + " ", encoding="utf-8")
    ran = judge("good", tmp_path, "--json")

    assert (ran.code, ran.document["error"]["kind"]) == (2, "decode")
    assert ran.document["error"]["what"].partition("reference.json: ")[1]


POLICIES = {
    "unknown_files = 1": "Object contains unknown field `unknown_files`",
    'unknown_file = "fine"': "$.unknown_file",
    "[[waiver]]\ncheck = 'quote.signature'\nreason = 'x'": "quote.signature cannot be waived",
    "revoked_images = ['x']": "revoked_images: 64 lower-case",
    "name = 'twice'": "Cannot overwrite a value",
}


@pytest.mark.parametrize("text", POLICIES)
def test_a_policy_with_a_mistake_is_refused_with_its_file_and_setting(text: str, tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(f'name = "mine"\n{text}\n', encoding="utf-8")
    error = run("appraise", BOOTS / "good", "--policy", path, "--json").document["error"]

    assert error["kind"] == "policy"
    assert error["why"].startswith(f"{path}: ")
    assert POLICIES[text] in error["why"]


def test_a_policy_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_bytes(b'name = "\xff"')
    ran = run("appraise", BOOTS / "good", "--policy", path, "--json")

    assert (ran.code, ran.document["error"]) == (
        2,
        {"kind": "policy", "what": f"{path}: not UTF-8 at byte 8", "why": f"{path}: not UTF-8 at byte 8"},
    )


def test_a_policy_hardens_unknown_files_and_has_its_name_in_the_result(reference: Path, tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text('name = "hard"\nunknown_file = "contraindicated"\n', encoding="utf-8")
    document = judge("attack_unknown_binary", reference, "--policy", path, "--json").document

    assert (document["policy"], document["level"], document["contraindicated"]) == ("hard", 3, True)


def test_a_named_exception_is_shown_with_its_reason(reference: Path, tmp_path: Path) -> None:
    folder = good().appended(measured(2, 4, bytes(4))).write(tmp_path / "evidence")
    path = tmp_path / "policy.toml"
    path.write_text(
        'name = "p"\n[[waiver]]\ncheck = "boot.separator"\npcr = 2\nreason = "ticket 4711"\n', encoding="utf-8"
    )
    options = (folder, "--roots", folder / "roots", "--reference", reference)

    assert run("appraise", *options, "--json").document["level"] == 1
    ran = run("appraise", *options, "--policy", path, "--json")
    (finding,) = [finding for finding in ran.findings if finding["id"] == "boot.separator"]
    assert (ran.code, ran.document["level"], finding["tier"], finding["waiver"]) == (0, 4, "warning", "ticket 4711")
    for command in COMMANDS:
        assert "(waived: ticket 4711)" in " ".join(run(command, *options, "--policy", path).out.split())


def test_a_file_over_the_limit_is_refused(reference: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge_folder, "MAX_POLICY", 10)
    (tmp_path / "policy.toml").write_text('name = "longer than ten bytes"\n', encoding="utf-8")
    ran = judge("good", reference, "--policy", tmp_path / "policy.toml", "--json")

    assert (ran.code, ran.document["error"]["kind"]) == (2, "config")
    assert ran.document["error"]["why"].endswith("over the limit of 10 bytes")


def test_a_named_exception_hides_no_finding_from_the_explanation(reference: Path, tmp_path: Path) -> None:
    folder = good().write(tmp_path / "evidence")
    checks = ("identity.activation", "platform.first-step", "ima.blind-spots")
    said = "".join(f'[[waiver]]\ncheck = "{check}"\nreason = "known"\n' for check in checks)
    (tmp_path / "policy.toml").write_text(f'name = "p"\n{said}', encoding="utf-8")
    options = ("--roots", folder / "roots", "--reference", reference, "--policy", tmp_path / "policy.toml")

    assert "Everything that was looked at" not in run("explain", folder, *options).out
    assert "(waived: known)" in " ".join(run("explain", folder, *options).out.split())
