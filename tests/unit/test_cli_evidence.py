"""`bartizan quote`, `ima` and `log`: one piece of evidence by itself; exit codes, documents, and what people read."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.simulator.quotes import SHA256, SIGNERS, flipped, quote_of
from tests.unit.cli_runner import BOOTS, Ran, ids, run
from tests.unit.ima_lists import Line, binary

GOOD = BOOTS / "good"
SWTPM = BOOTS / "swtpm"
KEYS = ("ak_rsa2048", "ak_ecc256", "ak_ecc384")
SELECTIONS = ("sha1", "sha256", "sha384", "sha1+sha256")


def quote(
    *more: str | Path,
    attest: Path = GOOD / "quote.attest",
    signature: Path = GOOD / "quote.sig",
    key: Path = GOOD / "ak.pub",
) -> Ran:
    return run("quote", "--attest", attest, "--signature", signature, "--key", key, *more)


PROVED = ("--nonce", GOOD / "nonce.bin", "--pcrs", GOOD / "pcrs_at_quote.json")


def tampered(source: Path, target: Path, at: int = -1) -> Path:
    """A copy with one bit changed."""
    target.write_bytes(flipped(source.read_bytes(), at))
    return target


def test_a_quote_is_verified_part_by_part() -> None:
    ran = quote(*PROVED, "--json")
    document = ran.document

    assert ran.code == 0
    assert (document["signature"], document["extra_data"], document["pcr_digest"]) == (True, True, True)
    assert document["selection"] == {bank: list(range(24)) for bank in ("sha1", "sha256", "sha384")}
    assert set(document["clock"]) == {"clock", "reset_count", "restart_count", "safe"}
    assert (document["status"], document["generation"]) == ("affirming", "TPM 2.0")
    assert document["extra_data_hex"] == (GOOD / "nonce.bin").read_bytes().hex()


def test_what_was_not_given_is_not_judged() -> None:
    document = quote("--json").document

    assert (document["signature"], document["extra_data"], document["pcr_digest"]) == (True, None, None)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("banks", SELECTIONS)
def test_every_quote_of_the_emulated_tpm_verifies(key: str, banks: str) -> None:
    name = f"{key}.{banks}"
    files = {
        "attest": SWTPM / f"{name}.attest",
        "signature": SWTPM / f"{name}.sig",
        "key": SWTPM / f"{key}.tpm2b_public",
    }
    ran = quote("--nonce", SWTPM / "nonce.bin", "--pcrs", SWTPM / "pcrs.json", "--json", **files)

    assert ran.code == 0
    assert set(ran.document["selection"]) == set(banks.split("+"))
    assert ran.document["status"] == ("warning" if banks == "sha1" else "affirming")


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
def test_a_key_in_pem_or_der_verifies_as_well(encoding: Encoding, tmp_path: Path) -> None:
    signer = SIGNERS["rsapss-sha256"]
    raw = quote_of({SHA256: {0: bytes(32)}}, signer=b"", extra=b"").encode()
    public = signer.private.public_key().public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)
    files = {"attest": raw, "signature": signer.sign(raw).encode(), "key": public}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    ran = quote("--json", **{name: tmp_path / name for name in files})

    assert (ran.code, ran.document["signature"]) == (0, True)


BROKEN = {
    "the quote": ("attest", "quote.attest", "quote.signature"),
    "the signature": ("signature", "quote.sig", "quote.signature"),
    "the nonce": ("--nonce", "nonce.bin", "quote.extra-data"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_one_wrong_part_is_told_and_the_others_too(name: str, tmp_path: Path) -> None:
    option, file, check = BROKEN[name]
    bad = tampered(GOOD / file, tmp_path / file)
    ran = quote(
        *PROVED,
        *((option, bad) if option.startswith("--") else ()),
        "--json",
        **({} if option.startswith("--") else {option: bad}),
    )
    wrong = [finding["id"] for finding in ran.findings if finding["tier"] == "contraindicated"]

    assert (ran.code, ran.document["status"]) == (1, "contraindicated")
    assert check in wrong
    assert ids(ran.findings) >= {"quote.signature", "quote.extra-data", "quote.pcr-digest"}


def test_other_pcr_values_are_told(tmp_path: Path) -> None:
    values = json.loads((GOOD / "pcrs_at_quote.json").read_text("utf-8"))
    values["sha256"]["16"] = "01" * 32
    (tmp_path / "pcrs.json").write_text(json.dumps(values), encoding="utf-8")
    ran = quote("--pcrs", tmp_path / "pcrs.json", "--json")

    assert (ran.code, ran.document["pcr_digest"], ran.document["signature"]) == (1, False, True)


def test_people_read_the_same_about_a_quote() -> None:
    ran = quote(*PROVED)

    assert ran.code == 0
    for said in (
        "signed by this key",
        "✔ yes",
        "covers sha256",
        "PCR 0-23",
        "reset 2, restart 0",
        "status: ✔ affirming",
    ):
        assert said in ran.out
    assert "not given" in quote().out
    assert "quote.signature" in quote("--all").out


@pytest.mark.parametrize("file", ["attest", "signature", "key"])
def test_what_is_no_quote_is_refused(file: str, tmp_path: Path) -> None:
    (tmp_path / "bad").write_bytes(b"bad")
    ran = quote("--json", **{file: tmp_path / "bad"})

    assert (ran.code, ran.document["error"]["kind"]) == (2, "decode")
    assert set(ran.document["error"]) == {"kind", "what", "offset", "why"}
    (tmp_path / "bad").unlink()
    assert quote("--json", **{file: tmp_path / "bad"}).document["error"]["kind"] == "config"


@pytest.mark.parametrize("option", ["--nonce", "--pcrs"])
def test_an_option_that_names_no_file_is_refused(option: str, tmp_path: Path) -> None:
    assert quote(option, tmp_path / "nothing", "--json").document["error"]["kind"] == "config"


def test_a_certification_proves_no_pcr(tmp_path: Path) -> None:
    raw = (GOOD / "quote.attest").read_bytes()
    head = raw[: raw.index(b"\0\0\0\3\0\4\3")]
    (tmp_path / "attest").write_bytes(head[:4] + b"\x80\x17" + head[6:] + b"\0\0\0\0")
    ran = quote(*PROVED, "--json", attest=tmp_path / "attest")

    assert (ran.code, ran.document["selection"], ran.document["pcr_digest"]) == (1, {}, False)


def old_quote(tmp_path: Path, nonce: bytes) -> dict[str, Any]:
    """A TPM 1.2 quote of two PCRs; TPM Main Part 2, 11.3 and 8.2."""
    values = {0: b"\1" * 20, 10: b"\2" * 20}
    composite = b"\0\3" + (1 | 1 << 10).to_bytes(3, "little") + (40).to_bytes(4, "big") + values[0] + values[10]
    raw = b"\1\1\0\0QUOT" + hashlib.sha1(composite, usedforsecurity=False).digest() + nonce
    key = rsa.generate_private_key(65537, 2048)
    (tmp_path / "attest").write_bytes(raw)
    (tmp_path / "signature").write_bytes(key.sign(raw, padding.PKCS1v15(), SHA1()))  # noqa: S303  as a TPM 1.2 does
    (tmp_path / "key").write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    (tmp_path / "nonce").write_bytes(nonce)
    (tmp_path / "pcrs").write_text(json.dumps({"sha1": {str(pcr): value.hex() for pcr, value in values.items()}}))
    return {name: tmp_path / name for name in ("attest", "signature", "key")}


def test_a_tpm_1_2_quote_is_history(tmp_path: Path) -> None:
    files = old_quote(tmp_path, b"\7" * 20)
    ran = quote("--nonce", tmp_path / "nonce", "--pcrs", tmp_path / "pcrs", "--json", **files)

    assert (ran.code, ran.document["generation"], ran.document["status"]) == (0, "TPM 1.2", "warning")
    assert (ran.document["signature"], ran.document["extra_data"], ran.document["pcr_digest"]) == (True, True, True)
    assert (ran.document["clock"], ran.document["selection"]) == (None, {})
    assert "SHA-1 strength" in quote(**files).out


@pytest.mark.parametrize("name", ["attest", "signature", "nonce", "pcrs"])
def test_a_changed_tpm_1_2_quote_is_told(name: str, tmp_path: Path) -> None:
    files = old_quote(tmp_path, b"\7" * 20)
    raw = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(raw.replace(b"01010101", b"01010102", 1) if name == "pcrs" else flipped(raw))
    ran = quote("--nonce", tmp_path / "nonce", "--pcrs", tmp_path / "pcrs", "--json", **files)

    assert (ran.code, ran.document["status"]) == (1, "contraindicated")


def pcr10() -> str:
    values: dict[str, dict[str, str]] = json.loads((GOOD / "pcrs_at_quote.json").read_text("utf-8"))
    return values["sha256"]["10"]


LIST = GOOD / "ima_at_quote.bin"


@pytest.mark.parametrize(
    "options", [("--pcrs", GOOD / "pcrs_at_quote.json"), ("--pcr10", pcr10()), ("--pcr10", pcr10(), "--bank", "sha256")]
)
def test_a_list_is_held_against_pcr_10(options: tuple[str | Path, ...]) -> None:
    ran = run("ima", LIST, *options, "--json")

    assert (ran.code, ran.document["matched_entries"], ran.document["entries"]) == (0, 110, 110)
    assert (ran.document["template"], ran.document["violations"]) == ("ima-ng", 0)
    assert "110 of 110 entries lead to PCR 10 of the sha256 bank" in run("ima", LIST, *options).out


def test_a_list_by_itself_is_decoded_and_not_judged() -> None:
    ran = run("ima", LIST, "--json")

    assert (ran.code, ran.document["matched_entries"], ran.document["pinned"]) == (0, None, None)
    assert "ima.replays" not in ids(ran.findings)
    assert "not held against a TPM" in run("ima", LIST).out


def test_a_list_of_another_tpm_is_bad() -> None:
    ran = run("ima", LIST, "--pcr10", "01" * 32, "--json")

    assert (ran.code, ran.document["matched_entries"], ran.document["status"]) == (1, None, "contraindicated")
    assert "no part of the list leads to PCR 10" in run("ima", LIST, "--pcr10", "01" * 32).out


IMA_REFUSALS: dict[str, tuple[tuple[str | Path, ...], str]] = {
    "both": (("--pcr10", "00" * 32, "--pcrs", GOOD / "pcrs_at_quote.json"), "config"),
    "an unknown bank": (("--pcr10", "00" * 32, "--bank", "sha257"), "config"),
    "another length": (("--pcr10", "00" * 20), "config"),
    "no hexadecimal": (("--pcr10", "xx"), "decode"),
    "upper case": (("--pcr10", "AA" * 32), "decode"),
}


@pytest.mark.parametrize("name", IMA_REFUSALS)
def test_a_value_of_pcr_10_that_cannot_be_one_is_refused(name: str) -> None:
    options, kind = IMA_REFUSALS[name]
    ran = run("ima", LIST, *options, "--json")

    assert (ran.code, ran.document["error"]["kind"]) == (2, kind)


def test_pcr_values_without_pcr_10_are_refused(tmp_path: Path) -> None:
    (tmp_path / "pcrs.json").write_text(json.dumps({"sha256": {"0": "00" * 32}}), encoding="utf-8")
    ran = run("ima", LIST, "--pcrs", tmp_path / "pcrs.json", "--json")

    assert (ran.code, ran.document["error"]["kind"]) == (2, "config")


def test_what_is_no_list_is_refused(tmp_path: Path) -> None:
    (tmp_path / "list").write_bytes(b"\0")
    ran = run("ima", tmp_path / "list", "--json")

    assert (ran.code, ran.document["error"]["kind"]) == (2, "decode")
    assert run("ima", tmp_path / "nothing", "--json").document["error"]["kind"] == "config"


def test_names_of_a_list_are_shown_inert(tmp_path: Path) -> None:
    hostile = "\x1b[31m\n<b>[bold]\u202e".encode()
    (tmp_path / "list").write_bytes(binary([Line(f"x{hostile.decode()}", (b"data",), b"")]))
    for options in ((), ("--json",)):
        ran = run("ima", tmp_path / "list", *options)

        assert "\x1b" not in ran.out + ran.err
        assert "\u202e" not in ran.out + ran.err


def test_a_boot_log_is_replayed_and_compared(tmp_path: Path) -> None:
    log, pcrs = GOOD / "bios_at_quote.bin", GOOD / "pcrs_at_quote.json"
    ran = run("log", log, "--pcrs", pcrs, "--json")

    assert (ran.code, ran.document["events"], ran.document["status"]) == (0, 48, "affirming")
    assert all(all(bank.values()) for bank in ran.document["matches"].values())
    ran = run("log", tampered(log, tmp_path / "log", at=1000), "--pcrs", pcrs, "--json")
    assert ran.code in (1, 2)
    (tmp_path / "bad").write_bytes(b"\0")
    assert run("log", tmp_path / "bad", "--json").document["error"]["kind"] == "decode"
    assert run("log", tmp_path / "nothing", "--json").document["error"]["kind"] == "config"
