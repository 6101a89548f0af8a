"""`bartizan log`: what people and programs are told is the same, the exit code says it too, and no text does harm."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bartizan.app.inspect_log import inspect_log
from bartizan.model.boot_log import BootLog, Event, EventType, type_label
from bartizan.model.digest import HashAlg
from tests.simulator.boot_logs import (
    BOOTS,
    LOGS,
    appended,
    changed,
    encode,
    known_pcrs,
    log_of,
    measured,
    of_pcr,
    recorded,
    separator,
    started_from,
    tpm_after,
)
from tests.unit.cli_runner import Ran, run

SHA1, SHA256 = HashAlg.SHA1, HashAlg.SHA256
BANKS = (SHA1, SHA256, HashAlg.SHA384)
GOOD = BOOTS / "good" / "bios_at_quote.bin"
GOOD_PCRS = BOOTS / "good" / "pcrs_at_quote.json"
RHEL = "google_go-eventlog/testdata__eventlogs__tpm__rhel8-uefi.bin"
WORDS = {"affirming": "✔ affirming", "warning": "! warning", "none": "– none", "contraindicated": "✘ contraindicated"}


def file_of(folder: Path, log: BootLog, name: str = "log.bin") -> Path:
    path = folder / name
    path.write_bytes(encode(log))
    return path


def pcrs_of(folder: Path, log: BootLog, **changed_values: str) -> Path:
    """What a TPM holds after this log, but for what is given as `sha256_4`."""
    table = {a.label: {str(p): v.hex() for p, v in values.items()} for a, values in tpm_after(log).items()}
    for key, value in changed_values.items():
        bank, pcr = key.split("_")
        table[bank][pcr] = value
    path = folder / "pcrs.json"
    path.write_text(json.dumps(table), encoding="utf-8")
    return path


def words(ran: Ran) -> str:
    """Human output as one line of single-spaced words, so that wrapping does not matter."""
    return " ".join(ran.out.split())


def squeezed(text: str) -> str:
    """Without any space: a long value may be broken anywhere."""
    return "".join(text.split())


# --- the same content for people and programs


OUTCOMES = ("good", "good with PCRs", "a warning", "contraindicated", "other PCRs", "SHA-1", "padded", "a launch")


def judged_logs(folder: Path) -> dict[str, tuple[list[str | Path], int]]:
    """Arguments and exit code of logs with every kind of outcome."""
    good = recorded("boots/good")
    late = appended(good, measured(4, EventType.EFI_BOOT_SERVICES_APPLICATION, b"", of=b"late", banks=BANKS))
    wrong = pcrs_of(folder, good, sha256_4="11" * 32, sha1_2="22" * 20)
    return {
        "good": ([GOOD], 0),
        "good with PCRs": ([GOOD, "--pcrs", GOOD_PCRS], 0),
        "a warning": ([LOGS / "google_go-eventlog/testdata__eventlogs__tpm__glinux-alex.bin"], 0),
        "contraindicated": ([file_of(folder, late)], 1),
        "other PCRs": ([GOOD, "--pcrs", wrong], 1),
        "SHA-1": ([LOGS / "google_go-eventlog/testdata__eventlogs__tpm__debian-10.bin"], 0),
        "padded": ([LOGS / "intel-secl_intel-secl/pkg__tagent__test__eventlog__txt-logs.bin"], 0),
        "a launch": (
            [BOOTS / "swtpm/drtm/txt_eventlog.bin", "--pcrs", BOOTS / "swtpm/drtm/pcrs.json"],
            0,
        ),
    }


@pytest.mark.parametrize("name", OUTCOMES)
def test_people_and_programs_are_told_the_same(name: str, tmp_path: Path) -> None:
    arguments, code = judged_logs(tmp_path)[name]

    ran, shown = run("log", *arguments, "--json"), run("log", *arguments, "--all")

    assert ran.code == shown.code == code
    assert ran.err == shown.err == ""
    document, text = ran.document, words(shown)
    assert f"{document['format']} boot log, {document['events']} events" in text
    assert (f"{document['padding']} bytes of padding" in text) is (document["padding"] > 0)
    held = bool(document["matches"]) or document["quote"] is not None
    note = "" if held else " decoded; not held against a TPM (give --pcrs)"
    assert text.endswith(f"status: {WORDS[document['status']]}{note}")
    assert all(squeezed(value)[:64] in squeezed(shown.out) for value in document["banks"][document["pinned"]].values())
    for finding in document["findings"]:
        assert WORDS[finding["tier"]] in text
        assert finding["id"] in text
        assert squeezed(finding["why"])[:40] in squeezed(shown.out)
    matches = [holds for bank in document["matches"].values() for holds in bank.values()]
    assert ("✘ no" in text) is (False in matches)
    assert ("✔ yes" in text) is (True in matches)


def test_the_document_is_what_the_report_holds() -> None:
    report = inspect_log((LOGS / RHEL).read_bytes(), None)

    document = run("log", LOGS / RHEL, "--json").document

    assert (document["format"], document["events"], document["padding"]) == ("crypto-agile", 82, 0)
    assert (document["pinned"], document["status"], document["findings"]) == ("sha256", "affirming", [])
    assert document["matches"] == {}
    assert document["banks"] == {
        bank.label: {str(pcr): value.hex() for pcr, value in values.items()} for bank, values in report.banks.items()
    }


def test_matches_are_given_for_each_bank_and_pcr_that_was_given(tmp_path: Path) -> None:
    pcrs = tmp_path / "pcrs.json"
    pcrs.write_text(json.dumps(known_pcrs()[RHEL]), encoding="utf-8")

    ran = run("log", LOGS / RHEL, "--pcrs", pcrs, "--json")

    assert ran.code == 0
    assert ran.document["matches"] == {bank: dict.fromkeys(values, True) for bank, values in known_pcrs()[RHEL].items()}


def test_a_finding_has_its_one_shape(tmp_path: Path) -> None:
    log = appended(recorded("boots/good"), separator(5, banks=BANKS))

    for finding in run("log", file_of(tmp_path, log), "--json").findings:
        assert set(finding) == {"id", "claim", "tier", "why", "anchor", "at"}
        assert finding["at"] == {"pcr": 5, "event": len(log.events) - 1, "bank": "sha256"}
        assert finding["anchor"] == "tpm"


def test_affirming_findings_are_shown_to_people_on_request_only() -> None:
    brief, whole = run("log", GOOD, "--pcrs", GOOD_PCRS), run("log", GOOD, "--pcrs", GOOD_PCRS, "--all")

    assert "boot.pcr-explained" not in brief.out
    assert "boot.pcr-explained" in whole.out
    assert "EV_EFI_VARIABLE_DRIVER_CONFIG" not in brief.out
    assert "EV_EFI_VARIABLE_DRIVER_CONFIG" in whole.out


def test_pcrs_that_nothing_was_measured_into_are_named_together() -> None:
    assert "PCR 11-13, 15, 17-22" in words(run("log", GOOD, "--pcrs", GOOD_PCRS))


def test_every_event_is_listed_by_index_pcr_and_label() -> None:
    shown = words(run("log", GOOD, "--all"))

    for event in recorded("boots/good").events:
        assert f" {event.index} {event.pcr} {type_label(event.reported_type)} " in shown


def test_an_event_of_no_pcr_is_listed_without_one() -> None:
    log = LOGS / "keylime_python3-uefi-eventlog/testing__good_logs__thinkpad__p511.bin"

    assert "– EV_NO_ACTION" in words(run("log", log, "--all"))


# --- errors: exit code 2, in words or as one document


def errors(folder: Path) -> dict[str, tuple[list[str | Path], dict[str, Any]]]:
    """Arguments that are refused, and what the JSON error says."""
    texts = {"short": b"\0\0\0\0", "twice": encode(log_of(banks=(SHA256, SHA256))), "log": encode(log_of(separator(0)))}
    texts |= {
        "no.json": b"{",
        "odd.json": b'{"sha256": {"24": "00"}}',
        "sha1.json": b'{"sha1": {"0": "%s"}}' % (b"00" * 20),
    }
    for name, raw in texts.items():
        (folder / name).write_bytes(raw)
    log = folder / "log"
    return {
        "empty": (
            [LOGS / "keylime_keylime/test__data__create-mb-policy__binary_bios_measurements-empty"],
            {"offset": 0},
        ),
        "padding": ([folder / "short"], {"kind": "decode", "what": "boot log", "offset": 0}),
        "header": ([folder / "twice"], {"kind": "decode", "what": "digestSizes", "offset": 64}),
        "no such file": ([folder / "none"], {"kind": "config"}),
        "a folder": ([folder], {"kind": "config"}),
        "PCRs that are not JSON": ([log, "--pcrs", folder / "no.json"], {"kind": "decode", "what": "PCR file"}),
        "PCR 24": ([log, "--pcrs", folder / "odd.json"], {"kind": "decode", "what": "PCR file"}),
        "no bank in common": ([log, "--pcrs", folder / "sha1.json"], {"kind": "config"}),
    }


ERRORS = (
    "empty",
    "padding",
    "header",
    "no such file",
    "a folder",
    "PCRs that are not JSON",
    "PCR 24",
    "no bank in common",
)


@pytest.mark.parametrize("name", ERRORS)
def test_what_cannot_be_used_is_refused_with_its_reason(name: str, tmp_path: Path) -> None:
    arguments, expected = errors(tmp_path)[name]

    ran, shown = run("log", *arguments, "--json"), run("log", *arguments)

    assert ran.code == shown.code == 2
    error = ran.document["error"]
    assert set(ran.document) == {"error"}
    assert set(error) <= {"kind", "what", "offset", "why"}
    assert {"kind", "what", "why"} <= set(error)
    assert expected.items() <= error.items()
    assert (ran.err, shown.out) == ("", "")
    assert shown.err.startswith("refused: ")
    assert squeezed(error["why"]) in squeezed(shown.err)


def test_a_log_of_unknown_banks_cannot_be_judged(tmp_path: Path) -> None:
    path = tmp_path / "log.bin"
    path.write_bytes(encode(replace(log_of(), algorithms=(0x7001,)), sizes={0x7001: 8}))

    assert run("log", path, "--json").code == 2


def test_an_unknown_bank_beside_a_known_one_is_named_by_its_number(tmp_path: Path) -> None:
    log = replace(log_of(separator(0)), algorithms=(int(SHA256), 0x7001))
    path = tmp_path / "log.bin"
    path.write_bytes(encode(log, sizes={0x7001: 8}))

    assert "banks sha256, 0x7001" in words(run("log", path))
    assert list(run("log", path, "--json").document["banks"]) == ["sha256"]


# --- hostile text is inert

HOSTILE = (
    b"\x1b]0;owned\x07\x1b[2J\x1b[31mred",
    "two\nlines\r\nand\u2028more\u2029".encode(),
    "right\u202eto\u2066left \u05d0\u05d1".encode(),
    b"<script>alert(1)</script>&amp;",
    b"[red]rich[/red] [link=http://x]y[/link] [/]",
    b"- yaml: {a: [1]}\n# comment",
    b"\xff\xfe\xfd not UTF-8 \x00 nul \x80",
    "zero\u200bwidth e\u0301 combining".encode(),
    b"%s %n {0} ${HOME} `id` $(id)",
)
TYPES = (
    (8, EventType.IPL),
    (0, EventType.S_CRTM_CONTENTS),
    (0, EventType.POST_CODE),
    (1, EventType.ACTION),
    (1, EventType.EFI_ACTION),
    (9, EventType.EVENT_TAG),
    (1, EventType.PLATFORM_CONFIG_FLAGS),
    (0, EventType.NO_ACTION),
    (4, EventType.EFI_BOOT_SERVICES_APPLICATION),
    (7, EventType.EFI_VARIABLE_AUTHORITY),
    (14, 0x7FFFFFFF),
)


def hostile_log() -> BootLog:
    texts = (*HOSTILE, *(b"grub_cmd: " + text for text in HOSTILE))
    return log_of(*(hostile(pcr, int(kind), text) for pcr, kind in TYPES for text in texts), started_from(0))


def hostile(pcr: int, kind: int, text: bytes) -> Event:
    return measured(pcr, kind, text)


def test_hostile_text_in_events_is_inert_on_a_terminal(tmp_path: Path) -> None:
    shown = run("log", file_of(tmp_path, hostile_log()), "--all")

    assert shown.code in (0, 1)
    for char in shown.out:
        assert char == "\n" or char.isprintable(), f"U+{ord(char):04X} reached the terminal"
    assert not set("\u202e\u2066\u05d0\u200b\u0301\u2028") & set(shown.out)
    assert "[red]rich[/red]" in shown.out
    assert "<script>" in shown.out


def test_hostile_text_in_events_is_inert_in_json(tmp_path: Path) -> None:
    ran = run("log", file_of(tmp_path, hostile_log()), "--json")

    assert ran.out.isascii()
    assert all(char == "\n" or char.isprintable() for char in ran.out)
    for finding in ran.findings:
        assert finding["why"].isprintable()


def test_a_hostile_variable_name_is_inert_in_its_finding(tmp_path: Path) -> None:
    good = recorded("boots/good")
    name = "\x1b[31m\u202e\n[red]"
    raw = bytes(16) + len(name).to_bytes(8, "little") + bytes(8) + name.encode("utf-16-le")
    log = changed(good, of_pcr(good, 7)[0].index, data=raw)

    shown, ran = run("log", file_of(tmp_path, log), "--all"), run("log", file_of(tmp_path, log), "--json")

    assert shown.code == 1
    assert all(char == "\n" or char.isprintable() for char in shown.out)
    assert all(finding["why"].isprintable() for finding in ran.findings)


def test_a_hostile_file_name_does_not_colour_the_output(tmp_path: Path) -> None:
    path = file_of(tmp_path, log_of(separator(0)), name="[bold red]log")

    assert "[boldred]log" in squeezed(run("log", path).out)
    assert "[boldred]none[/]" in squeezed(run("log", tmp_path / "[bold red]none[/]").err)
