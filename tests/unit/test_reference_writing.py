"""Where a set may be written, what becomes of another one and its signatures, and how sets are named to people."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from bartizan.app.reference_folder import read_reference, write_reference
from bartizan.formats.tpm2 import encode_public
from bartizan.model.boot_log import EventType
from bartizan.model.reference import ReferenceSet
from bartizan.model.tpm import Attribute
from tests.simulator.machine import AK, good, measured
from tests.unit.cli_runner import BOOTS, Ran, run
from tests.unit.test_reference_commands import CUT, EVENT, OWN, bare, keys


@pytest.fixture
def reference(tmp_path: Path) -> Path:
    some = ReferenceSet(name="mixed", source="a test", events=(EVENT,), files=(CUT, OWN), digest="")
    write_reference(some, tmp_path / "ref")
    return tmp_path / "ref"


def boot(reference: Path, *more: str | Path, name: str = "boot") -> Ran:
    return run("reference", "propose", BOOTS / "good", "--out", reference, "--name", name, *more)


def test_another_set_is_not_replaced_without_force(reference: Path, tmp_path: Path) -> None:
    pem, _ = keys(tmp_path, ed25519.Ed25519PrivateKey.generate(), "own")
    run("reference", "sign", reference, "--key", pem)
    before = {path.name: path.read_bytes() for path in reference.iterdir()}

    ran = boot(reference)

    assert ran.code == 2
    assert "anothersetisthere(mixed@sha256:" in bare(ran.err)
    assert "--force" in bare(ran.err)
    assert {path.name: path.read_bytes() for path in reference.iterdir()} == before


def test_by_force_another_set_is_replaced_and_its_signature_deleted(reference: Path, tmp_path: Path) -> None:
    pem, _ = keys(tmp_path, ed25519.Ed25519PrivateKey.generate(), "own")
    run("reference", "sign", reference, "--key", pem)

    assert boot(reference, "--force").code == 0
    assert [path.name for path in reference.iterdir()] == ["reference.json"]
    assert read_reference(reference).name == "boot"


def test_the_same_set_may_be_written_again_and_stays_signed(tmp_path: Path) -> None:
    pem, _ = keys(tmp_path, ed25519.Ed25519PrivateKey.generate(), "own")
    boot(tmp_path / "ref")
    run("reference", "sign", tmp_path / "ref", "--key", pem)

    assert boot(tmp_path / "ref").code == 0
    assert len(run("reference", "show", tmp_path / "ref", "--json").document["signatures"]) == 1


def test_a_file_that_is_no_set_is_replaced_by_force_only(tmp_path: Path) -> None:
    (tmp_path / "ref").mkdir()
    (tmp_path / "ref" / "reference.json").write_text("precious")

    refused = boot(tmp_path / "ref")

    assert (refused.code, (tmp_path / "ref" / "reference.json").read_text()) == (2, "precious")
    assert "cannotberead" in bare(refused.err)
    assert boot(tmp_path / "ref", "--force").code == 0


def test_nothing_is_left_of_a_write_that_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    ran = boot(tmp_path / "ref")

    assert ran.code == 2
    assert "reference.json:cannotbewritten:Nospaceleft" in bare(ran.err)
    assert not list((tmp_path / "ref").iterdir())


def test_a_signature_that_cannot_be_deleted_is_told(reference: Path) -> None:
    (reference / "reference.sig.json").mkdir()

    ran = boot(reference, "--force")

    assert ran.code == 2
    assert "cannotbedeleted" in bare(ran.err)


def test_an_error_names_the_folder_of_the_set(reference: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "reference.json").write_text("{}")

    ran = run("appraise", BOOTS / "good", "--reference", reference, "--reference", tmp_path / "other", "--json")

    assert ran.code == 2
    assert ran.document["error"]["what"].startswith(str(tmp_path / "other" / "reference.json"))


def test_show_says_in_which_state_a_set_is_and_when_it_counts(reference: Path) -> None:
    assert "state: approved, without a time limit; it counts now" in run("reference", "show", reference).out
    run("reference", "limit", reference, "--until", "2130-01-31T23:59:59Z")
    assert "approved until 2130-01-31 23:59 UTC; it counts now" in run("reference", "show", reference).out
    run("reference", "limit", reference, "--until", "2020-01-31T23:59:59Z")
    assert "until 2020-01-31 23:59 UTC; it recognises nothing now" in run("reference", "show", reference).out
    run("reference", "retire", reference)

    assert "state: retired until 2020-01-31 23:59 UTC; it recognises nothing" in run("reference", "show", reference).out
    document = run("reference", "show", reference, "--json").document
    assert [document[member] for member in ("state", "valid_from", "valid_until", "in_force")] == [
        "retired",
        None,
        "2020-01-31T23:59:59+00:00",
        False,
    ]


def test_a_name_with_a_line_break_stays_on_its_line(tmp_path: Path) -> None:
    name = "web\nset trusted@sha256:00"
    ran = boot(tmp_path / "ref", name=name)
    again = boot(tmp_path / "ref", "--force", name=name + "2")
    refused = boot(tmp_path / "ref", name="x")

    for said in (ran.out, again.out, run("reference", "show", tmp_path / "ref").out, refused.err):
        assert not any(line.startswith("set trusted") for line in said.splitlines())
        assert "web\\nset" in "".join(said.splitlines())


def test_one_difference_is_one(tmp_path: Path) -> None:
    boot(tmp_path / "ref")
    whole = read_reference(tmp_path / "ref")
    write_reference(replace(whole, events=whole.events[1:], digest=""), tmp_path / "ref")

    assert "1 difference\n" in run("reference", "diff", tmp_path / "ref", BOOTS / "good").out


@pytest.mark.parametrize("command", ["propose", "predict"])
def test_an_unrestricted_key_vouches_for_no_set(tmp_path: Path, command: str) -> None:
    folder = good().write(tmp_path / "evidence")
    free = replace(AK, attributes=AK.attributes & ~Attribute.RESTRICTED)
    (folder / "ak.pub").write_bytes(encode_public(free))
    more = ["--cmdline", "ro"] if command == "predict" else []

    ran = run("reference", command, folder, "--out", tmp_path / "ref", *more, "--json")

    assert (ran.code, ran.document["error"]["what"]) == (1, "identity.ak-attributes")
    assert not (tmp_path / "ref").exists()


@pytest.mark.parametrize(("command", "done"), [("predict", "predicted from"), ("diff", "compared with")])
def test_a_boot_that_does_not_add_up_is_refused_in_the_words_of_the_command(
    tmp_path: Path, command: str, done: str
) -> None:
    boot(tmp_path / "ref")
    folder = tmp_path / "evidence"
    good().appended(measured(2, EventType.SEPARATOR, bytes(4))).write(folder)
    options = (
        [folder, "--out", tmp_path / "next", "--cmdline", "ro"] if command == "predict" else [tmp_path / "ref", folder]
    )

    ran = run("reference", command, *options, "--json")

    assert ran.code == 1
    assert f"nothing is {done} this boot" in ran.document["error"]["why"]
