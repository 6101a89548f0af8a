"""Waivers on the command line: they count when signed, for their rule and entity, until they expire."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.unit.cli_runner import Ran, run
from tests.unit.posture_hosts import tree

LATER, PAST = datetime(2999, 1, 1, tzinfo=UTC), datetime(2001, 1, 1, tzinfo=UTC)
UUID = "7f5c2c1e-4f0b-4b57-9a0e-6d4c7f7f0a01"
EDIT = {
    "cmdline": "mitigations=off",
    "replace": {"/proc/42/task/42/status": ["Uid:\t64055\t64055", "Uid:\t0\t0"]},
}
"""Two faults that are contraindicated: one of the host, one of a guest."""


def row(rule: str, entity: str, expires: datetime = LATER) -> str:
    return f'[[waiver]]\nrule = "{rule}"\nentity = "{entity}"\nreason = "ticket 7"\nexpires = {expires.isoformat()}\n'


HOST, GUEST = row("CPU-002", "compute-7"), row("QMP-001", UUID)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tree("hardened_apparmor").change(EDIT).write(tmp_path / "host")


@pytest.fixture(params=["ed25519", "p256"])
def keys(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Path]:
    made = (
        ed25519.Ed25519PrivateKey.generate() if request.param == "ed25519" else ec.generate_private_key(ec.SECP256R1())
    )
    private, public = tmp_path / "officer.pem", tmp_path / "officer.pub"
    private.write_bytes(made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(made.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return private, public


def written(folder: Path, text: str) -> Path:
    path = folder / "waivers.toml"
    path.write_text(text, encoding="utf-8")
    return path


def judged(root: Path, path: Path, public: Path, node: str = "compute-7") -> Ran:
    return run("posture", "--root", root, "--waivers", path, "--waiver-key", public, "--node", node, "--json")


def bad(ran: Ran) -> list[str]:
    return [finding["id"] for finding in ran.findings if finding["tier"] == "contraindicated"]


def test_signed_waivers_lower_what_they_name_to_a_warning_with_the_reason(
    root: Path, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    path = written(tmp_path, HOST + GUEST)
    assert bad(run("posture", "--root", root, "--json")) == ["CPU-002", "QMP-001"]

    signed = run("waivers", "sign", path, "--key", keys[0], "--json").document
    ran = judged(root, path, keys[1])

    assert (signed["waivers"], signed["path"]) == (2, f"{path}.signatures.json")
    assert (ran.code, bad(ran)) == (0, [])
    assert {f["id"]: f["waiver"] for f in ran.findings if "waiver" in f} == {
        "CPU-002": "ticket 7",
        "QMP-001": "ticket 7",
    }


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (row("CPU-002", "compute-8") + GUEST, ["CPU-002"]),
        (HOST + row("QMP-001", "another-guest"), ["QMP-001"]),
        (HOST + row("QMP-001", "compute-7"), ["QMP-001"]),
        (row("CPU-002", UUID) + GUEST, ["CPU-002"]),
        (row("CPU-002", "compute-7", PAST) + GUEST, ["CPU-002"]),
        (row("CPU-003", "compute-7"), ["CPU-002", "QMP-001"]),
    ],
)
def test_a_waiver_of_another_rule_or_entity_or_time_waives_nothing(
    text: str, left: list[str], root: Path, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    path = written(tmp_path, text)
    run("waivers", "sign", path, "--key", keys[0])

    ran = judged(root, path, keys[1])

    assert (ran.code, bad(ran)) == (1, left)


def refused(ran: Ran, why: str) -> None:
    assert (ran.code, ran.document["error"]["why"].count(why)) == (2, 1), ran.document


def test_waivers_that_nobody_signed_are_refused(root: Path, keys: tuple[Path, Path], tmp_path: Path) -> None:
    refused(judged(root, written(tmp_path, HOST), keys[1]), "it has no signature")


def test_waivers_without_a_key_are_refused(root: Path, tmp_path: Path) -> None:
    ran = run("posture", "--root", root, "--waivers", written(tmp_path, HOST), "--json")

    refused(ran, "waivers count only when signed")


def test_waivers_that_were_changed_since_are_refused(root: Path, keys: tuple[Path, Path], tmp_path: Path) -> None:
    path = written(tmp_path, row("CPU-002", "compute-7", PAST))
    run("waivers", "sign", path, "--key", keys[0])

    refused(judged(root, written(tmp_path, HOST), keys[1]), "was changed after it was signed")
    assert path.exists()


def test_somebody_elses_signature_is_none(root: Path, keys: tuple[Path, Path], tmp_path: Path) -> None:
    path = written(tmp_path, HOST)
    other = tmp_path / "other.pem"
    key = ed25519.Ed25519PrivateKey.generate()
    other.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    run("waivers", "sign", path, "--key", other)

    refused(judged(root, path, keys[1]), "none of its signatures is by an accepted key")


def test_a_signature_of_reference_values_is_none_of_waivers(
    root: Path, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    path = written(tmp_path, HOST)
    run("waivers", "sign", path, "--key", keys[0])
    beside = tmp_path / "waivers.toml.signatures.json"
    document = json.loads(beside.read_text(encoding="utf-8"))
    beside.write_text(json.dumps(document | {"format": "bartizan-reference-signature-1"}), encoding="utf-8")

    refused(judged(root, path, keys[1]), "format bartizan-waivers-signature-1")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("nothing", "waivers.toml: "),
        (HOST.replace("CPU-002", "CPU-999"), "there is no rule 'CPU-999'"),
        (HOST.split("expires")[0], "expires"),
        (HOST.replace("+00:00", ""), "timezone"),
        (HOST.replace("ticket 7", ""), "reason"),
        (HOST + "surprise = 1\n", "surprise"),
    ],
)
def test_a_file_that_holds_no_waivers_is_not_signed(
    text: str, why: str, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    refused(run("waivers", "sign", written(tmp_path, text), "--key", keys[0], "--json"), why)


def test_bytes_that_are_no_text_are_refused(keys: tuple[Path, Path], tmp_path: Path) -> None:
    path = tmp_path / "waivers.toml"
    path.write_bytes(b"\xff")

    refused(run("waivers", "sign", path, "--key", keys[0], "--json"), "not UTF-8 at byte 0")


def test_people_see_what_was_signed_and_what_is_waived(root: Path, keys: tuple[Path, Path], tmp_path: Path) -> None:
    path = written(tmp_path, HOST + GUEST)

    assert "CPU-002 for compute-7 until" in run("waivers", "sign", path, "--key", keys[0]).out
    shown = run("posture", "--root", root, "--waivers", path, "--waiver-key", keys[1], "--node", "compute-7").out
    assert "(waived: ticket 7)" in " ".join(shown.split())
